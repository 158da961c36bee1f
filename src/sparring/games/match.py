"""A game in plain Python: one object plays one match. What users write, and what the adapters offer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from sparring.games.spec import GameSpec


class Match(Protocol):
    """One match of a game, written for people; `LoopedGame` makes the batched protocol of many of them.

    A = `spec.num_actions`, P = `spec.num_players`. A Match may also have

    - `copy()`, a match that goes on from here by itself; without it `copy.deepcopy` is used;
    - `__str__`, the position as a person wants to see it;
    - `action_text(action)`, a legal action in words.
    """

    spec: GameSpec  # declared on the class, or set by the constructor; its name is filled in by `games.make`
    seat: int  # who decides now, 0 .. P-1

    def reset(self, rng: np.random.Generator) -> None:
        """Begin a match. All chance, here and in `step`, is drawn from `rng`."""

    def mask(self) -> ArrayLike:
        """[A] bool: the legal actions of the seat to move; at least one while the match goes on."""

    def observe(self, seat: int) -> ArrayLike:
        """[*observation_shape]: the position as `seat` sees it."""

    def step(self, action: int) -> tuple[Sequence[float] | None, bool]:
        """Play a legal action and name the next `seat`; returns (rewards [P], or None for all 0; whether the match has ended)."""
