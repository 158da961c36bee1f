from __future__ import annotations

import io

import pytest
from rich.console import Console

from sparring.monitor.plain import report_line
from sparring.monitor.screen import Screen
from sparring.monitor.state import ConsoleState, clock_time, count, figure, percent


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_time_left_follows_the_rate_of_the_last_minute() -> None:
    clock = Clock()
    progress = ConsoleState("run", 10_000, clock)
    assert progress.eta is None
    progress.advance(1000, 0.1)  # a resumed run: these were not played now
    assert progress.eta is None
    clock.now += 10
    progress.advance(1100, 0.11)  # 10 a second
    assert progress.eta == pytest.approx(890)
    clock.now += 5  # no report yet: the clock goes on
    assert progress.eta == pytest.approx(885)
    for _ in range(100):  # 2 a second for 500 s: what was before no longer counts
        clock.now += 5
        progress.advance(progress.episodes + 10, progress.share + 0.001)
    assert progress.eta == pytest.approx((10_000 - 2100) / 2)
    assert progress.elapsed == pytest.approx(515)


def test_the_rate_is_of_several_rounds_where_a_round_takes_longer_than_a_minute() -> None:
    """Rounds of 80 and 160 s in turns, 100 matches each: 600 matches in 720 s."""
    clock = Clock()
    progress = ConsoleState("run", 10_000, clock)
    for number in range(20):
        progress.advance(100 * number, 0.01 * number)
        clock.now += (80, 160)[number % 2]
    clock.now -= 160
    rate = 500 / (80 + 160 + 80 + 160 + 80)
    assert progress.eta == pytest.approx((10_000 - 1900) / rate)


def test_a_finished_run_has_nothing_left() -> None:
    progress = ConsoleState("run", 100, Clock())
    progress.advance(130, 1.3)
    assert progress.eta == 0.0
    assert progress.share == 1.0


def test_a_run_by_the_clock_has_a_share_and_no_number_of_matches() -> None:
    clock = Clock()
    progress = ConsoleState("run", None, clock)
    for minute in range(4):  # of 15, with fewer and fewer matches a minute
        progress.advance(1000 * minute - 100 * minute**2, minute / 15)
        progress.update({"rollout/episodes": 1.0, "perf/plies_per_s": 3.0})
        clock.now += 60
    clock.now -= 60
    assert progress.share == pytest.approx(0.2)
    assert progress.eta == pytest.approx(12 * 60)
    assert " 20 %  2,100 matches  ETA 12:00" in report_line(progress)


def test_tags_that_a_report_does_not_have_keep_their_value() -> None:
    progress = ConsoleState("run", 100, Clock())
    progress.update({"rollout/episodes": 10.0, "eval/win_rate/random": 0.9})
    progress.update({"rollout/episodes": 20.0, "train/loss": 0.5})
    assert progress.values["rollout/episodes"] == 20
    assert progress.values["train/loss"] == 0.5
    assert progress.values["eval/win_rate/random"] == 0.9


def test_opponents_in_order() -> None:
    progress = ConsoleState("run", 100, Clock())
    progress.update(
        {
            "rollout/win_rate/snapshot:2": 0.2,
            "rollout/win_rate/snapshot:10": 0.3,
            "rollout/win_rate/self": 0.5,
            "rollout/win_rate/one_ply": 0.1,
            "eval/win_rate/one_ply": 0.4,
            "eval/draw_rate/one_ply": 0.05,
            "eval/win_rate/random": 0.9,
        }
    )
    opponents = progress.opponents()
    assert [opponent.name for opponent in opponents] == [
        "one_ply",
        "random",
        "self",
        "snapshot:10",
        "snapshot:2",
    ]
    assert (opponents[0].exploring, opponents[0].greedy, opponents[0].greedy_draws) == (
        0.1,
        0.4,
        0.05,
    )
    assert (opponents[1].exploring, opponents[1].greedy, opponents[1].greedy_draws) == (
        None,
        0.9,
        None,
    )


def test_words_for_figures() -> None:
    assert [clock_time(seconds) for seconds in (None, 0, 59.6, 61, 3599.7, 3723)] == [
        "-",
        "0:00",
        "1:00",
        "1:01",
        "1:00:00",
        "1:02:03",
    ]
    assert [percent(share) for share in (None, 0.0, 0.514, 1.0)] == ["", "  0 %", " 51 %", "100 %"]
    assert [count(value) for value in (None, 0.0, 0.25, 9.5, 10.5, 12345.6)] == [
        "-",
        "0",
        "0.2",
        "9.5",
        "10",
        "12,346",
    ]
    assert [figure(value) for value in (None, 0.012345, 5e-4, -1.5)] == [
        "-",
        "0.0123",
        "0.0005",
        "-1.5",
    ]


def test_mean_returns_are_shown_where_matches_are_graded_or_a_player_is_alone() -> None:
    progress = ConsoleState("run", 100, Clock())
    figures = {"eval/win_rate/random": 0.53, "eval/draw_rate/random": 0.1}
    progress.update({**figures, "eval/return/random": 1.521, "eval/return/agent": -0.25})
    line = report_line(progress)
    assert "vs random 53 %, return +1.52" in line
    assert "agent return -0.25" in line
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(Screen(progress))
    panel = console.export_text()
    assert "return +1.52" in panel
    assert "return -0.25" in panel
