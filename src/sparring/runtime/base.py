"""Interface of workers for the training loop, whichever way they run."""

from __future__ import annotations

import dataclasses
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


def _nothing_to_do() -> None:
    pass


@dataclass(frozen=True)
class Batch:
    """Rows and results of some workers' parts of a round, in order of the workers.

    `blocks` are transitions, which may still lie in the workers' rings: `release` frees them there,
    and has to be called before any other method of the workers. `results` are finished matches as
    `result_dtype` rows; `in_use` by worker the snapshots that its matches in progress keep as
    players.
    """

    round: int
    blocks: Sequence[NDArray[Any]]
    results: NDArray[Any]
    in_use: dict[int, frozenset[int]]
    plies: int
    play_seconds: float  # summed over the workers
    release: Callable[[], None] = _nothing_to_do

    @classmethod
    def join(
        cls,
        workers: Sequence[int],
        blocks: Sequence[NDArray[Any]],
        reports: Sequence[RoundReport],
        release: Callable[[], None] = _nothing_to_do,
    ) -> Batch:
        """One batch of these workers' parts; `blocks` are in order of the workers."""
        return cls(
            reports[0].round,
            blocks,
            np.concatenate([report.results for report in reports]),
            {worker: report.in_use for worker, report in zip(workers, reports, strict=True)},
            sum(report.plies for report in reports),
            sum(report.play_seconds for report in reports),
            release,
        )

    @property
    def transitions(self) -> int:
        """Their number."""
        return sum(len(block) for block in self.blocks)

    def kept(self) -> Batch:
        """The same with blocks of its own; this one is released."""
        own = dataclasses.replace(
            self, blocks=[join_rows(self.blocks)] if self.blocks else [], release=_nothing_to_do
        )
        self.release()
        return own

    def get_state(self) -> dict[str, Any]:
        """The batch, which has been `kept`, as a state tree."""
        state = {name: value for name, value in vars(self).items() if name != "release"}
        return {
            **state,
            "blocks": list(self.blocks),
            "in_use": {str(worker): sorted(ids) for worker, ids in self.in_use.items()},
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Batch:
        """The batch that `get_state` described."""
        return cls(
            **{
                **state,
                "in_use": {int(worker): frozenset(ids) for worker, ids in state["in_use"].items()},
            }
        )


class Workers(Protocol):
    """N bodies of a worker, each of which plays the parts of rounds that it is given, in order."""

    weights: WeightStore
    replaced: int  # workers that failed and got a successor

    def start(self, worker: int, command: RoundCommand) -> None:
        """Give a worker its part of a round; at most two are in flight for each."""

    def finish_round(self) -> Batch:
        """Wait for the next part of every worker, all of one round.

        Raises `GameFault` when a game raises, and `WorkerError` when a worker fails again and
        again.
        """

    def finish_any(self) -> Batch:
        """Wait for a part of any worker; of several, take the one of the earliest round.

        Raises as above.
        """

    def end_early(self, worker: int, round: int) -> None:
        """Let a worker end its parts of rounds up to `round` at its next tick; its matches go on in
        its next part.
        """

    def hurry(self) -> None:
        """Wait for a worker that makes no ply for some seconds only, and say who is waited for."""

    def poll(self) -> None:
        """Receive what workers have ready, without waiting; to be called now and then while a round
        is in flight.
        """

    def get_state(self) -> dict[str, Any]:
        """The states of all bodies; only while no round is in flight."""

    def set_state(self, state: dict[str, Any]) -> None:
        """Give all bodies the states that `get_state` returned; before the first round, with
        snapshots and weights in place.

        Raises `GameError` where a state does not fit the game.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
