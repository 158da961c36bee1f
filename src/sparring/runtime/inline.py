"""Workers inside the main process: the debugger's backend, bit for bit equal to `processes`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from sparring.games import spec_of
from sparring.replay.transitions import join_rows, transition_dtype
from sparring.rollout.rollout import Rollout, RolloutSettings
from sparring.rollout.round import RoundCommand, RoundReport
from sparring.runtime.base import Batch
from sparring.runtime.weights import WeightStore


class InlineWorkers:
    """Plays each started round when it is asked to finish, with the weights that its command names."""

    def __init__(self, settings: RolloutSettings, *, num_workers: int, size: int, num_snapshots: int) -> None:
        memory = np.zeros(WeightStore.bytes_needed(size, num_snapshots), np.uint8)
        self.weights = WeightStore(memory, size, num_snapshots)
        self.replaced = 0
        self._dtype = transition_dtype(spec_of(settings.policy.game))
        self._started: deque[Sequence[RoundCommand]] = deque()
        self._bodies = [Rollout(settings, self.weights, worker=worker, incarnation=0) for worker in range(num_workers)]

    def start_round(self, commands: Sequence[RoundCommand]) -> None:
        self._started.append(commands)

    def finish_round(self, round_number: int) -> Batch:
        commands = self._started.popleft()
        assert commands[0].round == round_number
        rows: list[NDArray[Any]] = [np.empty(0, self._dtype)]
        reports: list[RoundReport] = []
        with torch_threads(1):  # as in every worker process: results may depend on the number
            for body, command in zip(self._bodies, commands, strict=True):
                reports.append(body.play_round(command, lambda block: rows.append(join_rows([block]))))
        return Batch.join(rows, reports)

    def poll(self) -> None:
        pass

    def get_state(self) -> dict[str, Any]:
        return {str(worker): {"incarnation": 0, "body": body.get_state()} for worker, body in enumerate(self._bodies)}

    def set_state(self, state: dict[str, Any]) -> None:
        for worker, body in enumerate(self._bodies):
            body.set_state(state[str(worker)]["body"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
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
