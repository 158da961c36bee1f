"""Compiled lookups and updates of n-tuple tables.

The compiled functions call nothing outside of this file, because Numba's cache on disk does not
notice a change elsewhere.

P planes of C cells; T groups of L cells in K images of the board; `base` codes of a cell. `cells`
[L, K * T] are the cells of the groups, `starts` [K * T] the first entry of each group's table, and
`tables` [2, T, base ** L] the weights.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numba import njit

SETS: Final = 2  # of tables: for even and for odd numbers of occupied cells
_BETA: Final = np.float32(2.7)  # of the exponential form of TCL
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


@njit(cache=True, nogil=True)
def _read_cells(position: Any, planes: Any, support: Any, codes: Any) -> Any:
    """Fill `codes` [C] from a position [P * C]: 0 empty, 1 + p occupied, 1 + P empty and supported;
    return the number of occupied cells.
    """
    cells = codes.shape[0]
    occupied = 0
    for cell in range(cells):
        codes[cell] = 0
        for plane in range(planes):
            if position[plane * cells + cell] != 0:
                codes[cell] = 1 + plane
                occupied += 1
                break
    for cell in range(support.shape[0]):
        below = support[cell]
        if codes[cell] == 0 and (below < 0 or 0 < codes[below] <= planes):
            codes[cell] = 1 + planes
    return occupied


@njit(cache=True, nogil=True)
def _find(
    position: Any, planes: Any, support: Any, cells: Any, starts: Any, base: Any, flat: Any,
    codes: Any, places: Any,
) -> None:  # fmt: skip
    """Fill `places` [K * T] with the places in the `flat` tables that a position reads.

    The compiler vectorises these loops, because they run over the groups and indices are unsigned.
    """
    occupied = _read_cells(position, planes, support, codes)
    which = np.uint32(occupied % SETS) * np.uint32(flat.shape[0] // SETS)
    length, count = cells.shape
    for i in range(count):
        places[i] = codes[cells[0, i]]
    for j in range(1, length):
        for i in range(count):
            places[i] = places[i] * np.uint32(base) + codes[cells[j, i]]
    for i in range(count):
        places[i] += starts[i] + which


@njit(cache=True, nogil=True, fastmath={"reassoc", "nsz"})
def _sum(flat: Any, places: Any) -> Any:
    total = np.float32(0.0)
    for i in range(places.shape[0]):
        total += flat[places[i]]
    return total


@njit(cache=True, nogil=True)
def fill_values(
    positions: Any, planes: Any, support: Any, cells: Any, starts: Any, base: Any, tables: Any,
    scale: Any, out: Any,
) -> None:  # fmt: skip
    """Fill `out` [n] with the values of `positions` [n, P * C]."""
    flat = tables.reshape(-1)
    codes = np.zeros(positions.shape[1] // planes, np.uint32)
    places = np.zeros(cells.shape[1], np.uint32)
    for i in range(positions.shape[0]):
        _find(positions[i], planes, support, cells, starts, base, flat, codes, places)
        out[i] = scale * math.tanh(_sum(flat, places))


@njit(cache=True, nogil=True)
def learn(
    positions: Any, followers: Any, R: Any, discount: Any, sign: Any, limits: Any,
    planes: Any, support: Any, cells: Any, starts: Any, base: Any, tables: Any, scale: Any,
    sums: Any, learning_rate: Any, errors: Any, values: Any,
) -> None:  # fmt: skip
    """Move the tables towards the targets of B transitions, one after the other
    (`table_learner.py`); fill `errors` and `values` [B] with TD errors and the values before.

    `followers` are the next positions, `sums` [2, T, base ** L, 2] the sums N and A of each weight.
    """
    flat, both = tables.reshape(-1), sums.reshape(-1, 2)
    codes = np.zeros(positions.shape[1] // planes, np.uint32)
    places = np.zeros(cells.shape[1], np.uint32)
    rate = np.float32(learning_rate)
    for b in range(positions.shape[0]):
        target = R[b]
        if discount[b] != 0.0:
            _find(followers[b], planes, support, cells, starts, base, flat, codes, places)
            target += discount[b] * sign[b] * scale * math.tanh(_sum(flat, places))
        _find(positions[b], planes, support, cells, starts, base, flat, codes, places)
        slope = math.tanh(_sum(flat, places))
        values[b] = scale * slope
        errors[b] = min(max(target, limits[0]), limits[1]) - values[b]
        change = np.float32(errors[b] * scale * (1.0 - slope * slope))
        for i in range(places.shape[0]):
            place = places[i]
            N, A = both[place, 0], both[place, 1]
            agreement = abs(N) / A if A > _ZERO else _ONE
            flat[place] += rate * change * math.exp(_BETA * (agreement - _ONE))
            both[place, 0] = N + change
            both[place, 1] = A + abs(change)
