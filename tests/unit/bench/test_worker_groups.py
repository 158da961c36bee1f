from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from sparring.bench.work import BATCH
from sparring.bench.workers import ROUND, WorkerGroup
from sparring.rollout.round import RoundCommand


class Workers:
    """Rounds of 0.25 s and 1,000 plies; notes how many were in flight."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.in_flight: list[tuple[int, int]] = []
        self.released: list[int] = []
        self.most_in_flight = self.finished = 0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(time, "process_time", lambda: 0.1 * self.now)

    def start(self, worker: int, command: RoundCommand) -> None:
        assert command.episodes == ROUND
        self.in_flight.append((command.round, worker))
        self.most_in_flight = max(self.most_in_flight, len(self.in_flight))

    def finish_round(self) -> Any:
        """Three workers' parts of one round."""
        assert self.in_flight[:3] == [(self.finished, worker) for worker in range(3)]
        del self.in_flight[:3]
        self.now += 0.25
        self.finished += 1
        return SimpleNamespace(plies=1_000, release=lambda: self.released.append(self.finished))


def test_a_slice_keeps_the_next_round_in_flight_and_leaves_none_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workers = Workers(monkeypatch)
    anything: Any = workers
    group = WorkerGroup(anything, 3)
    assert group.slice(1.0) == 4_000.0
    assert (workers.finished, workers.most_in_flight, workers.in_flight) == (4 + 1, 2 * 3, [])
    assert group.slice(0.1) == 4_000.0
    assert (workers.finished, workers.in_flight) == (5 + 2, [])
    assert workers.released == list(range(1, 8))
    assert group.main_shares == pytest.approx([0.1, 0.1])


def test_rounds_are_long() -> None:
    """A match of Connect Four has on average 20 plies or more; 256 are played a tick."""
    assert ROUND * 20 / BATCH > 50
