"""The way of transitions from one worker to the main process: a ring in shared memory with one writer and one reader.

The writer announces by a message on its pipe how many rows it has written in all; the reader copies them out and then raises
`consumed`, the only word of the ring that it writes. The message orders the writer's stores before the reader's loads.
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
        self._written = 0
        self._read = 0

    @staticmethod
    def bytes_needed(dtype: np.dtype[Any], capacity: int) -> int:
        """Bytes for `capacity` rows."""
        return _HEADER_BYTES + capacity * dtype.itemsize

    def write(self, rows: NDArray[Any], announce: Callable[[int], None]) -> None:
        """Writer: append `rows` [m], waiting while the ring is full; `announce` gets the number of rows ever written."""
        source = rows.view(self._bytes.dtype)
        while len(source):
            room = self._capacity - (self._written - int(self._consumed[0]))
            if room == 0:
                time.sleep(_FULL_NAP)
                continue
            begin = self._written % self._capacity
            count = min(room, len(source), self._capacity - begin)
            self._bytes[begin : begin + count] = source[:count]
            self._written += count
            source = source[count:]
            announce(self._written)

    def read(self, written: int) -> list[NDArray[Any]]:
        """Reader: copies of all rows up to the announced number, in one or two pieces; frees their room."""
        pieces = []
        while self._read < written:
            begin = self._read % self._capacity
            count = min(written - self._read, self._capacity - begin)
            piece = np.empty(count, self._rows.dtype)
            piece.view(self._bytes.dtype)[:] = self._bytes[begin : begin + count]
            pieces.append(piece)
            self._read += count
        self._consumed[0] = self._read
        return pieces
