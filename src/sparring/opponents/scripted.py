"""Players that follow a fixed rule: opponents in training, yardsticks in evaluation. They break ties at random."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sparring.errors import ConfigurationError, nearest
from sparring.games import BatchedGame, is_built_in, label, make, spec_of
from sparring.games.searching import allows_search, refuse_search
from sparring.opponents.choosing import choose
from sparring.opponents.ludo import GreedyLudoPlayer, RacingLudoPlayer
from sparring.opponents.players import Player
from sparring.opponents.searching import search_player, searchable
from sparring.searchers import FORMS, parse


class RandomPlayer:
    """A uniformly random legal action."""

    name = "random"

    def act(self, game: BatchedGame, slots: NDArray[np.int64], uniforms: NDArray[np.float64]) -> NDArray[np.int64]:
        actions = np.empty(len(slots), np.int64)
        choose(game.mask[slots], uniforms, actions)
        return actions


class OnePlyPlayer:
    """Wins if it can at once; else takes a move with which the next seat would win; else plays at random."""

    name = "one_ply"

    def act(self, game: BatchedGame, slots: NDArray[np.int64], uniforms: NDArray[np.float64]) -> NDArray[np.int64]:
        actions = np.empty(len(slots), np.int64)
        choose(game.win_or_block(slots), uniforms, actions)
        return actions


_KINDS: Final[tuple[type[Player], ...]] = (RandomPlayer, OnePlyPlayer, GreedyLudoPlayer, RacingLudoPlayer)
_BY_NAME: Final[dict[str, type[Player]]] = {kind.name: kind for kind in _KINDS}
SCRIPTED: Final = tuple(_BY_NAME)  # those that search have numbers in their names, and are not listed here


def scripted_names(game: str) -> tuple[str, ...]:
    """The scripted players that know a game, but for those that search: those named without a game, and its own."""
    own = f"{label(game)}:" if is_built_in(game) else None
    return tuple(name for name in SCRIPTED if ":" not in name or (own is not None and name.startswith(own)))


def yardsticks(game: str, met: Collection[str] = ()) -> tuple[str, ...]:
    """The scripted players by which agents of a game are judged: its own and `random`; of other built-in games `random` and `one_ply`.

    `one_ply` tries moves one by one, which takes long in a game that is not compiled. Those of `met`, the opponents of a training, that
    are scripted are among them: who can be beaten always tells nothing of the better one of two agents.
    """
    own = tuple(name for name in scripted_names(game) if ":" in name)
    usual = ("random", *(own or (("one_ply",) if is_built_in(game) else ())))
    return (*usual, *sorted(name for name in met if name not in usual and is_scripted(name, game)))


def default_shares(game: str) -> dict[str, float]:
    """Whom an agent meets unless it is told otherwise: mostly itself, its snapshots, and each yardstick."""
    judges = yardsticks(game)
    return {"self": 0.6, "snapshots": 0.2, **{name: 0.2 / len(judges) for name in judges}}


def search_forms(game: str) -> tuple[str, ...]:
    """How the players that search are written; nothing where a built-in game does not allow it."""
    return FORMS if not is_built_in(game) or allows_search(spec_of(game)) else ()


def is_scripted(name: str, game: str) -> bool:
    """Whether `scripted_player` makes that player for the game, or tells why a search cannot be had."""
    return parse(name) is not None or name in scripted_names(game)


def scripted_player(name: str, game: str | None = None) -> Player:
    """The scripted player of that name; `ConfigurationError` with the nearest one if there is none, or if it does not play `game`."""
    if (searcher := parse(name)) is not None:
        player = search_player(searcher)
        if game is not None and is_built_in(game):
            refuse_search(name, spec_of(game))
        elif game is not None:
            searchable(name, make(game, 1))
        return player
    known = SCRIPTED if game is None else scripted_names(game)
    if name not in known:
        expected = f"one of {', '.join((*known, *(FORMS if game is None else search_forms(game))))}"
        raise ConfigurationError("unknown opponent", got=name, expected=expected, remedy=nearest(name, known))
    return _BY_NAME[name]()
