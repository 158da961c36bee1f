"""What the training loop asks of its workers, whichever way they run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from sparring.replay.transitions import join_rows
from sparring.rollout.round import RoundCommand, RoundReport
from sparring.runtime.weights import WeightStore

Notify = Callable[[str], None]


@dataclass(frozen=True)
class Batch:
    """All that one round brought, in order of the workers.

    `rows` are transitions; `results` finished matches as `result_dtype` rows; `in_use` by worker the snapshots that its matches in
    progress keep as players.
    """

    round: int
    rows: NDArray[Any]
    results: NDArray[Any]
    in_use: tuple[frozenset[int], ...]
    plies: int
    play_seconds: float  # summed over the workers

    @classmethod
    def join(cls, rows: Sequence[NDArray[Any]], reports: Sequence[RoundReport]) -> Batch:
        """One batch of all workers' parts; `rows` are the blocks in order of the workers."""
        return cls(
            reports[0].round,
            join_rows(rows),
            np.concatenate([report.results for report in reports]),
            tuple(report.in_use for report in reports),
            sum(report.plies for report in reports),
            sum(report.play_seconds for report in reports),
        )

    def get_state(self) -> dict[str, Any]:
        """The batch as a state tree."""
        return {**vars(self), "in_use": [sorted(ids) for ids in self.in_use]}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Batch:
        """The batch that `get_state` described."""
        return cls(**{**state, "in_use": tuple(frozenset(ids) for ids in state["in_use"])})


class Workers(Protocol):
    """N bodies of a worker. Rounds are finished in the order in which they were started; at most two are in flight."""

    weights: WeightStore
    replaced: int  # workers that failed and got a successor

    def start_round(self, commands: Sequence[RoundCommand]) -> None:
        """Start a round; one command for each worker."""

    def finish_round(self, round_number: int) -> Batch:
        """Wait for every worker's part of a started round.

        Raises `GameFault` when a game raises, and `WorkerError` when a worker fails again and again.
        """

    def poll(self) -> None:
        """Take in what workers have ready, without waiting; to be called now and then while a round is in flight."""

    def get_state(self) -> dict[str, Any]:
        """The states of all bodies; only while no round is in flight."""

    def set_state(self, state: dict[str, Any]) -> None:
        """Give all bodies the states that `get_state` returned; before the first round, with snapshots and weights in place.

        Raises `GameError` where a state does not fit the game.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None: ...
