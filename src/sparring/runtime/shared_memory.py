"""Anonymous shared memory: no name to leak, gone with the last process that maps it."""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Callable
from multiprocessing import reduction
from multiprocessing.sharedctypes import RawArray
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.errors import SparringError


class SharedBlock:
    """`size` zeroed bytes that can be handed to a process while it is being started; `memory` is
    their view [size].

    On Linux an anonymous file whose pages are reserved at once, so that a lack of memory shows here
    and not as a SIGBUS later; elsewhere a `RawArray`.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        if not hasattr(os, "memfd_create"):
            self._adopt(RawArray("B", size))
            return
        descriptor = os.memfd_create("sparring", os.MFD_CLOEXEC)
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            os.close(descriptor)
            raise SparringError(
                f"no shared memory: got {error.strerror}, expected {size / 2**20:.0f} MiB; "
                "use fewer workers"
            ) from None
        self._adopt(descriptor)

    def _adopt(self, handle: Any) -> None:
        self._handle = handle
        source = mmap.mmap(handle, self.size) if isinstance(handle, int) else handle
        self.memory: NDArray[np.uint8] = np.frombuffer(source, np.uint8)

    def close(self) -> None:
        """Give up the descriptor; the memory itself lives as long as views of it."""
        if isinstance(self._handle, int):
            os.close(self._handle)
            self._handle = None

    def __getstate__(self) -> tuple[int, Any]:
        is_file = isinstance(self._handle, int)
        return self.size, reduction.DupFd(self._handle) if is_file else self._handle

    def __setstate__(self, state: tuple[int, Any]) -> None:
        self.size, handle = state
        self._adopt(handle.detach() if hasattr(handle, "detach") else handle)


_HEADER_BYTES = 64
_FULL_NAP = 0.0002  # seconds between two checks of a full ring


class Ring:
    """Transitions on their way from one worker to the main process: a ring in shared memory with
    one writer and one reader. A view of `Ring.bytes_needed(...)` bytes, for either side.

    Rows are counted from the start of the worker. The writer sends a message on its pipe with the
    number that it has written in all: when a round is over, or when it has to wait for room. The
    reader reads them in place and raises `_consumed` when it no longer needs them. The message
    orders the writer's stores before the reader's loads.

    Two more words need no order: the writer counts its ticks in `_ticks`, which shows that it is
    alive, and rounds before `_ended`, which the reader writes, are to end at the next tick.
    """

    def __init__(self, memory: NDArray[np.uint8], dtype: np.dtype[Any], capacity: int) -> None:
        self._consumed, self._ticks, self._ended = np.split(memory[:24].view(np.uint64), 3)
        self._rows = memory[_HEADER_BYTES : _HEADER_BYTES + capacity * dtype.itemsize].view(dtype)
        self._bytes = self._rows.view(np.dtype((np.void, dtype.itemsize)))
        self._capacity = capacity
        self.written = 0  # rows that this writer has written

    @staticmethod
    def bytes_needed(dtype: np.dtype[Any], capacity: int) -> int:
        """Bytes for `capacity` rows."""
        return _HEADER_BYTES + capacity * dtype.itemsize

    def write(self, rows: NDArray[Any], is_full: Callable[[int], None]) -> None:
        """Writer: append `rows` [m]; where the ring is full, call `is_full` with the number of rows
        ever written, and wait.
        """
        source = rows.view(self._bytes.dtype)
        reported = -1
        while len(source):
            room = self._capacity - (self.written - int(self._consumed[0]))
            if room == 0:
                if reported != self.written:
                    reported = self.written
                    is_full(reported)
                time.sleep(_FULL_NAP)
                continue
            begin = self.written % self._capacity
            count = min(room, len(source), self._capacity - begin)
            self._bytes[begin : begin + count] = source[:count]
            self.written += count
            source = source[count:]

    def tick(self, number: int) -> bool:
        """Writer: count a tick; return whether round `number` is to end now."""
        self._ticks[0] += 1
        return bool(number < self._ended[0])

    @property
    def ticks(self) -> int:
        """Reader: the number of ticks so far."""
        return int(self._ticks[0])

    def end_before(self, number: int) -> None:
        """Reader: let rounds before `number`, which never falls, end at the next tick."""
        self._ended[0] = number

    def rows(self, begin: int, end: int) -> list[NDArray[Any]]:
        """Reader: views of the rows number `begin` to `end`, in at most two pieces."""
        if begin == end:
            return []
        first, last = begin % self._capacity, (end - 1) % self._capacity + 1
        return [self._rows[first:last]] if first < last else [self._rows[first:], self._rows[:last]]

    def free(self, end: int) -> None:
        """Reader: let the rows before number `end` be overwritten."""
        self._consumed[0] = max(end, int(self._consumed[0]))
