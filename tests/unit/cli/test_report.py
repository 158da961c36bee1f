"""Tables of results in a terminal of 80 columns."""

from __future__ import annotations

import pytest

from sparring.cli.report import print_evaluation


def test_a_long_name_cuts_no_figure(capsys: pytest.CaptureFixture[str]) -> None:
    result = {
        "matches": 1000, "distinct": 1000, "wins": 284, "draws": 123, "losses": 593,
        "cut": 5, "score": 0.71, "interval95": [0.67, 0.75],
        "seats": [0.755, 0.665], "graded": False,
    }  # fmt: skip
    print_evaluation({"opponents": {"my_old_bots:Careful(points=25,risk=0.5)": result}})
    text = capsys.readouterr().out
    assert "…" not in text
    for figure in ("1,000", "284", "593", "0.710", "0.670 to 0.750", "0.755 0.665"):
        assert figure in text
    assert max(map(len, text.splitlines())) <= 80
