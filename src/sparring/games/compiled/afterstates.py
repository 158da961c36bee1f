"""Positions after each legal move of compiled rules; `cache.py` writes a copy for each game, as it
does of `driver.py`.

Rules with chance offer them by a function `move`, with the arguments of `play`, which does what
`play` does before it draws. Without chance `play` itself is used.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numba import njit

from sparring.games.compiled.jit import compiled, unowned
from sparring.games.tic_tac_toe import SPEC, observe, play
from sparring.games.tic_tac_toe import __name__ as _rules_name

_SLOT, _RUNNING, _TRIED = range(3)  # entries of the cursor
_PLAY = 3  # rules functions, as in `driver.py`
_FINE = 0

_move = compiled(getattr(sys.modules[_rules_name], "move", play), __name__)
_observe = compiled(observe, __name__)
_AS_MOVER = not SPEC.allows_zero_sum_bootstrap
_OWN_PART = SPEC.observation_shape[0]
_PLAYERS = SPEC.num_players


@njit(cache=True, nogil=True)
def afterstates(slots: Any, chosen: Any, out: Any, row: Any, seats: Any, rewards: Any) -> Any:
    """Fill `row`, `seats` [m, A] and `rewards` [m, A, P] for the slots `chosen` [m], and the
    first rows of `out`, all 0, with the observations; `row` and `seats` are -1 at first.
    """
    slots = unowned(slots)
    trial = np.zeros(1, slots.states.dtype)
    stream = np.zeros(2, np.uint64)
    cursor = slots.cursor
    cursor[_RUNNING] = _PLAY
    rows = 0
    for j in range(chosen.shape[0]):
        i = chosen[j]
        cursor[_SLOT] = i
        mover = slots.seat[i]
        for action in range(row.shape[1]):
            if slots.mask[i, action]:
                cursor[_TRIED] = action
                trial[0] = slots.states[i]
                state = trial[0]
                seats[j, action] = mover
                if _move(state, action, rewards[j, action], stream):
                    continue
                comes_next = state["seat"]
                if _AS_MOVER:
                    state["seat"] = mover
                    _observe(state, out[rows][:_OWN_PART])
                    if _PLAYERS > 1:
                        out[rows][_OWN_PART + (comes_next - mover) % _PLAYERS] = 1
                else:
                    seats[j, action] = comes_next
                    _observe(state, out[rows])
                row[j, action] = rows
                rows += 1
    cursor[_TRIED] = -1
    return _FINE
