"""Stand-ins for workers, with a clock that passes only while they sleep or are held up."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from sparring.bench.work import SELF_PLAY, rollout_settings, weights_in_place
from sparring.bench.workers import BarePasses, PacedSettings, PacedStandIn
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.rollout.round import RoundCommand

TINY = PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [4]}))
COMMAND = RoundCommand(3, 0, 0.0, SELF_PLAY, 20)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    now = [10.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(time, "sleep", sleep)
    return now


def stand_in(plies: int) -> PacedStandIn:
    settings = PacedSettings(
        **vars(rollout_settings(TINY, block=100)), plies_per_s=50.0, plies=plies
    )
    return PacedStandIn(settings, weights_in_place(TINY), worker=0, incarnation=0)


def test_a_stand_in_takes_as_long_as_a_real_worker(clock: list[float]) -> None:
    blocks: list[int] = []
    report = stand_in(250).play_round(COMMAND, lambda rows: blocks.append(len(rows)))
    assert blocks == [100, 100, 50]
    assert clock[0] == pytest.approx(10.0 + 250 / 50.0)
    assert (report.round, report.plies, len(report.results), report.in_use) == (
        3,
        250,
        20,
        frozenset(),
    )
    assert report.play_seconds == pytest.approx(5.0)


def test_what_a_full_ring_takes_from_it_is_lost_but_for_one_block(clock: list[float]) -> None:
    held_up = [7.0, 0.0, 0.0]

    def sink(rows: Any) -> None:
        clock[0] += held_up.pop(0)

    stand_in(300).play_round(COMMAND, sink)
    assert clock[0] == pytest.approx(
        10.0 + 2.0 + 7.0 + 0.0 + 2.0
    )  # the second block comes at once, the third in its time


def test_bare_passes_count_as_plies() -> None:
    body = BarePasses(rollout_settings(TINY), weights_in_place(TINY), worker=0, incarnation=0)
    rows: list[Any] = []
    report = body.play_round(COMMAND, rows.append)
    assert report.plies == 64 * 256
    assert rows == []
    assert np.array_equal(report.results["players"], np.zeros((0, 2)))
