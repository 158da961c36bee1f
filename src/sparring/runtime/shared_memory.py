"""Anonymous shared memory: no name to leak, gone with the last process that maps it."""

from __future__ import annotations

import mmap
import os
from multiprocessing import reduction
from multiprocessing.sharedctypes import RawArray
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.errors import SparringError


class SharedBlock:
    """`size` zeroed bytes that can be handed to a process while it is being started; `memory` is their view [size].

    On Linux an anonymous file whose pages are reserved at once, so that a lack of memory shows here and not as a SIGBUS later;
    elsewhere a `RawArray`.
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
            raise SparringError(f"no shared memory: got {error.strerror}, expected {size / 2**20:.0f} MiB; use fewer workers") from None
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
        return self.size, reduction.DupFd(self._handle) if isinstance(self._handle, int) else self._handle

    def __setstate__(self, state: tuple[int, Any]) -> None:
        self.size, handle = state
        self._adopt(handle.detach() if hasattr(handle, "detach") else handle)
