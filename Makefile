# Everything works on a machine with only Python 3.11+, pip and make: the first target makes the environment.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: train test check install clean

train: $(STAMP)
	$(BIN)/sparring train connect_four --preset quick

test: $(STAMP)
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/unit/test_rooms.py

install: $(STAMP)

# torch first and pinned: left to itself, pip may take a newer build with gigabytes of CUDA packages.
$(STAMP): pyproject.toml requirements/constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements/constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements/constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) .cache build dist
