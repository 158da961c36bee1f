"""Players that follow a fixed rule: opponents in training, yardsticks in evaluation. They break ties at random."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sparring.errors import ConfigurationError, nearest
from sparring.games import BatchedGame
from sparring.opponents.players import Player


@njit(cache=True, nogil=True)
def _choose(candidates: Any, uniforms: Any, actions: Any) -> None:
    """`actions[i]` = one of the True entries of `candidates[i]`, uniformly by `uniforms[i, 1]`; -1 where there is none."""
    for i in range(candidates.shape[0]):
        actions[i] = -1
        nth = np.int64(uniforms[i, 1] * np.sum(candidates[i]))
        for a in range(candidates.shape[1]):
            if candidates[i, a]:
                if nth == 0:
                    actions[i] = a
                    break
                nth -= 1


class RandomPlayer:
    """A uniformly random legal action."""

    name = "random"

    def act(self, game: BatchedGame, slots: NDArray[np.int64], uniforms: NDArray[np.float64]) -> NDArray[np.int64]:
        actions = np.empty(len(slots), np.int64)
        _choose(game.mask[slots], uniforms, actions)
        return actions


class OnePlyPlayer:
    """Wins if it can at once; else takes a move with which the next seat would win; else plays at random."""

    name = "one_ply"

    def act(self, game: BatchedGame, slots: NDArray[np.int64], uniforms: NDArray[np.float64]) -> NDArray[np.int64]:
        actions = np.empty(len(slots), np.int64)
        _choose(game.win_or_block(slots), uniforms, actions)
        return actions


_BY_NAME: Final[dict[str, type[Player]]] = {"random": RandomPlayer, "one_ply": OnePlyPlayer}
SCRIPTED: Final = tuple(_BY_NAME)


def scripted_player(name: str) -> Player:
    """The scripted player of that name; raises `ConfigurationError` with the nearest name."""
    try:
        return _BY_NAME[name]()
    except KeyError:
        raise ConfigurationError(
            "unknown opponent", got=name, expected=f"one of {', '.join(SCRIPTED)}", remedy=nearest(name, SCRIPTED)
        ) from None
