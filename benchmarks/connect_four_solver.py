"""Outcomes of Connect Four positions, searched: which moves win, draw or lose.

The scheme is that of Pascal Pons, "Solving Connect 4: how to build a perfect AI"
(blog.gamesolver.org), written anew: bitboards, negamax with a transposition table, windows of width
one, moves that lose at once left out, the others in the order of the threats that they make and
then from the centre outwards. Differences: only signs are searched, so that every window is a
yes-or-no question; a slot of the table is a pair of entries, one of which is kept while it took
more work than the new one; positions equal their mirror images while there are few stones.

A position with 12 stones takes 0.04 s on average, one with 11 stones 0.6 s, one with 8 stones
minutes. These early ones are kept in a file from one call to the next.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Final

import numpy as np
from numba import njit

from sparring.errors import FileFormatError, InputError
from sparring.storage.atomic import write_file

ROWS: Final = 6
COLUMNS: Final = 7
MOVES: Final = range(COLUMNS)
CACHED_STONES: Final = 11  # results with at most so many stones are kept in the file

_ZERO, _ONE, _FLAGS, _WORK = (np.uint64(number) for number in (0, 1, 15, 31))
_ABOVE_FLAGS, _ABOVE_WORK, _ABOVE = (np.uint64(bits) for bits in (4, 9, 56))
_STEPS: Final = tuple(
    (np.uint64(d), np.uint64(2 * d), np.uint64(3 * d)) for d in (ROWS, ROWS + 1, ROWS + 2)
)
_UP: Final = tuple(np.uint64(d) for d in (1, 2, 3))
_COLUMN: Final = np.array([((1 << ROWS) - 1) << (ROWS + 1) * c for c in MOVES], np.uint64)
_BOTTOM: Final = np.uint64(sum(1 << (ROWS + 1) * c for c in MOVES))
_BOARD: Final = np.uint64(sum(int(column) for column in _COLUMN))
_CENTRE_FIRST: Final = np.array([3, 2, 4, 1, 5, 0, 6])
_SHIFTS: Final = np.array([(ROWS + 1) * c for c in MOVES], np.uint64)
_SEVEN_BITS: Final = np.uint64(127)
_HASH: Final = np.uint64(0x9E3779B97F4A7C15)
_MIRRORED_STONES: Final = 16  # mirror images are looked for with fewer stones than this

# A table entry: key, 49 bits << 9 | logarithm of the nodes it took, 5 bits << 4 | what is known: >=
# 1, < 1, >= 0, < 0, a bit each.


@njit(cache=True)
def _fours(stones: Any, taken: Any) -> Any:
    """The free cells that complete a four of `stones`, `taken` being all stones."""
    cells = (stones << _UP[0]) & (stones << _UP[1]) & (stones << _UP[2])
    for one, two, three in _STEPS:
        pair = (stones << one) & (stones << two)
        cells |= pair & ((stones << three) | (stones >> one))
        pair = (stones >> one) & (stones >> two)
        cells |= pair & ((stones << one) | (stones >> three))
    return cells & (_BOARD ^ taken)


@njit(cache=True)
def _count(cells: Any) -> Any:
    count = 0
    while cells != _ZERO:
        cells &= cells - _ONE
        count += 1
    return count


@njit(cache=True)
def _mirror(cells: Any) -> Any:
    other = _ZERO
    for c in range(COLUMNS):
        other |= ((cells >> _SHIFTS[c]) & _SEVEN_BITS) << _SHIFTS[COLUMNS - 1 - c]
    return other


@njit(cache=True)
def _key(mover: Any, taken: Any, stones: Any) -> Any:
    """Pons' key: in each column the mover's stones, and a one in the lowest free cell."""
    key = mover + taken + _BOTTOM
    return min(key, _mirror(mover) + _mirror(taken) + _BOTTOM) if stones < _MIRRORED_STONES else key


@njit(cache=True)
def _sound_moves(mover: Any, taken: Any) -> Any:
    """The cells where a mover who cannot win at once does not lose to the next stone."""
    playable = (taken + _BOTTOM) & _BOARD
    threats = _fours(taken ^ mover, taken)
    forced = playable & threats
    if forced != _ZERO:
        if forced & (forced - _ONE) != _ZERO:
            return _ZERO
        playable = forced
    return playable & ~(threats >> _ONE)


@njit(cache=True)
def _sort_moves(mover: Any, taken: Any, sound: Any, row: Any, moves: Any) -> Any:
    """Put the sound cells into `moves[row]`, with the number of threats that each makes above them,
    most first; how many there are.
    """
    number = 0
    for c in _CENTRE_FIRST:
        cell = sound & _COLUMN[c]
        if cell != _ZERO:
            threats = np.uint64(_count(_fours(mover | cell, taken | cell)))
            at = number
            while at > 0 and moves[row, at - 1] >> _ABOVE < threats:
                moves[row, at] = moves[row, at - 1]
                at -= 1
            moves[row, at] = cell | threats << _ABOVE
            number += 1
    return number


@njit(cache=True)
def _reaches(
    table: Any, moves: Any, nodes: Any, mover: Any, taken: Any, stones: Any, least: Any
) -> Any:
    """Return 1 if a mover who cannot win at once gets at least `least` (0: a draw, 1: a win), else
    0.

    `table` is uint64 [2^k], `moves` uint64 [42, 7] is to work in, `nodes` [1] counts positions.
    """
    nodes[0] += 1
    sound = _sound_moves(mover, taken)
    if sound == _ZERO:
        return 0
    if stones >= ROWS * COLUMNS - 2:
        return 1 - least
    key = _key(mover, taken, stones)
    place = np.int64((key * _HASH) >> np.uint64(32)) & (table.shape[0] - 2)
    for entry in (table[place], table[place + 1]):
        if entry >> _ABOVE_WORK == key:
            known = (entry >> np.uint64(2 - 2 * least)) & np.uint64(3)
            if known != _ZERO:
                return np.int64(known >> _ONE)
    before, answer = nodes[0], 0
    for k in range(_sort_moves(mover, taken, sound, stones, moves)):
        if answer == 0:
            cell = moves[stones, k] & _BOARD
            answer = 1 - _reaches(
                table, moves, nodes, taken ^ mover, taken | cell, stones + 1, 1 - least
            )
    _store(table, place, key, least, answer, nodes[0] - before)
    return answer


@njit(cache=True)
def _store(table: Any, place: Any, key: Any, least: Any, answer: Any, work: Any) -> None:
    """Note an answer that took so much `work`: in the first entry if that took no more, else in the
    second.
    """
    logarithm = np.uint64(0)
    while work > 1:
        work >>= 1
        logarithm += _ONE
    flags = np.uint64(
        (10 if answer else 1) if least else (8 if answer else 5)
    )  # a win is no loss, and a loss no win
    for at in (place, place + 1):
        if table[at] >> _ABOVE_WORK == key:
            flags |= table[at] & _FLAGS
            table[at] = (
                key << _ABOVE_WORK
                | max(logarithm, (table[at] >> _ABOVE_FLAGS) & _WORK) << _ABOVE_FLAGS
                | flags
            )
            return
    if (table[place] >> _ABOVE_FLAGS) & _WORK <= logarithm:
        table[place + 1] = table[place]
        at = place
    else:
        at = place + 1
    table[at] = key << _ABOVE_WORK | logarithm << _ABOVE_FLAGS | flags


class Outcomes(ABC):
    """Outcomes of positions for their movers: 1 a win, 0 a draw, -1 a loss.

    A position is the stones of its mover and of the other, bits 7 * column + row; nobody has four
    yet.
    """

    @abstractmethod
    def reaches(self, mover: int, other: int, least: int) -> bool:
        """Return whether the mover gets at least `least`, 0 or 1."""

    def value(self, mover: int, other: int) -> int:
        """The mover's outcome."""
        return 1 if self.reaches(mover, other, 1) else int(self.reaches(mover, other, 0)) - 1

    def outcome(self, mover: int, other: int, column: int) -> int:
        """What a column that is not full leads to."""
        mine = stones_after(mover, other, column)
        return 1 if not mine else -self.value(other, mine)

    def best_columns(self, mover: int, other: int) -> list[int]:
        """The columns with the best outcome; asks no more than it takes to know them."""
        after = {
            column: mine
            for column in MOVES
            if (mine := stones_after(mover, other, column)) is not None
        }
        if not self.reaches(mover, other, 0):
            return list(after)
        for hoped in (1, 0):
            best = [
                column
                for column, mine in after.items()
                if mine == 0 or not self.reaches(other, mine, 1 - hoped)
            ]
            if best:
                return best
        raise AssertionError("a position that is not lost has a move that does not lose")


def stones_after(mover: int, other: int, column: int) -> int | None:
    """The mover's stones after a move; 0 if that wins, None if the column is full."""
    taken = np.uint64(mover | other)
    cell = (taken + _BOTTOM) & _COLUMN[column]
    if cell == _ZERO:
        return None
    return 0 if _fours(np.uint64(mover), taken) & cell else mover | int(cell)


class Solver(Outcomes):
    """Outcomes by a search with a table of `megabytes`, rounded down to a power of two, and what
    `cache`, a file or None, remembers of early positions.
    """

    def __init__(self, megabytes: float = 512, cache: Path | None = None) -> None:
        if not 1 <= megabytes <= 2**20:
            raise InputError("megabytes", got=megabytes, expected="1 to 1048576")
        self._table = np.zeros(1 << int(megabytes * 2**17).bit_length() - 1, np.uint64)
        self._moves = np.zeros((ROWS * COLUMNS, COLUMNS), np.uint64)
        self.nodes = np.zeros(1, np.int64)  # positions looked at
        self._cache = cache
        self._known: dict[str, list[int]] = (
            {} if cache is None or not cache.exists() else _read(cache)
        )  # least and most, by key

    def reaches(self, mover: int, other: int, least: int) -> bool:
        taken, own = np.uint64(mover | other), np.uint64(mover)
        stones = int(_count(taken))
        if _fours(own, taken) & (taken + _BOTTOM) & _BOARD:
            return True
        if stones == ROWS * COLUMNS:
            return least == 0
        name = str(_key(own, taken, stones))
        low, high = self._known.get(name, (-1, 1))
        if low >= least or high < least:
            return low >= least
        answer = bool(_reaches(self._table, self._moves, self.nodes, own, taken, stones, least))
        if stones <= CACHED_STONES:
            self._known[name] = [least, high] if answer else [low, least - 1]
            if self._cache is not None:
                self._cache.parent.mkdir(parents=True, exist_ok=True)
                write_file(self._cache, json.dumps(self._known, sort_keys=True).encode())
        return answer


def _read(cache: Path) -> dict[str, list[int]]:
    try:
        known: dict[str, list[int]] = {
            name: [low, high] for name, (low, high) in json.loads(cache.read_text()).items()
        }
    except (ValueError, AttributeError, TypeError):
        raise FileFormatError(
            f"{cache} holds no outcomes of Connect Four; delete it, or name another file"
        ) from None
    return known
