"""The way of transitions from one worker to the main process: a ring in shared memory with one writer and one reader.

Rows are counted from the start of the worker. The writer says by a message on its pipe how many it has written in all: when a round is
over, or when it has to wait for room. The reader looks at them in place and raises `consumed`, the only word of the ring that it writes,
when it needs them no more. The message orders the writer's stores before the reader's loads.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HEADER_BYTES = 64
_FULL_NAP = 0.0002  # seconds between two looks at a full ring


class Ring:
    """A view of `Ring.bytes_needed(...)` bytes of shared memory, for either side."""

    def __init__(self, memory: NDArray[np.uint8], dtype: np.dtype[Any], capacity: int) -> None:
        self._consumed = memory[:8].view(np.uint64)
        self._rows = memory[_HEADER_BYTES : _HEADER_BYTES + capacity * dtype.itemsize].view(dtype)
        self._bytes = self._rows.view(np.dtype((np.void, dtype.itemsize)))
        self._capacity = capacity
        self.written = 0  # rows that this writer has written

    @staticmethod
    def bytes_needed(dtype: np.dtype[Any], capacity: int) -> int:
        """Bytes for `capacity` rows."""
        return _HEADER_BYTES + capacity * dtype.itemsize

    def write(self, rows: NDArray[Any], is_full: Callable[[int], None]) -> None:
        """Writer: append `rows` [m]; where there is no room, `is_full` gets the number of rows ever written, and there is a wait."""
        source = rows.view(self._bytes.dtype)
        told = -1
        while len(source):
            room = self._capacity - (self.written - int(self._consumed[0]))
            if room == 0:
                if told != self.written:
                    told = self.written
                    is_full(told)
                time.sleep(_FULL_NAP)
                continue
            begin = self.written % self._capacity
            count = min(room, len(source), self._capacity - begin)
            self._bytes[begin : begin + count] = source[:count]
            self.written += count
            source = source[count:]

    def rows(self, begin: int, end: int) -> list[NDArray[Any]]:
        """Reader: views of the rows number `begin` to `end`, in at most two pieces."""
        if begin == end:
            return []
        first, last = begin % self._capacity, (end - 1) % self._capacity + 1
        return [self._rows[first:last]] if first < last else [self._rows[first:], self._rows[:last]]

    def free(self, end: int) -> None:
        """Reader: let the rows before number `end` be overwritten."""
        self._consumed[0] = max(end, int(self._consumed[0]))
