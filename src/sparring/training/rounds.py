"""Pacing of play and learning: in step (`sync`, `overlap`), or free within bounds (`async`).

Both send commands to the workers (weights, opponents, epsilon) and return the finished parts. A
round has as many parts as there are workers.

`Rounds`: each worker plays one part of each round. Round k + 1 is started with v_k before round k
is learned (`overlap`), or with v_{k+1} afterwards (`sync`). Deterministic.

`FreeRunning`: a worker has two parts in flight, so that it never waits for an answer; as soon as
one part has arrived it gets another, with the newest weights. The next parts that arrive, of
whatever workers, make a round; each round is learned before the next one is received, and gives a
version. So that no part in flight is ever more than `max_weight_lag` rounds behind, a round also
receives all parts that would be so once it is learned: of slow workers, which after a while are
asked to end them early. Not deterministic.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from sparring.opponents.pool import OpponentManager
from sparring.rollout.round import RoundCommand
from sparring.runtime import Batch, Workers
from sparring.training.schedule import Schedule

_IN_FLIGHT: Final = 2  # parts of a worker that runs freely: the present one and the next


class Pacing(Protocol):
    """Keeps workers busy and returns what they have played."""

    share: float  # fraction of a round in each batch: 1, or 1 / num_workers (async)
    version: int  # of the newest published weights
    waited: float  # seconds that the learner has waited for batches so far

    def begin(self, vector: NDArray[np.float32]) -> None:
        """Publish the first weights."""

    def batches(self) -> Iterator[Batch]:
        """Yield the batches of the next round, and start what may be played meanwhile. Each has to
        be released before the next is asked for.
        """

    def finished_round(self, batch: Batch) -> int:
        """Return the last round, as plans count them, that has no part in flight after `batch`."""

    def publish(self, vector: NDArray[np.float32]) -> None:
        """Publish new weights, once the round that `batches` yielded is learned."""

    def settle(self) -> Iterator[Batch]:
        """Finish what is in flight without starting more; yield what cannot be kept for later."""

    def get_state(self) -> dict[str, Any]:
        """Return all that is needed to continue; only when settled."""

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what `get_state` returned, after the schedule was restored; publish the
        weights that go with it.
        """


class Rounds:
    """One round after another, each with all workers."""

    share = 1.0

    def __init__(
        self,
        workers: Workers,
        opponents: OpponentManager,
        schedule: Schedule,
        *,
        num_workers: int,
        episodes: int,
        overlap: bool,
    ) -> None:
        self._workers = workers
        self._opponents = opponents
        self._schedule = schedule
        self._num_workers = num_workers
        self._episodes = episodes
        self._ahead = 2 if overlap else 1
        self.version = 0
        self.waited = 0.0
        self._started = 0  # rounds
        self._pending: Batch | None = None  # a finished round that is still to be learned

    def begin(self, vector: NDArray[np.float32]) -> None:
        self._workers.weights.publish(0, vector)

    def batches(self) -> Iterator[Batch]:
        self._start(self._schedule.round + self._ahead)
        began = time.perf_counter()
        batch, self._pending = self._pending or self._workers.finish_round(), None
        self.waited += time.perf_counter() - began
        assert batch.round == self._schedule.round
        yield batch
        self._schedule.round_received()

    def _start(self, end: int) -> None:
        """Start all rounds before `end` that were not started yet, with the newest weights."""
        size = self._num_workers * self._episodes
        for k in range(self._started, end):
            ahead = (k - self._schedule.round + 0.5) * size  # the middle of the round
            for worker in range(self._num_workers):
                plan = self._opponents.plan(k, worker)
                epsilon = self._schedule.epsilon(worker, ahead)
                command = RoundCommand(k, self.version, epsilon, plan, self._episodes)
                self._workers.start(worker, command)
        self._started = max(self._started, end)

    def finished_round(self, batch: Batch) -> int:
        return batch.round

    def publish(self, vector: NDArray[np.float32]) -> None:
        self.version = self._schedule.round
        self._workers.weights.publish(self.version, vector)

    def settle(self) -> Iterator[Batch]:
        if self._pending is None and self._started > self._schedule.round:
            self._pending = self._workers.finish_round().kept()
        return iter(())

    def get_state(self) -> dict[str, Any]:
        return {
            "published": {
                "version": self.version,
                "vector": self._workers.weights.published(self.version),
            },
            "pending": None if self._pending is None else self._pending.get_state(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        self.version = state["published"]["version"]
        self._workers.weights.publish(self.version, state["published"]["vector"])
        self._pending = None if state["pending"] is None else Batch.from_state(state["pending"])
        self._started = self._schedule.round + (self._pending is not None)


class FreeRunning:
    """Workers that never wait for each other nor, within bounds, for the learner."""

    def __init__(
        self,
        workers: Workers,
        opponents: OpponentManager,
        schedule: Schedule,
        *,
        num_workers: int,
        episodes: int,
    ) -> None:
        self.share = 1.0 / num_workers
        self._workers = workers
        self._opponents = opponents
        self._schedule = schedule
        self._episodes = episodes
        self._issued = 0  # parts, so far
        self.version = 0
        self.waited = 0.0
        self._in_flight: list[deque[RoundCommand]] = [deque() for _ in range(num_workers)]
        # one slot is for the newest weights, one more for each round that a part may be behind
        self._max_lag = workers.weights.num_versions - 1

    def begin(self, vector: NDArray[np.float32]) -> None:
        self._workers.weights.publish(0, vector)

    def batches(self) -> Iterator[Batch]:
        for _ in self._in_flight:
            self._keep_playing()
            yield self._next()
        yield from self._late_parts()
        self._schedule.round_received()

    def _late_parts(self) -> Iterator[Batch]:
        """Receive all parts that would be too far behind once this round is learned.

        The other workers go on meanwhile for as many parts as there are workers. Workers that have
        not come to an end by then are slow, and have to end early.
        """
        allowed = len(self._in_flight)
        while late := self._behind(self.version + 1 - self._max_lag):
            if allowed > 0:
                allowed -= 1
                self._keep_playing()
            else:
                for worker, number in late.items():
                    self._workers.end_early(worker, number)
            yield self._next()

    def _behind(self, version: int) -> dict[int, int]:
        """Return the last part in flight with weights before `version` of each worker with one."""
        return {
            worker: command.round
            for worker, commands in enumerate(self._in_flight)
            for command in commands
            if command.weights_version < version
        }

    def _keep_playing(self) -> None:
        for _ in range(_IN_FLIGHT):
            for worker, commands in enumerate(self._in_flight):
                if len(commands) < _IN_FLIGHT:
                    parts = sum(map(len, self._in_flight)) + 0.5  # the middle of this one
                    epsilon = self._schedule.epsilon(worker, parts * self._episodes)
                    plan = self._opponents.plan(self._issued, worker)
                    commands.append(
                        RoundCommand(self._issued, self.version, epsilon, plan, self._episodes)
                    )
                    self._workers.start(worker, commands[-1])
                    self._issued += 1

    def _next(self) -> Batch:
        began = time.perf_counter()
        batch = self._workers.finish_any()
        self.waited += time.perf_counter() - began
        [worker] = batch.in_use
        self._in_flight[worker].popleft()
        return batch

    def finished_round(self, batch: Batch) -> int:
        return (
            min(
                (command.round for commands in self._in_flight for command in commands),
                default=self._issued,
            )
            - 1
        )

    def publish(self, vector: NDArray[np.float32]) -> None:
        self.version += 1
        assert not self._behind(self.version - self._max_lag), "a part in flight uses this slot"
        self._workers.weights.publish(self.version, vector)

    def settle(self) -> Iterator[Batch]:
        if self._schedule.finished:  # the matches are dropped
            for worker in range(len(self._in_flight)):
                self._workers.end_early(worker, self._issued - 1)
        while any(self._in_flight):
            yield self._next()

    def get_state(self) -> dict[str, Any]:
        return {
            "issued": self._issued,
            "published": {
                "version": self.version,
                "vector": self._workers.weights.published(self.version),
            },
        }

    def set_state(self, state: dict[str, Any]) -> None:
        self._issued, self.version = state["issued"], state["published"]["version"]
        self._workers.weights.publish(self.version, state["published"]["vector"])
