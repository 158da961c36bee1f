"""A binary tree of sums: sets n leaves, or finds n leaves by their share of the total, in O(n log capacity).

Leaves are padded to a power of two. Node 1 is the root, the children of node i are 2i and 2i + 1, and leaf j is node `leaves + j`.

A parent is always recomputed as the float64 sum of its two children, never adjusted by a difference. So no error builds up however
many updates there were, nothing has to be rebuilt, and the tree is a function of its leaves alone: equal leaves, equal bits.

The compiled functions call nothing outside of this file, because Numba's cache on disk does not notice a change elsewhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sparring.errors import InputError


class SumTree:
    """Non-negative float64 values at places 0 to `capacity - 1`, all 0 at first, that can be found in proportion to their size."""

    values: NDArray[np.float64]  # [capacity], a read-only view

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise InputError("the capacity of a sum tree", got=capacity, expected="at least 1")
        self.capacity = capacity
        self._first_leaf = 1 << (capacity - 1).bit_length()
        self._nodes = np.zeros(2 * self._first_leaf)
        self.values = self._nodes[self._first_leaf : self._first_leaf + capacity]
        self.values.flags.writeable = False

    @property
    def total(self) -> float:
        return float(self._nodes[1])

    def set(self, indices: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """Set `values` [n] (finite, not negative: not checked) at `indices` [n], one after another: of equal indices the last wins.

        Raises IndexError, before anything has changed, for an index outside of the tree.
        """
        if len(indices) != len(values):
            raise InputError("values for other places than were named", got=f"{len(values)} values", expected=f"{len(indices)}")
        if not _set(self._nodes, self.capacity, indices, values):
            got = f"{indices.min()} to {indices.max()}"
            raise IndexError(f"a place that is not in the sum tree: got indices {got}, expected 0 to {self.capacity - 1}")

    def fill(self, first: int, count: int, value: float) -> None:
        """Set `value` at `count` (at most `capacity`) places from `first` on; after the last place comes place 0."""
        before_wrap = min(count, self.capacity - first)
        _fill(self._nodes, first, before_wrap, value)
        _fill(self._nodes, 0, count - before_wrap, value)

    def find_stratified(self, uniforms: NDArray[np.float64]) -> NDArray[np.int64]:
        """[n] places, one from each of n equal shares of the total; `uniforms` [n] in [0, 1) says where in its share.

        A place is found with a probability in proportion to its value; one whose value is 0 is never found, whatever the rounding.
        """
        if not self.total > 0:
            raise InputError("nothing can be sampled yet", got="a total priority of 0", expected="at least one row")
        indices = np.empty(len(uniforms), np.int64)
        _find_stratified(self._nodes, uniforms, indices)
        return indices


@njit(cache=True, nogil=True)
def _set(nodes: Any, capacity: Any, indices: Any, values: Any) -> Any:
    """False, and nothing done, if an index is out of range."""
    for i in range(indices.shape[0]):
        if indices[i] < 0 or indices[i] >= capacity:
            return False
    first_leaf = nodes.shape[0] // 2
    changed = indices + first_leaf
    for i in range(indices.shape[0]):
        nodes[changed[i]] = values[i]
    # Level by level: neighbours with the same parent, many in sorted or consecutive indices, are climbed from only once.
    count = changed.shape[0]
    while first_leaf > 1:
        first_leaf //= 2
        last, kept = 0, 0
        for i in range(count):
            parent = changed[i] // 2
            if parent != last:
                nodes[parent] = nodes[2 * parent] + nodes[2 * parent + 1]
                changed[kept] = parent
                last = parent
                kept += 1
        count = kept
    return True


@njit(cache=True, nogil=True)
def _fill(nodes: Any, first: Any, count: Any, value: Any) -> None:
    """Neighbours have neighbours as parents: on each level one range is written."""
    if count == 0:
        return
    low = nodes.shape[0] // 2 + first
    high = low + count
    for i in range(low, high):
        nodes[i] = value
    while low > 1:
        low, high = low // 2, (high + 1) // 2
        for i in range(low, high):
            nodes[i] = nodes[2 * i] + nodes[2 * i + 1]


@njit(cache=True, nogil=True)
def _find_stratified(nodes: Any, uniforms: Any, indices: Any) -> None:
    """All n descents take one level at a time, so that the processor overlaps their cache misses, and without branches.

    A node that is entered has a sum above 0, the root to begin with: the left child is taken if the right one's sum is 0, or if what
    is left of the mass is below the left one's sum.
    """
    n = uniforms.shape[0]
    first_leaf = nodes.shape[0] // 2
    mass = np.empty(n)
    for i in range(n):
        mass[i] = (i + uniforms[i]) * (nodes[1] / n)
        indices[i] = 1
    level = 1
    while level < first_leaf:
        for i in range(n):
            child = 2 * indices[i]
            right = np.int64((mass[i] >= nodes[child]) & (nodes[child + 1] > 0.0))
            mass[i] -= right * nodes[child]
            indices[i] = child + right
        level *= 2
    for i in range(n):
        indices[i] -= first_leaf
