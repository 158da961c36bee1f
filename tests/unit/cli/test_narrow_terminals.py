"""Lines that are wider than the terminal are wrapped between words, and tables stay tables."""

from __future__ import annotations

import math
from typing import Any

import pytest

from sparring.cli import runs, streams
from sparring.cli.doctor import print_findings
from sparring.doctor import Finding

RUN = runs.Summary(
    "a-rather-long-name-of-a-run", "tic_tac_toe", "finished", "", 516, 0.314,
    {"random": 0.57, "one_ply": 0.02}, {}, 900_000, 0.0,
)  # fmt: skip


@pytest.fixture(params=[80, math.inf], ids=["terminal", "pipe"])
def columns(request: Any, monkeypatch: pytest.MonkeyPatch) -> float:
    for module in (streams, runs):
        monkeypatch.setattr(module, "terminal_columns", lambda: request.param)
    return float(request.param)


def test_the_table_of_runs_fits(columns: float) -> None:
    lines = [*runs._table([RUN, RUN])]
    assert max(map(len, lines)) <= columns
    assert len(lines) == (6 if columns == 80 else 3)
    assert sum(line.startswith(f"{RUN.name}  tic_tac_toe  finished ") for line in lines) == 2
    assert lines[-1].endswith("  random 57 %, one_ply 2 %")


def test_findings_of_doctor_fit(columns: float, capsys: pytest.CaptureFixture[str]) -> None:
    line = "one for each worker, and 1 learner thread; OMP_NUM_THREADS=1 changes neither"
    print_findings([Finding("ok", "threads", line)])
    *said, _ = capsys.readouterr().out.splitlines()
    assert max(map(len, said)) <= columns
    assert len(said) == (2 if columns == 80 else 1)
    assert " ".join(map(str.strip, said)) == f"ok       threads: {line}"
