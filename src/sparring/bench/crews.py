"""Worker processes without a learner, measured in slices."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sparring.bench.work import BATCH, rollout_settings, round_command, weights_in_place
from sparring.dqn.networks import PolicySpec
from sparring.rollout.rollout import Rollout
from sparring.runtime import Batch, ProcessWorkers, default_start_method

ROUND: Final = 3 * BATCH  # matches of a worker's round: more than 50 ticks


class Crew:
    """Workers that play rounds as in `overlap`: while one is finished, the next is on its way."""

    def __init__(self, workers: ProcessWorkers, count: int) -> None:
        self.count = count
        self._workers = workers
        self._started = 0
        self.main_shares: list[float] = []  # of each slice: processor time of the main process, of one core's

    def slice(self, seconds: float) -> float:
        """Plies a second of rounds that are started within `seconds`, until all of them are finished.

        From nothing in flight to nothing in flight: some workers may be rounds ahead of others in between.
        """
        plies, in_flight, begun, worked = 0, 2, time.perf_counter(), time.process_time()
        self.start()
        self.start()
        while in_flight:
            plies += self.finish().plies
            spent = time.perf_counter() - begun
            if spent < seconds:
                self.start()
            else:
                in_flight -= 1
        self.main_shares.append((time.process_time() - worked) / spent)
        return plies / spent

    def start(self, episodes: int = ROUND) -> None:
        """Command a round; at most two may be in flight."""
        for worker in range(self.count):
            self._workers.start(worker, round_command(self._started, episodes))
        self._started += 1

    def finish(self) -> Batch:
        """Wait for the round that was started first."""
        batch = self._workers.finish_round()
        batch.release()
        return batch

    def states(self) -> list[dict[str, Any]]:
        """What the bodies answer to `get_state`, in order."""
        return [state["body"] for state in self._workers.get_state().values()]


@contextmanager
def open_crew(policy: PolicySpec, count: int, precision: str, *, body: Any = Rollout) -> Iterator[Crew]:
    """So many workers of 256 envs, with the network's initial weights."""
    vector = weights_in_place(policy).published(0)
    workers = ProcessWorkers(
        rollout_settings(policy, precision=precision),
        num_workers=count,
        size=len(vector),
        num_snapshots=0,
        num_versions=2,
        episodes=ROUND,
        start_method=default_start_method(),
        notify=lambda text: None,
        body=body,
    )
    with workers:
        workers.weights.publish(0, vector)
        yield Crew(workers, count)
