"""Weights on their way out: two slots for published versions, numbered slots for snapshots, in one buffer.

Version v lies in slot v % 2. A round works with the version its command names; version v + 2 is published only after every round that
works with v has finished, so a reader never sees a slot change under it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_HEADER_BYTES = 64


class WeightStore:
    """A view of `WeightStore.bytes_needed(...)` bytes; written by the main process alone."""

    def __init__(self, memory: NDArray[np.uint8], size: int, num_snapshots: int) -> None:
        self._versions = memory[:16].view(np.int64)
        vectors: NDArray[np.float32] = memory[_HEADER_BYTES:].view(np.float32).reshape(2 + num_snapshots, size)
        self._published = vectors[:2]
        self.snapshots = vectors[2:]  # [num_snapshots, size]

    @staticmethod
    def bytes_needed(size: int, num_snapshots: int) -> int:
        """Bytes for networks of `size` parameters."""
        return _HEADER_BYTES + 4 * size * (2 + num_snapshots)

    def publish(self, version: int, vector: NDArray[np.float32]) -> None:
        """Make a version readable in place of version - 2."""
        self._published[version % 2] = vector
        self._versions[version % 2] = version

    def published(self, version: int) -> NDArray[np.float32]:
        """The vector [size] of a version, in place."""
        assert self._versions[version % 2] == version, f"version {version} is not published"
        vector: NDArray[np.float32] = self._published[version % 2]
        return vector

    def snapshot(self, slot: int) -> NDArray[np.float32]:
        """The vector [size] of a snapshot, in place."""
        vector: NDArray[np.float32] = self.snapshots[slot]
        return vector
