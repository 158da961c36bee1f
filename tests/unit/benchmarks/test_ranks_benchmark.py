"""benchmarks/ranks.py: its sides differ in their learners alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sparring.config.sources import build_config

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def ranks(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import ranks

    return ranks


def test_each_side_of_each_case_is_a_valid_run(ranks: Any) -> None:
    for case in ranks.CASES.values():
        for side in ranks.SIDES.values():
            build_config(overrides={**case, **side})


def test_without_a_second_cpu_one_line_says_so(
    ranks: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ranks, "available_cpus", lambda: 1)
    assert ranks.main() == 2
    assert capsys.readouterr().err == "ranks: two CPUs are needed\n"
