"""Scripted players that look ahead, in any game of two players without chance or hidden information: alpha-beta, and UCT."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sparring.errors import ConfigurationError
from sparring.games import BatchedGame
from sparring.games.random import derive_keys
from sparring.games.searching import SearchableGame, can_search, refuse_search
from sparring.opponents.choosing import choose
from sparring.searchers import Searcher


class MinimaxPlayer:
    """A move that is best when all lines of `depth` plies are looked at and nothing else is known; one of several at random."""

    def __init__(self, depth: int) -> None:
        self.name = f"minimax:{depth}"
        self._depth = depth

    def act(self, game: BatchedGame, slots: NDArray[np.int64], uniforms: NDArray[np.float64]) -> NDArray[np.int64]:
        actions = np.empty(len(slots), np.int64)
        choose(searchable(self.name, game).best_moves(slots, self._depth), uniforms, actions)
        return actions


class MCTSPlayer:
    """The move that UCT visits most in so many `playouts` from each position; it keeps no tree from one move to the next."""

    def __init__(self, playouts: int) -> None:
        self.name = f"mcts:{playouts}"
        self._playouts = playouts

    def act(self, game: BatchedGame, slots: NDArray[np.int64], uniforms: NDArray[np.float64]) -> NDArray[np.int64]:
        keys, bits = np.empty(len(slots), np.uint64), np.ascontiguousarray(uniforms).view(np.uint64)
        derive_keys(np.uint64(0), bits[:, 0], bits[:, 1], keys)
        return searchable(self.name, game).most_visited(slots, self._playouts, keys)


def search_player(searcher: Searcher) -> MinimaxPlayer | MCTSPlayer:
    """The player of that name."""
    return MinimaxPlayer(searcher.effort) if searcher.kind == "minimax" else MCTSPlayer(searcher.effort)


def searchable(name: str, game: BatchedGame) -> SearchableGame:
    """`game` itself; `ConfigurationError` where the player `name` cannot search in it."""
    refuse_search(name, game.spec)
    if not can_search(game):
        remedy = "it takes rules, or a class that plays one match"
        raise ConfigurationError(f"{name} cannot search in {game.spec.name}", got="a class that plays many matches", remedy=remedy)
    return game
