"""A match of another library that follows from a seed and the actions in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from sparring.games.spec import GameSpec


class SeededMatch(ABC):
    """Base of a `Match` whose library draws its own chance. `_start` and `_play` play it; a copy
    is the same match played again, because few libraries' matches can be copied in their middle.
    """

    spec: GameSpec
    seat = 0
    truncated = False

    def __init__(self, rules: Any) -> None:
        self._rules = rules
        self.spec = rules.spec
        self._seed = 0
        self._actions: list[int] = []

    def reset(self, rng: np.random.Generator) -> None:
        self._begin(int(rng.integers(2**31)))  # some libraries take no larger seeds

    def step(self, action: int) -> tuple[Sequence[float] | None, bool]:
        self._actions.append(action)
        return self._play(action)

    def copy(self) -> Self:
        other = type(self)(self._rules)
        other._begin(self._seed)
        for action in self._actions:
            other.step(action)
        return other

    def _begin(self, seed: int) -> None:
        self._seed, self._actions, self.truncated = seed, [], False
        self._start(seed)

    @abstractmethod
    def _start(self, seed: int) -> None:
        """Begin the match of that seed."""

    @abstractmethod
    def _play(self, action: int) -> tuple[Sequence[float] | None, bool]:
        """Play a legal action, as `Match.step`."""
