"""Positions of an agent's play with its values of all moves: what a student is fitted to
(`training/distillation.py`). The agent is its teacher.

The teacher plays against itself. Each match has an epsilon of its own between 0 and 1, the share of
random moves: the student also has to value what good play never reaches.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparring.dqn.networks import PolicySpec
from sparring.dqn.policy import InferencePolicy
from sparring.games import BatchedGame
from sparring.games.afterstates import Afterstates, afterstates_of
from sparring.games.rng import EXPLORATION, PLAYERS, choose, derive_keys, uniforms
from sparring.replay.transitions import transition_dtype


class Taught(NamedTuple):
    """m positions in which a seat is to move, and what their moves are worth; A actions."""

    observation: NDArray[Any]  # [m, *observation_shape]
    mask: NDArray[np.bool_]  # [m, A]
    mover: NDArray[np.int64]  # [m] the seat to move
    after: Afterstates | None  # of all their moves, if teacher or student values these
    values: NDArray[np.float32]  # [m, A] of the moves for the mover; -inf for illegal moves

    def transitions(self, student: PolicySpec) -> NDArray[Any]:
        """Rows [k] from which `student` learns these values: one for each legal move, or with
        afterstates for each position after a move. Their target is R.
        """
        if student.afterstates:
            return self._of_positions_after(student)
        position, action = np.nonzero(self.mask)
        rows = np.zeros(len(action), transition_dtype(student.network_game))
        rows["observation"], rows["mask"] = self.observation[position], self.mask[position]
        rows["action"], rows["R"], rows["sign"] = action, self.values[position, action], 1
        return rows

    def _of_positions_after(self, student: PolicySpec) -> NDArray[Any]:
        """Invert `games.afterstates.fill_action_values`."""
        after = self.after
        assert after is not None
        position, action = np.nonzero(after.row >= 0)
        mover, seat = self.mover[position], after.seat[position, action]
        gain = self.values[position, action] - after.rewards[position, action, mover]
        rows = np.zeros(len(gain), transition_dtype(student.network_game))
        rows["observation"] = after.observation[after.row[position, action]]
        rows["mask"], rows["R"], rows["sign"] = True, np.where(seat == mover, gain, -gain), 1
        return rows

    def values_by(self, policy: InferencePolicy) -> NDArray[np.float32]:
        """[m, A] values of the moves as `policy` sees them; -inf for illegal moves."""
        if policy.spec.afterstates:
            assert self.after is not None
            return policy.values_after(self.after, self.mover)
        q = policy.q_values(self.observation)
        legal: NDArray[np.float32] = np.where(self.mask, q, np.float32(-np.inf))
        return legal


class Lessons:
    """Matches in all slots of `game` that `teacher` plays against itself, one after another; with
    `afterstates` for a student that values positions after moves. Equal `key`, equal positions.
    """

    def __init__(
        self, teacher: InferencePolicy, game: BatchedGame, *, afterstates: bool, key: int
    ) -> None:
        n = game.num_slots
        self._teacher, self._game, self._base = teacher, game, np.uint64(key)
        self._afterstates = afterstates or teacher.spec.afterstates
        self._all_slots = np.arange(n)
        self._number = np.full(n, -1)
        self._keys = np.zeros(n, np.uint64)
        self._epsilon = np.zeros(n)
        self._begin(self._all_slots)

    def play(self) -> Taught:
        """Play one ply in every slot; return the positions before it."""
        game, taught = self._game, self.look(self._all_slots)
        game.step(self._choose(taught.values))
        self._begin(np.flatnonzero(game.terminated | game.truncated))
        return taught

    def look(self, slots: NDArray[np.int64]) -> Taught:
        """The positions in `slots` [m]."""
        game = self._game
        after = afterstates_of(game, slots) if self._afterstates else None
        mask = game.mask[slots]
        no_values = np.empty(mask.shape, np.float32)
        taught = Taught(game.observation[slots], mask, game.seat[slots], after, no_values)
        return taught._replace(values=taught.values_by(self._teacher))

    def _choose(self, values: NDArray[np.float32]) -> NDArray[np.int64]:
        """Actions [n]: the best by `values` [n, A], or random ones."""
        game, random = self._game, np.empty(len(values), np.int64)
        draws = uniforms(self._keys, game.plies, EXPLORATION, 2)
        choose(game.mask, draws[:, 1], random)
        return np.where(draws[:, 0] < self._epsilon, random, values.argmax(axis=1))

    def _begin(self, slots: NDArray[np.int64]) -> None:
        """Start the next match in each of `slots` [m]."""
        self._number[slots] += 1
        keys = np.empty(len(slots), np.uint64)
        derive_keys(self._base, slots, self._number[slots], keys)
        self._keys[slots] = keys
        self._epsilon[slots] = uniforms(keys, np.zeros(len(slots), np.int64), PLAYERS, 1)[:, 0]
        self._game.reset(slots, keys)
