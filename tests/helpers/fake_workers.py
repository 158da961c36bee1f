"""Workers that play nothing and finish their parts in the order that a test chooses; they assert
the guarantees that workers have.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.dqn.networks import FlatWeights, NetworkSpec, PolicySpec, build_network
from sparring.opponents.pool import OpponentManager
from sparring.opponents.records import result_dtype
from sparring.rollout.round import RoundCommand
from sparring.runtime import Batch
from sparring.runtime.weights import WeightStore

LAYOUT = FlatWeights(
    build_network(PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [2]})))
)
NO_RESULTS = np.zeros(0, result_dtype(2))
Choice = Callable[[Sequence[int]], int]


def vector(number: int) -> NDArray[np.float32]:
    return np.full(LAYOUT.size, number, np.float32)


class FakeWorkers:
    """Finish the part of the worker that `choose` picks; `started` are all (worker, command)."""

    def __init__(
        self, num_workers: int, num_versions: int, choose: Choice, num_snapshots: int = 2
    ) -> None:
        memory = np.zeros(
            WeightStore.bytes_needed(LAYOUT.size, num_snapshots, num_versions), np.uint8
        )
        self.weights = WeightStore(memory, LAYOUT.size, num_snapshots, num_versions)
        self.replaced = 0
        self.choose = choose
        self.in_flight: list[deque[RoundCommand]] = [deque() for _ in range(num_workers)]
        self.playing: list[frozenset[int]] = [frozenset()] * num_workers
        self.started: list[tuple[int, RoundCommand]] = []
        self.released = 0
        self.ended: dict[int, int] = {}  # by worker, the last round that is to end early
        self.keep: Callable[[Sequence[int]], frozenset[int]] = lambda ids: frozenset()

    def start(self, worker: int, command: RoundCommand) -> None:
        assert len(self.in_flight[worker]) < 2, (
            "a worker has at most a part that it plays and the next one"
        )
        self.in_flight[worker].append(command)
        self.started.append((worker, command))

    def finish_any(self) -> Batch:
        busy = [worker for worker, commands in enumerate(self.in_flight) if commands]
        early = [w for w in busy if self.in_flight[w][0].round <= self.ended.get(w, -1)]
        return self._finish([self.choose(early or busy)])

    def end_early(self, worker: int, round: int) -> None:
        self.ended[worker] = max(round, self.ended.get(worker, -1))

    def finish_round(self) -> Batch:
        return self._finish(range(len(self.in_flight)))

    def _finish(self, workers: Sequence[int]) -> Batch:
        assert self.released == 0, "the last batch was not released"
        commands = [self.in_flight[worker].popleft() for worker in workers]
        assert len({command.round for command in commands}) == 1
        for worker, command in zip(workers, commands, strict=True):
            may_play = self.playing[worker] | {
                o.id for o in command.plan.opponents if o.slot is not None
            }
            self.playing[worker] = self.keep(sorted(may_play))
        self.released -= 1

        def release() -> None:
            self.released += 1

        in_use = {worker: self.playing[worker] for worker in workers}
        return Batch(commands[0].round, [], NO_RESULTS, in_use, 1, 0.0, release)

    def parts(self) -> list[RoundCommand]:
        """Commands of all parts in flight."""
        return [command for commands in self.in_flight for command in commands]


def earliest(workers: FakeWorkers) -> Choice:
    """Choose as if all workers were equally fast."""
    return lambda busy: min(busy, key=lambda worker: workers.in_flight[worker][0].round)


def pool(workers: FakeWorkers, **changes: Any) -> OpponentManager:
    options: dict[str, Any] = {
        "snapshot_interval": 1,
        "max_snapshots": 1,
        "max_opponents_per_worker": 1,
        "seed": 0,
        **changes,
    }
    shares = {"self": 1.0, "snapshots": 1.0}
    return OpponentManager(
        shares, game="tic_tac_toe", slots=workers.weights.snapshots, layout=LAYOUT, **options
    )
