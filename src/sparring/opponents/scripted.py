"""Players that follow a fixed rule: opponents in training, yardsticks in evaluation. They break ties at random."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sparring.errors import ConfigurationError, nearest
from sparring.games import BatchedGame, is_built_in, label
from sparring.opponents.ludo import GreedyLudoPlayer, RacingLudoPlayer
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


_KINDS: Final[tuple[type[Player], ...]] = (RandomPlayer, OnePlyPlayer, GreedyLudoPlayer, RacingLudoPlayer)
_BY_NAME: Final[dict[str, type[Player]]] = {kind.name: kind for kind in _KINDS}
SCRIPTED: Final = tuple(_BY_NAME)  # in the order of their numbers in plans and results: new ones go to the end


def scripted_names(game: str) -> tuple[str, ...]:
    """The scripted players that know a game: those named without a game, and its own."""
    own = f"{label(game)}:" if is_built_in(game) else None
    return tuple(name for name in SCRIPTED if ":" not in name or (own is not None and name.startswith(own)))


def yardsticks(game: str) -> tuple[str, ...]:
    """The scripted players by which agents of a game are judged: its own and `random`; of other built-in games `random` and `one_ply`.

    `one_ply` tries moves one by one, which takes long in a game that is not compiled.
    """
    own = tuple(name for name in scripted_names(game) if ":" in name)
    return ("random", *(own or (("one_ply",) if is_built_in(game) else ())))


def default_shares(game: str) -> dict[str, float]:
    """Whom an agent meets unless it is told otherwise: mostly itself, its snapshots, and each yardstick."""
    judges = yardsticks(game)
    return {"self": 0.6, "snapshots": 0.2, **{name: 0.2 / len(judges) for name in judges}}


def scripted_player(name: str, game: str | None = None) -> Player:
    """The scripted player of that name; `ConfigurationError` with the nearest one if there is none, or if it does not play `game`."""
    known = SCRIPTED if game is None else scripted_names(game)
    if name not in known:
        raise ConfigurationError("unknown opponent", got=name, expected=f"one of {', '.join(known)}", remedy=nearest(name, known))
    return _BY_NAME[name]()
