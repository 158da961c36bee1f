"""Slices of runs: which rounds are counted. The clock moves only within rounds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sparring.bench.sessions import LiveSession, _TimedWorkers
from sparring.bench.work import fill


class Run:
    """Rounds of 0.5 s, of 1,000 plies, 10 matches and 4 updates each; the learner waits for a
    fifth, two workers play for half.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.rounds_made = 0
        self.schedule = SimpleNamespace(plies=0, episodes=0)
        self.learner = SimpleNamespace(updates=0)
        self.num_workers = 2
        self.waited = self.played = 0.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(time, "process_time", lambda: 0.9 * self.now)

    def rounds(self) -> Iterator[None]:
        while True:
            self.now += 0.5
            self.rounds_made += 1
            self.schedule.plies += 1_000
            self.schedule.episodes += 10
            self.learner.updates += 4
            self.waited += 0.1
            self.played += 0.5
            yield


def live(run: Run) -> LiveSession:
    config: Any = SimpleNamespace(learner_threads=1)
    parts: Any = run
    session: Any = run
    return LiveSession(config, parts, session, run)


def test_a_slice_is_made_of_whole_rounds_and_leaves_out_those_that_settle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Run(monkeypatch)
    pace = live(run).slice(4.0)
    assert run.rounds_made == 10  # two in the first second, which settle, and eight
    assert (pace.seconds, pace.plies, pace.episodes, pace.updates) == (4.0, 8_000, 80, 32)
    assert (pace.plies_per_s, pace.episodes_per_min, pace.updates_per_s, pace.plies_per_update) == (
        2_000.0,
        1_200.0,
        8.0,
        250.0,
    )
    assert pace.learner_wait == pytest.approx(0.2)
    assert pace.worker_wait == pytest.approx(0.5)
    assert pace.main_share == pytest.approx(0.9)


def test_even_the_shortest_slice_has_two_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of them may have been played while the run was paused."""
    run = Run(monkeypatch)
    assert live(run).slice(0.01).plies == 2_000
    assert run.rounds_made == 4


def test_warming_up_counts_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch)
    session = live(run)
    session.warm_up(1.5)
    assert run.rounds_made == 3
    assert session.slice(2.0).plies == 4_000


def test_the_replay_is_filled_before() -> None:
    """With copies of 250 transitions, of which the last is cut."""
    lengths: list[int] = []

    class Filling:
        capacity = 600

        def __len__(self) -> int:
            return sum(lengths)

        def extend(self, rows: list[int]) -> None:
            lengths.append(len(rows))

    replay: Any = Filling()
    fill(replay, np.arange(250))
    assert lengths == [250, 250, 100]


def test_the_time_that_the_learner_waits_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch)

    class Workers:
        weights = "the weights"

        def finish_round(self) -> Any:
            run.now += 0.25
            return SimpleNamespace(round=7, play_seconds=2.0)

        def finish_any(self) -> Any:
            run.now += 0.5
            return SimpleNamespace(round=9, play_seconds=4.0)

    workers: Any = Workers()
    watched = _TimedWorkers(workers)
    assert watched.finish_round().round == 7
    assert (watched.waited, watched.played) == (0.25, 2.0)
    assert watched.finish_any().round == 9
    assert (watched.waited, watched.played) == (0.75, 6.0)
    assert watched.weights == "the weights"
