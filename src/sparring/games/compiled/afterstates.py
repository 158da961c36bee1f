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
_FINE, _NOT_FINITE, _TOO_LARGE = 0, 4, 5  # as in `driver.py`

_move = compiled(getattr(sys.modules[_rules_name], "move", play), __name__)
_observe = compiled(observe, __name__)
_AS_MOVER = not SPEC.allows_zero_sum_bootstrap
_OWN_PART = SPEC.observation_shape[0]
_PLAYERS = SPEC.num_players
_DTYPE = np.dtype(SPEC.observation_dtype)
_SHOWS_FLOATS = _DTYPE.kind == "f"
_CHECKS_RANGE = (
    _DTYPE.kind in "iu" and _DTYPE.itemsize < 8 and not play.__module__.startswith("sparring.")
)
_LOWEST, _HIGHEST = (np.iinfo(_DTYPE).min, np.iinfo(_DTYPE).max) if _CHECKS_RANGE else (0, 0)


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
                    wrong = _show(state, slots.wide[0], out[rows][:_OWN_PART])
                    if _PLAYERS > 1:
                        out[rows][_OWN_PART + (comes_next - mover) % _PLAYERS] = 1
                else:
                    seats[j, action] = comes_next
                    wrong = _show(state, slots.wide[0], out[rows])
                if wrong != _FINE:
                    return wrong
                row[j, action] = rows
                rows += 1
    cursor[_TRIED] = -1
    return _FINE


@njit(nogil=True)
def _show(state: Any, wide: Any, observation: Any) -> Any:
    """Fill `observation`, all 0; return the breach if a value is not finite or does not fit."""
    if not _CHECKS_RANGE:
        _observe(state, observation)
        return _FINE if not _SHOWS_FLOATS or np.isfinite(observation).all() else _NOT_FINITE
    wide[:] = 0
    _observe(state, wide)
    values, shown = wide.ravel(), observation.ravel()
    for k in range(values.shape[0]):
        if not _LOWEST <= values[k] <= _HIGHEST:
            return _TOO_LARGE
        shown[k] = values[k]
    return _FINE
