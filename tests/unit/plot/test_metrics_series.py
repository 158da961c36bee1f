"""Series from `metrics.jsonl`, by hand-computed examples."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparring.errors import FileFormatError, InputError
from sparring.plot.metrics import Metrics, Series, read_metrics


def points(series: Series) -> list[tuple[float, float]]:
    return list(zip(series.plies.tolist(), series.values.tolist(), strict=True))


def test_a_series_has_the_reports_that_have_the_tag() -> None:
    metrics = Metrics([{"plies": 10, "loss": 0.5}, {"plies": 20}, {"plies": 30, "loss": 0.25}])
    assert points(metrics.series("loss")) == [(10, 0.5), (30, 0.25)]
    assert points(metrics.series("gain")) == []
    assert (metrics.last("loss"), metrics.last("gain"), metrics.plies) == (0.25, None, 30)


def test_what_a_killed_run_plays_again_replaces_what_it_had_reported() -> None:
    """Killed after 40 plies with a checkpoint at 15, then at 35 with one at 33."""
    plies = [10, 20, 30, 40, 18, 27, 35, 34, 50]
    metrics = Metrics([{"plies": at, "loss": number} for number, at in enumerate(plies)])
    assert points(metrics.series("loss")) == [(10, 0), (18, 4), (27, 5), (34, 7), (50, 8)]


def test_two_reports_of_the_same_ply_are_one() -> None:
    metrics = Metrics(
        [{"plies": 10, "loss": 1.0, "eval/win_rate/random": 0.5}, {"plies": 10, "loss": 2.0}]
    )
    assert points(metrics.series("loss")) == [(10, 2.0)]
    assert points(metrics.series("eval/win_rate/random")) == [(10, 0.5)]


@given(st.lists(st.integers(0, 30), min_size=1))
def test_plies_only_grow_and_the_last_report_stays(plies: list[int]) -> None:
    series = Metrics([{"plies": at, "x": number} for number, at in enumerate(plies)]).series("x")
    assert (np.diff(series.plies) > 0).all()
    assert (series.plies[-1], series.values[-1]) == (plies[-1], len(plies) - 1)
    assert all(plies[int(number)] == at for at, number in points(series))


def test_smoothing_means_over_a_window() -> None:
    values = np.array([3.0, 0, 0, 6, 0, 0, 9, 0, 0, 12])
    smoothed = Series(np.arange(10.0), values).smoothed()
    assert smoothed.values.tolist() == [
        1.5,
        1,
        2,
        2,
        2,
        3,
        3,
        3,
        4,
        6,
    ]  # a report to either side, at the ends the one there is
    assert smoothed.plies.tolist() == list(range(10))


def test_smoothing_leaves_few_values_and_widens_with_many() -> None:
    few = Series(np.arange(9.0), np.arange(9.0) ** 2)
    assert few.smoothed().values.tolist() == few.values.tolist()
    peak = np.zeros(200)
    peak[100] = 9.0
    smoothed = Series(np.arange(200.0), peak).smoothed().values  # 200 // 50 = 4 to either side
    np.testing.assert_allclose(smoothed, [1.0 if 96 <= i <= 104 else 0.0 for i in range(200)])


def test_opponents_in_the_order_of_interest() -> None:
    exploring = ["snapshot:2", "self", "snapshot:10", "random", "snapshots", "minimax:2"]
    report = {f"rollout/win_rate/{name}": 0.5 for name in exploring} | {
        "eval/win_rate/one_ply": 0.5,
        "eval/win_rate/random": 0.5,
    }
    names = Metrics([{"plies": 1, **report}]).opponents()
    assert names == [
        "one_ply",
        "random",
        "self",
        "snapshots",
        "minimax:2",
        "snapshot:10",
        "snapshot:2",
    ]


def test_a_line_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"plies": 5, "loss": 1.5}\n{"plies": 9, "lo')
    assert points(read_metrics(path).series("loss")) == [(5, 1.5)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("no json", r"metrics\.jsonl, line 2: invalid report: expected a JSON object"),
        ("[1]", r"line 2: invalid report"),
        ('{"loss": 1.0}', r"line 2: invalid report"),
        ('{"plies": 9, "loss": NaN}', r"line 2: loss: got nan, expected a finite number"),
        ('{"plies": 9, "loss": "low"}', r"line 2: loss: got 'low', expected a finite number"),
        ('{"plies": true}', r"line 2: plies: got True, expected a finite number"),
    ],
)
def test_damaged_lines(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(f"{json.dumps({'plies': 5})}\n{line}\n")
    with pytest.raises(FileFormatError, match=words):
        read_metrics(path)


def test_no_metrics(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"no metrics in .*: got No such file or directory \(metrics\.jsonl\)"
    ):
        read_metrics(tmp_path / "metrics.jsonl")
    (tmp_path / "metrics.jsonl").write_text('{"plies"')
    with pytest.raises(InputError, match=r"no metrics in .* yet: got no report in metrics\.jsonl"):
        read_metrics(tmp_path / "metrics.jsonl")
