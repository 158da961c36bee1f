"""Matches in positions that are given as observations, for rules with a function `place`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from sparring.errors import ConfigurationError
from sparring.games.spec import BatchedGame

if TYPE_CHECKING:
    from sparring.games.compiled.game import CompiledGame


class PlacedMatches:
    """Matches in positions that are given as observations; `make` makes the game with n slots."""

    def __init__(self, make: Callable[[int], BatchedGame]) -> None:
        self._make = make
        self._game: BatchedGame | None = None  # kept for the next positions, if they are as many

    def at(self, observations: NDArray[Any]) -> CompiledGame | None:
        """The matches in n positions, see `place`; None if the rules do not find positions."""
        if self._game is None or self._game.num_slots != len(observations):
            self._game = self._make(len(observations))
        if not can_place(self._game):
            return None
        place(self._game, observations)
        return self._game


def can_place(game: BatchedGame) -> TypeGuard[CompiledGame]:
    """Return whether the rules find a position from its observation."""
    from sparring.games.compiled.game import CompiledGame  # imports Numba

    return isinstance(game, CompiledGame) and hasattr(game.rules, "place")


def place(game: CompiledGame, observations: NDArray[Any]) -> None:
    """Put the matches of all n slots into positions, with any seat to move that sees them so.

    `observations` [n, *observation_shape] are those of the seats to move. Raises
    `ConfigurationError` for one that no position shows.
    """
    state: Any = game.get_state()
    states = state["states"]
    state["terminated"][...] = False
    wrong = np.arange(len(states))
    for seat in range(game.spec.num_players):
        states[wrong] = np.zeros(1, states.dtype)
        states["seat"][wrong] = seat
        for number in wrong.tolist():
            game.rules.place(states[number], observations[number])
        game.set_state(state)
        differs = (game.observation != observations).reshape(len(states), -1).any(axis=1)
        wrong = np.flatnonzero(differs)
        if not len(wrong):
            return
    raise ConfigurationError(
        f"observation in row {wrong[0]}",
        got="numbers that no position shows",
        expected=f"what {game.spec.name} shows to the seat to move",
    )
