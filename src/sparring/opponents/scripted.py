"""Scripted players: opponents in training, baseline opponents in evaluation. They break ties at
random.
"""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Any, Final, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sparring.errors import ConfigurationError, nearest
from sparring.games import BatchedGame, is_built_in, label, make, spec_of
from sparring.games.compiled.game import CompiledGame
from sparring.games.lookahead import SearchableGame, allows_search, can_search, refuse_search
from sparring.games.ludo.rules import AT_MOVES, AT_OTHERS, MOVE_FACTS, TOKENS
from sparring.games.rng import choose, derive_keys
from sparring.opponents.names import FORMS, OTHER_FORMS, Searcher, parse
from sparring.opponents.players import Player
from sparring.opponents.user_players import is_from_outside


@njit(cache=True, nogil=True)
def _greedy_tokens(mask: Any, moves: Any, actions: Any) -> None:
    """`actions[i]` = the front token with the first fact that any legal move has; mask [m, 4],
    moves [m, 4, 6], the facts that the observation has of each move.
    """
    for i in range(mask.shape[0]):
        best, best_rank = -1, 6
        for k in range(mask.shape[1]):
            if mask[i, k]:
                rank = 5
                for fact in range(4):  # captures, brings home, leaves the yard, reaches safety
                    if moves[i, k, fact] and fact < rank:
                        rank = fact
                if rank == 5 and moves[i, k, 4] and not moves[i, k, 5]:  # leaves danger
                    rank = 4
                if rank < best_rank:
                    best, best_rank = k, rank
        actions[i] = best


class GreedyLudoPlayer:
    """The first of these that a token can do: capture, come home, leave the yard, reach safety,
    leave danger; otherwise the front token.
    """

    name = "ludo:greedy"

    def act(
        self, game: BatchedGame, slots: NDArray[np.int64], uniforms: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        actions = np.empty(len(slots), np.int64)
        with_facts = f"ludo(num_players={game.spec.num_players})"
        if game.spec.observation_shape == spec_of(with_facts).observation_shape:
            observation = game.observation[slots, AT_MOVES:AT_OTHERS]
        else:
            observation = _made(with_facts).observe_other(cast(CompiledGame, game), slots)
            observation = observation[:, AT_MOVES:AT_OTHERS]
        moves = np.ascontiguousarray(observation).reshape(len(slots), TOKENS, MOVE_FACTS)
        _greedy_tokens(game.mask[slots], moves, actions)
        return actions


@functools.cache
def _made(game: str) -> CompiledGame:
    return cast(CompiledGame, make(game, 1))


class RacingLudoPlayer:
    """The front token that can move."""

    name = "ludo:racer"

    def act(
        self, game: BatchedGame, slots: NDArray[np.int64], uniforms: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        mask = game.mask[slots]
        return np.where(mask.any(axis=1), mask.argmax(axis=1), -1)


class MinimaxPlayer:
    """A random one of the best moves by an exhaustive search of `depth` plies (alpha-beta), in
    games of two players without chance and hidden information.
    """

    def __init__(self, depth: int) -> None:
        self.name = f"minimax:{depth}"
        self._depth = depth

    def act(
        self, game: BatchedGame, slots: NDArray[np.int64], uniforms: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        actions = np.empty(len(slots), np.int64)
        best = searchable(self.name, game).best_moves(slots, self._depth)
        choose(best, uniforms[:, 1], actions)
        return actions


class MCTSPlayer:
    """The move that UCT visits most in `playouts` playouts, in the same games; it keeps no tree
    from one move to the next.
    """

    def __init__(self, playouts: int) -> None:
        self.name = f"mcts:{playouts}"
        self._playouts = playouts

    def act(
        self, game: BatchedGame, slots: NDArray[np.int64], uniforms: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        keys, bits = np.empty(len(slots), np.uint64), np.ascontiguousarray(uniforms).view(np.uint64)
        derive_keys(np.uint64(0), bits[:, 0], bits[:, 1], keys)
        return searchable(self.name, game).most_visited(slots, self._playouts, keys)


def search_player(searcher: Searcher) -> MinimaxPlayer | MCTSPlayer:
    """Make the player of that name."""
    return (
        MinimaxPlayer(searcher.effort)
        if searcher.kind == "minimax"
        else MCTSPlayer(searcher.effort)
    )


def searchable(name: str, game: BatchedGame) -> SearchableGame:
    """Return `game`; raise `ConfigurationError` if the player `name` cannot search in it."""
    refuse_search(name, game.spec)
    if not can_search(game):
        remedy = "it needs compiled rules, or a class that plays one match"
        raise ConfigurationError(
            f"{name} cannot search in {game.spec.name}",
            got="a class that plays many matches",
            remedy=remedy,
        )
    return game


class RandomPlayer:
    """Uniformly random legal actions."""

    name = "random"

    def act(
        self, game: BatchedGame, slots: NDArray[np.int64], uniforms: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        actions = np.empty(len(slots), np.int64)
        choose(game.mask[slots], uniforms[:, 1], actions)
        return actions


class OnePlyPlayer:
    """A move that wins at once, otherwise one with which the next seat would win, otherwise any;
    see `BatchedGame.win_or_block` for games in which it looks for less.
    """

    name = "one_ply"

    def act(
        self, game: BatchedGame, slots: NDArray[np.int64], uniforms: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        actions = np.empty(len(slots), np.int64)
        choose(game.win_or_block(slots), uniforms[:, 1], actions)
        return actions


_KINDS: Final[tuple[type[Player], ...]] = (
    RandomPlayer,
    OnePlyPlayer,
    GreedyLudoPlayer,
    RacingLudoPlayer,
)
_BY_NAME: Final[dict[str, type[Player]]] = {kind.name: kind for kind in _KINDS}
SCRIPTED: Final = tuple(_BY_NAME)  # without those that search, which have numbers in their names


def scripted_names(game: str) -> tuple[str, ...]:
    """Return the scripted players of a game, except those that search: the general ones and its
    own.
    """
    own = f"{label(game)}:" if is_built_in(game) else None
    return tuple(
        name for name in SCRIPTED if ":" not in name or (own is not None and name.startswith(own))
    )


def baseline_opponents(game: str, trained_with: Collection[str] = ()) -> tuple[str, ...]:
    """Return the scripted players for the evaluation of a game's agents: `random` and its own;
    `random` and `one_ply` for other built-in games.

    `one_ply` tries moves one by one, which is slow in a game that is not compiled. The opponents
    of `trained_with`, those of a training, are added, except the agent and its snapshots: opponents
    that are always beaten do not show which of two agents is better.
    """
    own = tuple(name for name in scripted_names(game) if ":" in name)
    usual = ("random", *(own or (("one_ply",) if is_built_in(game) else ())))
    added = (
        name
        for name in trained_with
        if name not in usual and (is_scripted(name, game) or is_from_outside(name))
    )
    return (*usual, *sorted(added))


def default_shares(game: str) -> dict[str, float]:
    """Return the default shares: the agent, its snapshots, and each baseline opponent."""
    baselines = baseline_opponents(game)
    return {"self": 0.6, "snapshots": 0.2, **{name: 0.2 / len(baselines) for name in baselines}}


def search_forms(game: str) -> tuple[str, ...]:
    """Return the name forms of players that search; () if a built-in game does not allow search."""
    return FORMS if not is_built_in(game) or allows_search(spec_of(game)) else ()


def is_scripted(name: str, game: str) -> bool:
    """Return whether the name is that of a scripted player of the game, or of one that searches."""
    return parse(name) is not None or name in scripted_names(game)


def scripted_player(name: str, game: str | None = None) -> Player:
    """Make the scripted player of that name; raise `ConfigurationError` if there is none, or if it
    does not play `game`.
    """
    if (searcher := parse(name)) is not None:
        player = search_player(searcher)
        if game is not None and is_built_in(game):
            refuse_search(name, spec_of(game))
        elif game is not None:
            searchable(name, make(game, 1))
        return player
    known = SCRIPTED if game is None else scripted_names(game)
    if name not in known:
        searches = FORMS if game is None else search_forms(game)
        expected = f"one of {', '.join((*known, *searches, *OTHER_FORMS))}"
        raise ConfigurationError(
            "unknown opponent", got=name, expected=expected, remedy=nearest(name, known)
        )
    return _BY_NAME[name]()
