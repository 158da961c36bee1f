"""Weights that workers read: a few slots for published versions and numbered slots for snapshots,
in one buffer.

Version v lies in slot v % num_versions. A part of a round works with the version that its command
names; a version is published only when no part in flight names the one whose slot it takes, so a
reader never sees a slot change under it.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

_ALIGNMENT = 64


class WeightStore:
    """A view of `WeightStore.bytes_needed(...)` bytes; the main process is the only writer."""

    def __init__(
        self, memory: NDArray[np.uint8], size: int, num_snapshots: int, num_versions: int
    ) -> None:
        self.num_versions = num_versions
        self._versions = memory[: 8 * num_versions].view(np.int64)
        vectors: NDArray[np.float32] = (
            memory[_header_bytes(num_versions) :]
            .view(np.float32)
            .reshape(num_versions + num_snapshots, size)
        )
        self._published = vectors[:num_versions]
        self.snapshots = vectors[num_versions:]  # [num_snapshots, size]

    @classmethod
    def private(cls, size: int, num_snapshots: int, num_versions: int) -> Self:
        """A store in memory of this process alone."""
        memory = np.zeros(cls.bytes_needed(size, num_snapshots, num_versions), np.uint8)
        return cls(memory, size, num_snapshots, num_versions)

    @staticmethod
    def bytes_needed(size: int, num_snapshots: int, num_versions: int) -> int:
        """Bytes for networks of `size` parameters."""
        return _header_bytes(num_versions) + 4 * size * (num_versions + num_snapshots)

    def publish(self, version: int, vector: NDArray[np.float32]) -> None:
        """Make a version readable in place of version - num_versions."""
        self._published[version % self.num_versions] = vector
        self._versions[version % self.num_versions] = version

    def published(self, version: int) -> NDArray[np.float32]:
        """The vector [size] of a version, in place."""
        slot = version % self.num_versions
        assert self._versions[slot] == version, f"version {version} is not published"
        vector: NDArray[np.float32] = self._published[slot]
        return vector

    def snapshot(self, slot: int) -> NDArray[np.float32]:
        """The vector [size] of a snapshot, in place."""
        vector: NDArray[np.float32] = self.snapshots[slot]
        return vector


def _header_bytes(num_versions: int) -> int:
    return _ALIGNMENT * -(-8 * num_versions // _ALIGNMENT)
