"""Who may be met: the message by which the main process tells workers their opponents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

AGENT: Final = 0  # the id of the agent among players
AGENT_NAME: Final = "self"


@dataclass(frozen=True)
class Opponent:
    """One player of the pool; `slot` is the place of a snapshot's weights, None for all others."""

    id: int
    name: str
    slot: int | None = None


@dataclass(frozen=True)
class Plan:
    """The players that new matches draw their other seats from, with probabilities that sum to 1."""

    opponents: tuple[Opponent, ...]
    probabilities: tuple[float, ...]
