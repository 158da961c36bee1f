"""Scripted players of Ludo. They see what the agent sees: the facts of each move stand in the observation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sparring.games import BatchedGame
from sparring.games.ludo.rules import AT_MOVES, MOVE_FACTS, TOKENS


@njit(cache=True, nogil=True)
def _choose(mask: Any, moves: Any, actions: Any) -> None:
    """`actions[i]` = the front token with the first fact that any legal move has; mask [m, 4], moves [m, 4, 6]."""
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
    """Captures; else brings home; leaves the yard; reaches safety; leaves danger; moves the front token."""

    name = "ludo:greedy"

    def act(self, game: BatchedGame, slots: NDArray[np.int64], uniforms: NDArray[np.float64]) -> NDArray[np.int64]:
        actions = np.empty(len(slots), np.int64)
        moves = game.observation[slots, AT_MOVES : AT_MOVES + TOKENS * MOVE_FACTS].reshape(len(slots), TOKENS, MOVE_FACTS)
        _choose(game.mask[slots], np.ascontiguousarray(moves), actions)
        return actions


class RacingLudoPlayer:
    """Always the front token that can move."""

    name = "ludo:racer"

    def act(self, game: BatchedGame, slots: NDArray[np.int64], uniforms: NDArray[np.float64]) -> NDArray[np.int64]:
        mask = game.mask[slots]
        return np.where(mask.any(axis=1), mask.argmax(axis=1), -1)
