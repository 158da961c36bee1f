"""Players that follow a fixed rule: opponents in training, baseline opponents in evaluation. They
break ties at random.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sparring.errors import ConfigurationError, nearest
from sparring.games import BatchedGame, is_built_in, label, make, spec_of
from sparring.games.lookahead import SearchableGame, allows_search, can_search, refuse_search
from sparring.games.ludo.rules import AT_MOVES, MOVE_FACTS, TOKENS
from sparring.games.rng import derive_keys
from sparring.opponents.names import FORMS, Searcher, parse
from sparring.opponents.players import Player

# One of several moves, at random.


@njit(cache=True, nogil=True)
def choose(candidates: Any, uniforms: Any, actions: Any) -> None:
    """`actions[i]` = one of the True entries of `candidates[i]`, uniformly by `uniforms[i, 1]`; -1
    where there is none.
    """
    for i in range(candidates.shape[0]):
        actions[i] = -1
        nth = np.int64(uniforms[i, 1] * np.sum(candidates[i]))
        for a in range(candidates.shape[1]):
            if candidates[i, a]:
                if nth == 0:
                    actions[i] = a
                    break
                nth -= 1


# Scripted players of Ludo. They see what the agent sees: the facts of each move stand in the
# observation.


@njit(cache=True, nogil=True)
def _choose(mask: Any, moves: Any, actions: Any) -> None:
    """`actions[i]` = the front token with the first fact that any legal move has; mask [m, 4],
    moves [m, 4, 6].
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
    """Captures; else brings home; leaves the yard; reaches safety; leaves danger; moves the front
    token.
    """

    name = "ludo:greedy"

    def act(
        self, game: BatchedGame, slots: NDArray[np.int64], uniforms: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        actions = np.empty(len(slots), np.int64)
        moves = game.observation[slots, AT_MOVES : AT_MOVES + TOKENS * MOVE_FACTS].reshape(
            len(slots), TOKENS, MOVE_FACTS
        )
        _choose(game.mask[slots], np.ascontiguousarray(moves), actions)
        return actions


class RacingLudoPlayer:
    """Always the front token that can move."""

    name = "ludo:racer"

    def act(
        self, game: BatchedGame, slots: NDArray[np.int64], uniforms: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        mask = game.mask[slots]
        return np.where(mask.any(axis=1), mask.argmax(axis=1), -1)


# Scripted players that look ahead, in any game of two players without chance or hidden information:
# alpha-beta, and UCT.


class MinimaxPlayer:
    """A move that is best when all lines of `depth` plies are looked at and nothing else is known;
    one of several at random.
    """

    def __init__(self, depth: int) -> None:
        self.name = f"minimax:{depth}"
        self._depth = depth

    def act(
        self, game: BatchedGame, slots: NDArray[np.int64], uniforms: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        actions = np.empty(len(slots), np.int64)
        choose(searchable(self.name, game).best_moves(slots, self._depth), uniforms, actions)
        return actions


class MCTSPlayer:
    """The move that UCT visits most in so many `playouts` from each position; it keeps no tree from
    one move to the next.
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
    """The player of that name."""
    return (
        MinimaxPlayer(searcher.effort)
        if searcher.kind == "minimax"
        else MCTSPlayer(searcher.effort)
    )


def searchable(name: str, game: BatchedGame) -> SearchableGame:
    """`game` itself; `ConfigurationError` where the player `name` cannot search in it."""
    refuse_search(name, game.spec)
    if not can_search(game):
        remedy = "it takes rules, or a class that plays one match"
        raise ConfigurationError(
            f"{name} cannot search in {game.spec.name}",
            got="a class that plays many matches",
            remedy=remedy,
        )
    return game


class RandomPlayer:
    """A uniformly random legal action."""

    name = "random"

    def act(
        self, game: BatchedGame, slots: NDArray[np.int64], uniforms: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        actions = np.empty(len(slots), np.int64)
        choose(game.mask[slots], uniforms, actions)
        return actions


class OnePlyPlayer:
    """Wins if it can at once; else takes a move with which the next seat would win; else plays at
    random.
    """

    name = "one_ply"

    def act(
        self, game: BatchedGame, slots: NDArray[np.int64], uniforms: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        actions = np.empty(len(slots), np.int64)
        choose(game.win_or_block(slots), uniforms, actions)
        return actions


_KINDS: Final[tuple[type[Player], ...]] = (
    RandomPlayer,
    OnePlyPlayer,
    GreedyLudoPlayer,
    RacingLudoPlayer,
)
_BY_NAME: Final[dict[str, type[Player]]] = {kind.name: kind for kind in _KINDS}
SCRIPTED: Final = tuple(
    _BY_NAME
)  # those that search have numbers in their names, and are not listed here


def scripted_names(game: str) -> tuple[str, ...]:
    """The scripted players that know a game, but for those that search: those named without a game,
    and its own.
    """
    own = f"{label(game)}:" if is_built_in(game) else None
    return tuple(
        name for name in SCRIPTED if ":" not in name or (own is not None and name.startswith(own))
    )


def baseline_opponents(game: str, met: Collection[str] = ()) -> tuple[str, ...]:
    """The scripted players against which agents of a game are evaluated: its own and `random`; of
    other built-in games `random` and `one_ply`.

    `one_ply` tries moves one by one, which takes long in a game that is not compiled. Those of
    `met`, the opponents of a training, that are scripted are among them: who can be beaten always
    tells nothing of the better one of two agents.
    """
    own = tuple(name for name in scripted_names(game) if ":" in name)
    usual = ("random", *(own or (("one_ply",) if is_built_in(game) else ())))
    return (*usual, *sorted(name for name in met if name not in usual and is_scripted(name, game)))


def default_shares(game: str) -> dict[str, float]:
    """Default shares of opponents: the agent, its snapshots, and each baseline opponent."""
    baselines = baseline_opponents(game)
    return {"self": 0.6, "snapshots": 0.2, **{name: 0.2 / len(baselines) for name in baselines}}


def search_forms(game: str) -> tuple[str, ...]:
    """Forms of the names of players that search; nothing where a built-in game does not allow it."""
    return FORMS if not is_built_in(game) or allows_search(spec_of(game)) else ()


def is_scripted(name: str, game: str) -> bool:
    """Return whether `scripted_player` makes that player for the game, or tells why a search cannot
    be had.
    """
    return parse(name) is not None or name in scripted_names(game)


def scripted_player(name: str, game: str | None = None) -> Player:
    """The scripted player of that name; `ConfigurationError` with the nearest one if there is none,
    or if it does not play `game`.
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
        expected = f"one of {', '.join((*known, *(FORMS if game is None else search_forms(game))))}"
        raise ConfigurationError(
            "unknown opponent", got=name, expected=expected, remedy=nearest(name, known)
        )
    return _BY_NAME[name]()
