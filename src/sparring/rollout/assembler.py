"""Transitions from decisions and rewards, for many matches at once.

A *lane* is the sequence of decisions in which the next state is found: one per seat for `own_turn`,
one for the whole match for `zero_sum`. A decision waits in its lane until `n_steps`
further decisions have been made there, or the match ends. While it waits, its R collects what its
own seat is paid, discounted by gamma once per decision of the lane since it was made.

With `td_lambda` below 1 the returns are lambda-returns, truncated after `n_steps` (Sutton and
Barto, 2018, section 12.3). R then also collects (1 - lambda) of the value of each position on the
way, and all that comes later counts lambda as much:

    G_t = r + gamma * ((1 - lambda) * value + lambda * G_(t+1))

All these values are those of the agent that played, the last one too: such rows have no next state
that targets bootstrap from.

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
from sparring.rollout.positions import Decisions, Successors

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
    out: Any, out_R: Any, out_discount: Any, out_sign: Any, rows: Any,
    made: Any, following: Any, entered: Any, seat: Any, actions: Any, learns: Any,
    plies: Any, limit: Any, version: Any, own_turn: Any, powers: Any, td_lambda: Any,
    offsets: Any,
) -> Any:  # fmt: skip
    """Enter each slot's decision into its lane; a decision that has waited for n_steps, or for one
    that `ends` earlier ones, leaves with the position that is `following`. Fill `entered` [n] with
    the lane of each slot's decision, or -1. Return the number of completed rows.
    """
    _, lanes, n_steps = R_field.shape
    at_observation, at_mask, _, _ = offsets
    for e in range(actions.shape[0]):
        s = seat[e]
        entered[e] = -1
        if actions[e] < 0 or plies[e] >= limit or (own_turn and not learns[e, s]):
            continue
        lane = s if own_turn else 0
        first = (e * lanes + lane) * n_steps
        waits = count[e, lane]
        leaving = waits if made.ends[e] else max(0, waits + 1 - n_steps)
        for k in range(leaving):
            i = head[e, lane]
            if learns_field[e, lane, i]:
                own = seat_field[e, lane, i]
                _complete(
                    waiting, first + i, out, out_R, out_discount, out_sign, rows,
                    False, following, e, s, own, powers[waits - k], td_lambda, offsets,
                )  # fmt: skip
                rows += 1
            head[e, lane] = i + 1 if i + 1 < n_steps else 0
            count[e, lane] -= 1
        for k in range(count[e, lane] if td_lambda < 1.0 else 0):
            i = head[e, lane] + k
            i -= n_steps if i >= n_steps else 0
            value = following.value[e] if seat_field[e, lane, i] == s else -following.value[e]
            R_field[e, lane, i] += (1.0 - td_lambda) * powers[count[e, lane] - k] * value
        if made.row[e] < 0:
            continue
        i = head[e, lane] + count[e, lane]
        i -= n_steps if i >= n_steps else 0
        _copy(made.observation, made.row[e], waiting, first + i, at_observation)
        _copy(made.mask, made.row[e], waiting, first + i, at_mask)
        action_field[e, lane, i] = made.action[e]
        R_field[e, lane, i] = 0.0
        version_field[e, lane, i] = version
        seat_field[e, lane, i] = made.seat[e]
        learns_field[e, lane, i] = learns[e, s]
        count[e, lane] += 1
        entered[e] = lane
    return rows


@njit(nogil=True)
def _complete(
    waiting: Any, source: Any, out: Any, out_R: Any, out_discount: Any, out_sign: Any, row: Any,
    ended: Any, following: Any, e: Any, mover: Any, own: Any, power: Any, td_lambda: Any,
    offsets: Any,
) -> None:  # fmt: skip
    """Copy the decision `waiting[source]` of seat `own` to `row`, and add its next state: the
    position that is `following` in slot e, in which `mover` is to move, `power` being the discount
    of the steps between, unless the match has `ended`.
    """
    _, _, at_next, at_next_mask = offsets
    _copy(waiting, source, out, row, 0)
    out_discount[row], out_sign[row] = 0.0, 1
    if ended:
        return
    if td_lambda < 1.0:
        out_R[row] += power * (following.value[e] if own == mover else -following.value[e])
        return
    out_R[row] += power * following.rewards[e, own]
    if following.row[e] < 0:
        return
    _copy(following.observation, following.row[e], out, row, at_next)
    _copy(following.mask, following.row[e], out, row, at_next_mask)
    out_discount[row] = power
    out_sign[row] = 1 if own == following.seat[e] else -1


@njit(cache=True, nogil=True)
def _settle(
    waiting: Any, R_field: Any, seat_field: Any, learns_field: Any, head: Any, count: Any,
    out: Any, out_R: Any, out_discount: Any, out_sign: Any, rows: Any,
    following: Any, entered: Any, paid: Any, seat: Any, actions: Any,
    rewards: Any, terminated: Any, truncated: Any, over: Any,
    plies: Any, limit: Any, own_turn: Any, powers: Any, decays: Any, td_lambda: Any, offsets: Any,
) -> Any:  # fmt: skip
    """Add what the step paid to every waiting decision, to the newest without what its move `paid`;
    at the end of a match all of them leave, and at a cut with the position that is `following`.
    Fill `over` [n] with the matches that are over. Return the number of completed rows.
    """
    _, lanes, n_steps = R_field.shape
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
                own = seat_field[e, lane, i]
                reward = rewards[e, own]
                if k == waits - 1 and lane == entered[e]:
                    reward -= paid[e, own]
                R_field[e, lane, i] += decays[waits - 1 - k] * reward
                if not (leaves and learns_field[e, lane, i]):
                    continue
                first = (e * lanes + lane) * n_steps
                _complete(
                    waiting, first + i, out, out_R, out_discount, out_sign, rows,
                    terminated[e], following, e, seat[e], own, powers[waits - k], td_lambda,
                    offsets,
                )  # fmt: skip
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
        self,
        game: BatchedGame,
        dtype: np.dtype[Any],
        *,
        bootstrap: Bootstrap,
        n_steps: int,
        gamma: float,
        td_lambda: float = 1.0,
        block: int,
    ) -> None:
        n, lanes = game.num_slots, game.spec.num_players if bootstrap == "own_turn" else 1
        self._game = game
        self._own_turn = bootstrap == "own_turn"
        self._lambda = td_lambda
        # weights of what is paid, and of the value of a position, so many decisions later
        steps = np.arange(n_steps + 1, dtype=np.float64)
        self._decays = np.power(gamma, steps) * np.power(td_lambda, steps)
        self._powers = np.power(gamma, steps)
        self._powers[1:] *= np.power(td_lambda, steps[:-1])
        self._limit = game.spec.max_plies
        self.over = np.zeros(n, np.bool_)  # matches that the last `settle` ended
        self._dtype = dtype
        self._waiting = np.zeros((n, lanes, n_steps), self._dtype)
        self._seat = np.zeros((n, lanes, n_steps), np.int64)
        self._learns = np.zeros((n, lanes, n_steps), np.bool_)
        self._head = np.zeros((n, lanes), np.int64)
        self._count = np.zeros((n, lanes), np.int64)
        self._entered = np.zeros(n, np.int64)
        self.block = block
        # One tick completes at most all decisions that wait in a slot, and the one that it makes.
        self._out = np.zeros(block + n * (1 + lanes * n_steps), self._dtype)
        self._filled = 0
        self._bind_views()

    def _bind_views(self) -> None:
        self._waiting_bytes = self._waiting.view(np.uint8).reshape(-1, self._dtype.itemsize)
        self._out_bytes = self._out.view(np.uint8).reshape(-1, self._dtype.itemsize)
        self._action, self._R, self._version = (
            self._waiting[name] for name in ("action", "R", "version")
        )
        self._out_R, self._out_discount, self._out_sign = (
            self._out[name] for name in ("R", "discount", "sign")
        )
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

    def decide(
        self,
        actions: NDArray[np.int64],
        learns: NDArray[np.bool_],
        version: int,
        made: Decisions,
        following: Successors,
    ) -> None:
        """Record the decisions that the game is about to play: `actions` [n], as the rows store
        them `made`; `learns` [n, P] is true for seats that learn. Earlier ones are `following`ed by
        the positions at hand.
        """
        self._paid = made.rewards
        self._filled = _decide(
            self._waiting_bytes, self._action, self._R, self._version, self._seat,
            self._learns, self._head, self._count,
            self._out_bytes, self._out_R, self._out_discount, self._out_sign, self._filled,
            made, following, self._entered, self._game.seat, actions, learns,
            self._game.plies, self._limit, version,
            self._own_turn, self._powers, self._lambda, self._offsets,
        )  # fmt: skip

    def settle(self, actions: NDArray[np.int64], following: Successors) -> None:
        """Record what the step paid and which matches it ended; `following` are the positions of
        the matches that were cut.
        """
        game = self._game
        self._filled = _settle(
            self._waiting_bytes, self._R, self._seat, self._learns, self._head, self._count,
            self._out_bytes, self._out_R, self._out_discount, self._out_sign, self._filled,
            following, self._entered, self._paid, game.seat, actions,
            game.rewards, game.terminated, game.truncated, self.over,
            game.plies, self._limit, self._own_turn, self._powers, self._decays, self._lambda,
            self._offsets,
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
