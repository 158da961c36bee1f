"""Transitions from decisions and rewards, for many matches at once.

A *lane* is the sequence of decisions in which the next state is found: one per seat for `own_turn`,
one for the whole match for `zero_sum`. A decision waits in its lane until `n_steps`
further decisions have been made there, or the match ends. While it waits, its R collects what its
own seat is paid, discounted by gamma once per decision of the lane since it was made.

The kernels work on rows as raw bytes plus views of the few fields they compute, so that one
compilation serves every game.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sparring.games import BatchedGame
from sparring.games.spec import StateTree
from sparring.replay.transitions import transition_dtype

Bootstrap = Literal["own_turn", "zero_sum"]


@njit(nogil=True)
def _copy(source: Any, source_row: Any, target: Any, target_row: Any, begin: Any) -> None:
    """Copy a row: `target[target_row, begin:] = source[source_row]`, both [rows, bytes], for as
    many bytes as a row of `source` has.

    Unsigned indices are never counted from the end, so the compiler makes this a plain move of
    memory: ten times as fast as an assignment of slices, or as signed indices.
    """
    first, to, of = np.uint64(begin), np.uint64(target_row), np.uint64(source_row)
    for k in range(np.uint64(source.shape[1])):
        target[to, first + k] = source[of, k]


@njit(cache=True, nogil=True)
def _decide(
    waiting: Any, action_field: Any, R_field: Any, version_field: Any, seat_field: Any,
    learns_field: Any, head: Any, count: Any,
    out: Any, out_discount: Any, out_sign: Any, rows: Any,
    observation: Any, mask: Any, seat: Any, actions: Any, learns: Any,
    plies: Any, limit: Any, version: Any, own_turn: Any, powers: Any, offsets: Any,
) -> Any:  # fmt: skip
    """Enter each slot's decision into its lane; a decision that has waited for n_steps leaves with
    this position as its next state. Return the number of completed rows.
    """
    _, lanes, n_steps = R_field.shape
    at_observation, at_mask, at_next, at_next_mask = offsets
    for e in range(actions.shape[0]):
        s = seat[e]
        if actions[e] < 0 or plies[e] >= limit or (own_turn and not learns[e, s]):
            continue
        lane = s if own_turn else 0
        first = (e * lanes + lane) * n_steps
        if count[e, lane] == n_steps:
            i = head[e, lane]
            if learns_field[e, lane, i]:
                _copy(waiting, first + i, out, rows, 0)
                _copy(observation, e, out, rows, at_next)
                _copy(mask, e, out, rows, at_next_mask)
                out_discount[rows] = powers[n_steps]
                out_sign[rows] = 1 if seat_field[e, lane, i] == s else -1
                rows += 1
            head[e, lane] = i + 1 if i + 1 < n_steps else 0
            count[e, lane] -= 1
        i = head[e, lane] + count[e, lane]
        i -= n_steps if i >= n_steps else 0
        _copy(observation, e, waiting, first + i, at_observation)
        _copy(mask, e, waiting, first + i, at_mask)
        action_field[e, lane, i] = actions[e]
        R_field[e, lane, i] = 0.0
        version_field[e, lane, i] = version
        seat_field[e, lane, i] = s
        learns_field[e, lane, i] = learns[e, s]
        count[e, lane] += 1
    return rows


@njit(cache=True, nogil=True)
def _settle(
    waiting: Any, R_field: Any, seat_field: Any, learns_field: Any, head: Any, count: Any,
    out: Any, out_discount: Any, out_sign: Any, rows: Any,
    observation: Any, mask: Any, seat: Any, actions: Any,
    rewards: Any, terminated: Any, truncated: Any, over: Any,
    plies: Any, limit: Any, own_turn: Any, powers: Any, offsets: Any,
) -> Any:  # fmt: skip
    """Add what the step paid to every waiting decision; at the end of a match all of them leave.
    Fill `over` [n] with the matches that are over. Return the number of completed rows.
    """
    _, lanes, n_steps = R_field.shape
    _, _, at_next, at_next_mask = offsets
    for e in range(actions.shape[0]):
        over[e] = False
        if actions[e] < 0:
            continue
        cut = not terminated[e] and (truncated[e] or plies[e] >= limit)
        still_wait = False
        for lane in range(lanes):
            waits = count[e, lane]
            # A cut match bootstraps from the cut position, in own_turn only for the seat to move.
            bootstraps = cut and (not own_turn or lane == seat[e])
            leaves = terminated[e] or bootstraps
            for k in range(waits):
                i = head[e, lane] + k
                i -= n_steps if i >= n_steps else 0
                R_field[e, lane, i] += powers[waits - 1 - k] * rewards[e, seat_field[e, lane, i]]
                if not (leaves and learns_field[e, lane, i]):
                    continue
                _copy(waiting, (e * lanes + lane) * n_steps + i, out, rows, 0)
                if terminated[e]:
                    out_discount[rows] = 0.0
                    out_sign[rows] = 1
                else:
                    _copy(observation, e, out, rows, at_next)
                    _copy(mask, e, out, rows, at_next_mask)
                    out_discount[rows] = powers[waits - k]
                    out_sign[rows] = 1 if seat_field[e, lane, i] == seat[e] else -1
                rows += 1
            if leaves or truncated[e]:
                head[e, lane] = 0
                count[e, lane] = 0
            still_wait |= count[e, lane] > 0
        over[e] = terminated[e] or truncated[e] or (cut and not still_wait)
    return rows


class TransitionAssembler:
    """The transitions of one batch of matches: call `decide` before each step of the game and
    `settle` after it.

    At the ply limit a match is cut: waiting decisions bootstrap from the cut position. In
    `own_turn` only those of the seat to move can. To drop the others would keep rows by what
    happened after them, which biases targets. So a match whose game allows more plies is not `over`
    before each seat with a waiting decision is to move; decisions after the limit are not recorded.
    Where the game itself cuts (`truncated`), the others are dropped.

    Completed transitions gather in `rows` in the order (tick, env, seat, age), those of a tick that
    a decision completed before those that the end of a match completed. n-step returns are not
    corrected for actions that a newer policy would not choose.
    """

    def __init__(
        self, game: BatchedGame, *, bootstrap: Bootstrap, n_steps: int, gamma: float, block: int
    ) -> None:
        n, lanes = game.num_slots, game.spec.num_players if bootstrap == "own_turn" else 1
        self._game = game
        self._own_turn = bootstrap == "own_turn"
        self._powers = np.power(gamma, np.arange(n_steps + 1, dtype=np.float64))
        self._limit = game.spec.max_plies
        self.over = np.zeros(n, np.bool_)  # matches that the last `settle` ended
        self._dtype = transition_dtype(game.spec)
        self._waiting = np.zeros((n, lanes, n_steps), self._dtype)
        self._seat = np.zeros((n, lanes, n_steps), np.int64)
        self._learns = np.zeros((n, lanes, n_steps), np.bool_)
        self._head = np.zeros((n, lanes), np.int64)
        self._count = np.zeros((n, lanes), np.int64)
        self.block = block
        # One tick completes at most one decision a slot before the step, and all that wait in it
        # after.
        self._out = np.zeros(block + n * (1 + lanes * n_steps), self._dtype)
        self._filled = 0
        self._bind_views()

    def _bind_views(self) -> None:
        self._waiting_bytes = self._waiting.view(np.uint8).reshape(-1, self._dtype.itemsize)
        self._out_bytes = self._out.view(np.uint8).reshape(-1, self._dtype.itemsize)
        self._action, self._R, self._version = (
            self._waiting[name] for name in ("action", "R", "version")
        )
        self._out_discount, self._out_sign = self._out["discount"], self._out["sign"]
        self._observation = self._game.observation.view(np.uint8).reshape(self._game.num_slots, -1)
        self._mask = self._game.mask.view(np.uint8)
        fields = self._dtype.fields
        assert fields is not None
        self._offsets = tuple(
            fields[name][1] for name in ("observation", "mask", "next_observation", "next_mask")
        )

    @property
    def filled(self) -> int:
        """Number of completed transitions since the last `clear`."""
        return self._filled

    @property
    def rows(self) -> NDArray[Any]:
        """The completed transitions since the last `clear`; a view that the next `decide`
        overwrites.
        """
        return self._out[: self._filled]

    def clear(self) -> None:
        """Drop the completed transitions, which the caller has copied."""
        self._filled = 0

    def decide(self, actions: NDArray[np.int64], learns: NDArray[np.bool_], version: int) -> None:
        """Record the decisions that the game is about to play: `actions` [n]; `learns` [n, P] is
        true for seats that learn.
        """
        self._filled = _decide(
            self._waiting_bytes, self._action, self._R, self._version, self._seat,
            self._learns, self._head, self._count,
            self._out_bytes, self._out_discount, self._out_sign, self._filled,
            self._observation, self._mask, self._game.seat, actions, learns,
            self._game.plies, self._limit, version,
            self._own_turn, self._powers, self._offsets,
        )  # fmt: skip

    def settle(self, actions: NDArray[np.int64]) -> None:
        """Record what the step paid and which matches it ended."""
        game = self._game
        self._filled = _settle(
            self._waiting_bytes, self._R, self._seat, self._learns, self._head, self._count,
            self._out_bytes, self._out_discount, self._out_sign, self._filled,
            self._observation, self._mask, game.seat, actions,
            game.rewards, game.terminated, game.truncated, self.over,
            game.plies, self._limit, self._own_turn, self._powers, self._offsets,
        )  # fmt: skip

    def get_state(self) -> StateTree:
        """Copies of the decisions that still wait; completed transitions must have been cleared."""
        assert self._filled == 0
        return {
            "waiting": self._waiting.copy(),
            "seat": self._seat.copy(),
            "learns": self._learns.copy(),
            "head": self._head.copy(),
            "count": self._count.copy(),
        }

    def set_state(self, state: StateTree) -> None:
        """Go on from what `get_state` returned."""
        for name, own in (
            ("waiting", self._waiting),
            ("seat", self._seat),
            ("learns", self._learns),
            ("head", self._head),
            ("count", self._count),
        ):
            own[...] = state[name]
