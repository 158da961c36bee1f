"""Compiled lookups and updates of n-tuple tables.

The compiled functions call nothing outside of this file, because Numba's cache on disk does not
notice a change elsewhere.

P planes of C cells; T groups of cells in K images of the board; `base` codes of a cell. `tables`
[2, W] are the weights.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparring.njit import njit

SETS: Final = 2  # of tables: for even and for odd numbers of occupied cells
_BETA: Final = np.float32(2.7)  # of the exponential form of TCL
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
# e ** x = (e ** (x / 4)) ** 4, by the series of the inner one; to 4e-5 for x from -2.7 to 0
_QUARTER = np.float32(0.25)
_SERIES: Final = tuple(np.float32(1 / math.factorial(k)) for k in range(7))


class Lookup(NamedTuple):
    """The places in the tables that a position reads: the sum of `parts` over its cells."""

    planes: int
    support: NDArray[np.int64]  # [C] the cell that is to be occupied first, -1: none; or empty
    starts: NDArray[np.uint32]  # [K * T] the first place of each group's table
    parts: NDArray[np.uint32]  # [C, base, K * T] what a cell with this code adds to the places


# The loops below have no branches and unsigned indices, so that the compiler vectorises them.


@njit(cache=True, nogil=True)
def _read_cells(position: Any, lookup: Any, shown: Any, codes: Any) -> Any:
    """Fill `codes` [C] from a position [P * C]: 0 empty, 1 + p occupied, 1 + P empty and supported;
    return the number of occupied cells. `shown` [C] is scratch.
    """
    cells, planes = np.uint64(codes.shape[0]), np.uint64(lookup.planes)
    shown[:] = 0
    for plane in range(planes):
        begin, code = plane * cells, np.uint32(plane + 1)
        for cell in range(cells):
            shown[cell] = code if position[begin + cell] != 0 else shown[cell]
    occupied = np.uint32(0)
    for cell in range(cells):
        occupied += np.uint32(shown[cell] != 0)
        codes[cell] = shown[cell]
    support = lookup.support
    for cell in range(np.uint64(support.shape[0])):
        below = support[cell]
        free = (shown[cell] == 0) & ((below < 0) | (shown[max(below, 0)] != 0))
        codes[cell] = np.uint32(planes + 1) if free else shown[cell]
    return occupied


@njit(cache=True, nogil=True)
def _find(codes: Any, begin: Any, lookup: Any, places: Any) -> None:
    """Fill `places` [K * T] with the places that cells with these codes read, in the tables that
    begin at place `begin`.
    """
    starts, parts = lookup.starts, lookup.parts
    n = np.uint64(places.shape[0])
    for i in range(n):
        places[i] = starts[i] + begin
    for cell in range(np.uint64(codes.shape[0])):
        code = np.uint64(codes[cell])
        if code != 0:
            for i in range(n):
                places[i] += parts[cell, code, i]


@njit(cache=True, nogil=True)
def _move(codes: Any, before: Any, lookup: Any, places: Any) -> None:
    """Move `places` [K * T] of cells with the codes `before` to those of `codes`."""
    parts, n = lookup.parts, np.uint64(places.shape[0])
    for cell in range(np.uint64(codes.shape[0])):
        new, old = np.uint64(codes[cell]), np.uint64(before[cell])
        if new != old:
            for i in range(n):  # differences below 0 wrap around, and back
                places[i] += parts[cell, new, i] - parts[cell, old, i]


@njit(cache=True, nogil=True)
def _count_changes(codes: Any, before: Any) -> Any:
    changes = 0
    for cell in range(codes.shape[0]):
        changes += 1 if codes[cell] != before[cell] else 0
    return changes


@njit(cache=True, nogil=True, fastmath={"reassoc", "nsz"})
def _sum(flat: Any, places: Any) -> Any:
    total = np.float32(0.0)
    for i in range(places.shape[0]):
        total += flat[places[i]]
    return total


@njit(cache=True, nogil=True)
def fill_values(positions: Any, lookup: Any, tables: Any, scale: Any, out: Any) -> None:
    """Fill `out` [n] with the values of `positions` [n, P * C].

    Positions that resemble the one before, such as those after the moves of one position, take
    less time.
    """
    flat = tables.reshape(-1)
    half = np.uint32(flat.shape[0] // SETS)
    shown, codes, before = np.zeros((3, positions.shape[1] // lookup.planes), np.uint32)
    places = np.zeros(lookup.starts.shape[0], np.uint32)
    which = np.uint32(SETS)
    for i in range(positions.shape[0]):
        occupied = _read_cells(positions[i], lookup, shown, codes)
        if occupied % SETS == which and 2 * _count_changes(codes, before) < occupied:
            _move(codes, before, lookup, places)
        else:
            which = occupied % SETS
            _find(codes, which * half, lookup, places)
        out[i] = scale * math.tanh(_sum(flat, places))
        codes, before = before, codes


@njit(cache=True, nogil=True)
def learn(
    positions: Any, followers: Any, R: Any, discount: Any, sign: Any, limits: Any,
    lookup: Any, entries: Any, scale: Any, learning_rate: Any, errors: Any, values: Any,
) -> None:  # fmt: skip
    """Move the tables towards the targets of B transitions, one after the other
    (`table_learner.py`); fill `errors` and `values` [B] with TD errors and the values before.

    `followers` are the next positions; `entries` [2, W, 3] hold each weight and the sums N and A of
    its changes, side by side because they are used together.
    """
    flat = entries.reshape(-1, 3)
    half = np.uint32(flat.shape[0] // SETS)
    shown, codes = np.zeros((2, positions.shape[1] // lookup.planes), np.uint32)
    places = np.zeros(lookup.starts.shape[0], np.uint32)
    read = np.zeros((3, places.shape[0]), np.float32)
    for b in range(positions.shape[0]):
        target = R[b]
        if discount[b] != 0.0:
            occupied = _read_cells(followers[b], lookup, shown, codes)
            _find(codes, occupied % np.uint32(SETS) * half, lookup, places)
            _read(flat, places, read)
            target += discount[b] * sign[b] * scale * math.tanh(_total(read[0]))
        occupied = _read_cells(positions[b], lookup, shown, codes)
        _find(codes, occupied % np.uint32(SETS) * half, lookup, places)
        _read(flat, places, read)
        slope = math.tanh(_total(read[0]))
        values[b] = scale * slope
        errors[b] = min(max(target, limits[0]), limits[1]) - values[b]
        change = np.float32(errors[b] * scale * (1.0 - slope * slope))
        _write(flat, places, read, np.float32(learning_rate), change)


@njit(cache=True, nogil=True)
def _read(flat: Any, places: Any, read: Any) -> None:
    """Fill `read` [3, n] with the weights at these places and their sums N and A."""
    for i in range(np.uint64(places.shape[0])):
        place = np.uint64(places[i])
        read[0, i], read[1, i], read[2, i] = flat[place, 0], flat[place, 1], flat[place, 2]


@njit(cache=True, nogil=True, fastmath={"reassoc", "nsz"})
def _total(weights: Any) -> Any:
    total = np.float32(0.0)
    for i in range(np.uint64(weights.shape[0])):
        total += weights[i]
    return total


@njit(cache=True, nogil=True, fastmath={"contract"}, error_model="numpy")
def _write(flat: Any, places: Any, read: Any, learning_rate: Any, change: Any) -> None:
    """Change the weights at `places` and their sums, which are `read` [3, n]."""
    n = np.uint64(places.shape[0])
    steps = read[0]
    for i in range(n):
        agreement = abs(read[1, i]) / read[2, i] if read[2, i] > _ZERO else _ONE
        x = _BETA * (agreement - _ONE) * _QUARTER
        total = _SERIES[6]
        total = total * x + _SERIES[5]
        total = total * x + _SERIES[4]
        total = total * x + _SERIES[3]
        total = total * x + _SERIES[2]
        total = total * x + _SERIES[1]
        total = total * x + _SERIES[0]
        total *= total
        steps[i] = learning_rate * change * total * total
    size = abs(change)
    for i in range(n):
        place = np.uint64(places[i])
        flat[place, 0] += steps[i]
        flat[place, 1] += change
        flat[place, 2] += size
