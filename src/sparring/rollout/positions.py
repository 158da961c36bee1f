"""Positions as the rows of a worker show them: observations, or positions after moves.

`Observed` is for networks that value the actions of a position. A row has the observation of the
decision, and that of the next one.

`AfterMoves` is for networks that value positions after moves (`games/afterstates.py`). A row has
the position after the move, and the position after the best move of the next decision, by the
values of the agent that played: the target bootstraps from it (as TD-Gammon does; Tesauro, 1995).
A move that is not the best, because of exploration or of another player, ends the n-step return of
the decisions before it, which then bootstrap from the best move (the cut of Watkins's Q(lambda);
Sutton and Barto, 2018, section 12.10).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sparring.dqn.policy import values_of_moves
from sparring.games import BatchedGame
from sparring.games.afterstates import afterstates_of


class Decisions(NamedTuple):
    """The decisions of n slots as their rows store them; the arrays of bytes have k rows."""

    observation: NDArray[np.uint8]  # [k, bytes]
    mask: NDArray[np.uint8]  # [k, outputs of the network]
    row: NDArray[np.int64]  # [n] row of both; -1: not stored, the move ends the match
    action: NDArray[np.int64]  # [n]
    seat: NDArray[np.int64]  # [n] whose value is learned
    rewards: NDArray[np.float32]  # [n, P] that the value leaves out: paid by the move itself
    ends: NDArray[np.bool_]  # [n] the n-step returns of earlier decisions end here


class Successors(NamedTuple):
    """The positions in n slots that targets bootstrap from."""

    observation: NDArray[np.uint8]  # [k, bytes]
    mask: NDArray[np.uint8]  # [k, outputs of the network]
    row: NDArray[np.int64]  # [n] row of both; -1: the match has ended
    seat: NDArray[np.int64]  # [n] whose value it is
    rewards: NDArray[np.float32]  # [n, P] on the way to it
    value: NDArray[np.float32]  # [n] of the best move, for the seat to move, as the agent sees it


class Observed:
    """The game's own observations: views that are always those of the positions at hand."""

    def __init__(self, game: BatchedGame) -> None:
        n = game.num_slots
        self._shown = _bytes(game.observation), game.mask.view(np.uint8), np.arange(n)
        self._nothing = np.zeros((n, game.spec.num_players), np.float32)
        self._seat, self._ends = game.seat, np.zeros(n, np.bool_)
        self._next = Successors(*self._shown, game.seat, self._nothing, np.zeros(n, np.float32))

    def decisions(self, actions: NDArray[np.int64]) -> Decisions:
        """The decisions `actions` [n]."""
        return Decisions(*self._shown, actions, self._seat, self._nothing, self._ends)

    def successors(self) -> Successors:
        """The positions at hand."""
        return self._next


class AfterMoves:
    """Positions after the moves in each slot, with the values of the moves for the agent; `look`
    and `valued` come first.
    """

    values: NDArray[np.float32]  # [m, A] of the moves in the slots of the last look

    def __init__(self, game: BatchedGame) -> None:
        n, seats = game.num_slots, game.spec.num_players
        self._game = game
        self._best = np.zeros(n, np.int64)
        self._value = np.zeros(n, np.float32)
        self._action = np.zeros(n, np.int64)  # the only one of the network
        self._seat = np.zeros((2, n), np.int64)
        self._row = np.zeros((2, n), np.int64)
        self._rewards = np.zeros((2, n, seats), np.float32)
        self._ends = np.zeros(n, np.bool_)

    def look(self, slots: NDArray[np.int64]) -> NDArray[Any]:
        """Find the positions after the moves in `slots` [m], in which decisions are made or matches
        are cut; return the observations of these positions [k, ...], which the agent is to value.
        """
        self._slots, self._movers = slots, self._game.seat[slots]
        self._after = after = afterstates_of(self._game, slots)
        self._shown = _bytes(after.observation), np.ones((len(after.observation), 1), np.uint8)
        return after.observation

    def valued(self, values: NDArray[np.float32]) -> None:
        """Take the `values` [k, 1] of these positions."""
        self.values = values_of_moves(values, self._after, self._movers)
        self._best[self._slots] = self.values.argmax(axis=1)
        self._value[self._slots] = self.values.max(axis=1)

    def decisions(self, actions: NDArray[np.int64]) -> Decisions:
        """The decisions `actions` [n] in the positions that were looked at."""
        row, seat, rewards = self._of(actions, 0)
        _find_ends(self._slots, actions, self._best, row, self._ends)
        return Decisions(*self._shown, row, self._action, seat, rewards, self._ends)

    def successors(self) -> Successors:
        """The positions after the best moves."""
        row, seat, rewards = self._of(self._best, 1)
        return Successors(*self._shown, row, seat, rewards, self._value)

    def _of(
        self, actions: NDArray[np.int64], which: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Row [n], seat [n] and rewards [n, P] of the positions after these moves."""
        row, seat, rewards = self._row[which], self._seat[which], self._rewards[which]
        row.fill(-1)  # of slots that were not looked at
        _pick(self._slots, actions, self._after, row, seat, rewards)
        return row, seat, rewards


@njit(cache=True, nogil=True)
def _pick(slots: Any, actions: Any, after: Any, row: Any, seat: Any, rewards: Any) -> None:
    for j in range(slots.shape[0]):
        e = slots[j]
        action = actions[e]
        if action >= 0:
            row[e] = after.row[j, action]
            seat[e] = after.seat[j, action]
            for s in range(rewards.shape[1]):
                rewards[e, s] = after.rewards[j, action, s]


@njit(cache=True, nogil=True)
def _find_ends(slots: Any, actions: Any, best: Any, row: Any, ends: Any) -> None:
    for j in range(slots.shape[0]):
        e = slots[j]
        ends[e] = actions[e] != best[e] or row[e] < 0


def _bytes(observations: NDArray[Any]) -> NDArray[np.uint8]:
    size = math.prod(observations.shape[1:]) * observations.itemsize
    return observations.view(np.uint8).reshape(len(observations), size)
