"""Messages that the main process and a worker's body exchange once a round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sparring.opponents.players import Plan

Between = Callable[[], bool]
"""Called between the ticks of a round; true asks the body to end the round now."""


def to_the_end() -> bool:
    """The `Between` of a round that is played to its end."""
    return False


@dataclass(frozen=True)
class RoundCommand:
    """Start of a round: play with the weights of `weights_version` until `episodes` more matches
    have finished.
    """

    round: int
    weights_version: int
    epsilon: float
    plan: Plan
    episodes: int


@dataclass(frozen=True)
class RoundReport:
    """End of a round of one worker.

    `results` is a structured array of `result_dtype`, in order of finishing; `in_use` names the
    snapshots that matches in progress keep as players.
    """

    round: int
    results: NDArray[Any]
    in_use: frozenset[int]
    plies: int
    play_seconds: float


class WeightSource(Protocol):
    """Source of a worker's weights, as flat float32 vectors."""

    def published(self, version: int) -> NDArray[np.float32]: ...

    def snapshot(self, slot: int) -> NDArray[np.float32]: ...
