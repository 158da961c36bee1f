# Everything works on a machine with only Python 3.11+, pip and make: each target first makes the
# environment that it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements/constraints.txt
RUNTIME := $(VENV)/.installed
DEV := $(VENV)/.installed-dev

.PHONY: train test test-all test-gpu check docs install clean

train: $(RUNTIME)
	$(BIN)/sparring train connect_four --preset quick

# Two processes more than CPUs, because tests wait for processes that they start; worksteal keeps the
# tests of a file in one process, so that they share its fixtures. Without bytecode, each process
# that a test starts would compile the package again.
PROCESSES = $(shell $(PYTHON) -c "import os; print(min(4, 2 + os.cpu_count()))")

test: $(DEV)
	$(BIN)/python -m compileall -q src tests/helpers
	$(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist worksteal

# What runs on a GPU, once; without one, these tests skip. `sparring doctor` says why there is none.
test-gpu: $(DEV)
	$(BIN)/sparring doctor --preset quick-dqn --device cuda
	$(BIN)/python -m pytest -rs tests/gpu tests/unit/dqn/test_cuda_graphs.py \
	  tests/unit/replay/test_cuda_replay.py tests/unit/replay/test_cuda_tree.py \
	  tests/unit/replay/test_staging.py
	$(BIN)/python benchmarks/cuda_learner.py

test-all: $(DEV)
	$(BIN)/python -m compileall -q src tests/helpers
	$(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist worksteal -m ""

check: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/unit/test_rooms.py tests/unit/test_architecture.py tests/unit/test_style.py

# The site of the documents, into site/; a broken link is an error.
docs: $(DEV)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

install: $(DEV)

# torch first and pinned: left to itself, pip may take a newer build with gigabytes of CUDA packages.
$(RUNTIME): pyproject.toml requirements/constraints.txt
	@echo "Installing Sparring and what it runs on (torch, numba, numpy, ...)"
	@echo "into $(VENV): about 1300 MB there, and some minutes of downloads."
	$(PYTHON) -m venv $(VENV)
	$(PIP) torch
	$(PIP) -e .
	touch $@

$(DEV): $(RUNTIME)
	@echo "Installing what checks and tests need (pytest, mypy, ruff, OpenSpiel, PettingZoo, ...)"
	@echo "into $(VENV): about 550 MB more."
	$(PIP) -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) .cache build dist site
