"""Workers inside the main process: the debugger's backend, bit for bit equal to `processes`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import torch
from numpy.typing import NDArray

from sparring.replay.transitions import join_rows
from sparring.rollout.rollout import Rollout, RolloutSettings
from sparring.rollout.round import RoundCommand, RoundReport
from sparring.runtime.base import Batch
from sparring.runtime.weights import WeightStore


class InlineWorkers:
    """Bodies that play a started part when it is to be finished, with the weights that its command
    names.
    """

    def __init__(
        self,
        settings: RolloutSettings,
        *,
        num_workers: int,
        size: int,
        num_snapshots: int,
        num_versions: int,
    ) -> None:
        self.weights = WeightStore.private(size, num_snapshots, num_versions)
        self.replaced = 0
        self._bodies = [
            Rollout(settings, self.weights, worker=worker, incarnation=0)
            for worker in range(num_workers)
        ]
        self._started: list[deque[RoundCommand]] = [deque() for _ in self._bodies]

    def start(self, worker: int, command: RoundCommand) -> None:
        self._started[worker].append(command)

    def finish_round(self) -> Batch:
        return self._play(range(len(self._bodies)))

    def finish_any(self) -> Batch:
        _, earliest = min(
            (commands[0].round, worker) for worker, commands in enumerate(self._started) if commands
        )
        return self._play([earliest])

    def _play(self, workers: Sequence[int]) -> Batch:
        blocks: list[NDArray[Any]] = []
        reports: list[RoundReport] = []
        with torch_threads(1):  # as in every worker process: results may depend on the number
            for worker in workers:
                command = self._started[worker].popleft()
                reports.append(
                    self._bodies[worker].play_round(
                        command, lambda block: blocks.append(join_rows([block]))
                    )
                )
        return Batch.join(workers, blocks, reports)

    def end_early(self, worker: int, round: int) -> None:
        pass  # a part is played when it is asked for

    def hurry(self) -> None:
        pass

    def poll(self) -> None:
        pass

    def get_state(self) -> dict[str, Any]:
        return {
            str(worker): {"incarnation": 0, "body": body.get_state()}
            for worker, body in enumerate(self._bodies)
        }

    def set_state(self, state: dict[str, Any]) -> None:
        for worker, body in enumerate(self._bodies):
            body.set_state(state[str(worker)]["body"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Run torch on so many threads within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
