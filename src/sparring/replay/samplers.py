"""Sampling of rows of the replay buffer, uniformly or by priority.

A sampler knows indices, never rows: it receives those of written rows (`on_insert`), samples some
(`sample`), and receives their TD errors (`update`). Its results depend on the order of these calls
and on the generator alone.

The compiled functions call nothing outside of this file, because Numba's cache on disk does not
notice a change elsewhere.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sparring.errors import ConfigurationError, InputError, NumericalError

# A larger error overflowed already, and could overflow the sum of all priorities.
_MAX_ERROR = float(np.finfo(np.float32).max)


class Sampler(Protocol):
    """Samples the indices of minibatches."""

    def on_insert(self, first: int, count: int) -> None:
        """Add the `count` new rows from index `first` on, wrapping around at the capacity."""

    def sample(
        self, size: int, *, batch_size: int, rng: np.random.Generator, beta: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Indices [batch_size] below `size`, the number of rows, with replacement; and importance
        weights [batch_size].

        The weights are at most 1, and exactly 1 for beta 0 or uniform sampling. Raises `InputError`
        without rows.
        """

    def largest_ratio(self, indices: NDArray[np.int64], beta: float) -> float:
        """See `Replay`."""

    def update(self, indices: NDArray[np.int64], td_errors: NDArray[np.floating[Any]]) -> None:
        """Set the priorities of the rows at `indices` [n] from TD errors [n] of either sign; of
        equal indices the last wins.
        """

    @property
    def memory(self) -> NDArray[np.uint8] | None:
        """All bytes of the priorities, for saved ones to be read into; None without priorities."""

    def get_state(self) -> dict[str, Any]:
        """Everything that a later `set_state` needs to continue exactly from here; arrays are
        views, valid until the next call of `on_insert` or `update`.
        """

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what `get_state` of an equal sampler returned."""


class UniformSampler:
    """Uniform sampling; all weights are 1."""

    def on_insert(self, first: int, count: int) -> None:
        pass

    def sample(
        self, size: int, *, batch_size: int, rng: np.random.Generator, beta: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        require_rows(size)
        return random_indices(size, batch_size, rng), np.ones(batch_size, np.float32)

    def largest_ratio(self, indices: NDArray[np.int64], beta: float) -> float:
        return 1.0

    def update(self, indices: NDArray[np.int64], td_errors: NDArray[np.floating[Any]]) -> None:
        pass

    @property
    def memory(self) -> None:
        return None

    def get_state(self) -> dict[str, Any]:
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        pass


class PrioritizedSampler:
    """Proportional prioritisation: row i is sampled with probability P(i) = p_i^alpha / sum_k
    p_k^alpha, where p_i = |td error| + eps.

    Source: Schaul et al., "Prioritized Experience Replay" (ICLR 2016), Algorithm 1 and sections
    3.3-3.4. Notes:
    - a new row gets the largest p^alpha so far, 1 at first, as in the paper; that maximum never
      decreases;
    - minibatches are stratified: one row from each of `batch_size` equal shares of the total (the
      paper's appendix B.2.1);
    - w_i = (N P(i))^-beta / max_j w_j, with the maximum over the minibatch. N and the total cancel
      out, which leaves w_i = (min_j p_j^alpha / p_i^alpha)^beta. Some other implementations take
      the maximum over the entire buffer.
    """

    def __init__(self, capacity: int, alpha: float, eps: float) -> None:
        require_exponent(alpha, eps)
        self.alpha = alpha
        self.eps = eps
        self._tree = SumTree(capacity)
        self._largest = 1.0  # of all p^alpha so far

    @staticmethod
    def bytes_needed(capacity: int) -> int:
        """Bytes of the tree: its leaves, as many as the next power of two, and their parents."""
        return 2 * (1 << (capacity - 1).bit_length()) * np.dtype(np.float64).itemsize

    @property
    def priorities(self) -> NDArray[np.float64]:
        """[capacity] p^alpha, a read-only view; 0 where no row was written yet."""
        return self._tree.values

    def on_insert(self, first: int, count: int) -> None:
        self._tree.fill(first, count, self._largest)

    def sample(
        self, size: int, *, batch_size: int, rng: np.random.Generator, beta: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        require_rows(size)
        indices = self._tree.find_stratified(rng.random(batch_size))
        weights = np.empty(batch_size, np.float32)
        _weigh(self.priorities, indices, beta, weights)
        return indices, weights

    def largest_ratio(self, indices: NDArray[np.int64], beta: float) -> float:
        return float((self._tree.total / self.priorities[indices].min()) ** beta)

    def update(self, indices: NDArray[np.int64], td_errors: NDArray[np.floating[Any]]) -> None:
        """See `Sampler`. Raises `NumericalError`, before any change, for an error that is NaN or
        exceeds float32.
        """
        values = np.empty(len(indices))
        bad, empty, largest = _prioritize(
            self.priorities, indices, td_errors, self.alpha, self.eps, values
        )
        if bad:
            raise NumericalError(
                f"{bad} of {len(td_errors)} TD errors are not finite; "
                "a lower learning_rate may help"
            )
        if empty:
            raise IndexError("priority of an empty row: got an index that was never inserted")
        self._tree.set(indices, values)
        self._largest = max(self._largest, largest)

    @property
    def memory(self) -> NDArray[np.uint8]:
        return self._tree.memory

    def get_state(self) -> dict[str, Any]:
        filled = np.count_nonzero(self.priorities)  # rows fill the buffer from index 0 on
        return {"priorities": self.memory.view(np.float64)[:filled], "largest": self._largest}

    def set_state(self, state: dict[str, Any]) -> None:
        self._tree.load(state["priorities"])
        self._largest = float(state["largest"])


def random_indices(end: int, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """[count] integers from 0 up to `end`, exclusive, far below 2**53; three times as fast as
    `rng.integers`.
    """
    numbers: NDArray[np.int64] = (rng.random(count) * end).astype(np.int64)
    return numbers


def require_exponent(alpha: float, eps: float) -> None:
    """Raise `ConfigurationError` outside of the bounds within which no priority rounds to 0, which
    stands for an empty row.
    """
    if not 0.0 <= alpha <= 1.0:
        raise ConfigurationError(
            "the exponent alpha of the priorities", got=alpha, expected="0 (uniform) to 1"
        )
    if not 1e-12 <= eps < np.inf:
        raise ConfigurationError(
            "the constant eps that is added to all priorities",
            got=eps,
            expected="at least 1e-12, and finite",
        )


def require_rows(size: int) -> None:
    """Raise `InputError` for an empty replay buffer."""
    if size < 1:
        raise InputError("cannot sample from an empty replay buffer", remedy="insert rows first")


@njit(cache=True, nogil=True)
def _weigh(priorities: Any, indices: Any, beta: Any, weights: Any) -> None:
    least = np.inf
    for index in indices:
        least = min(least, priorities[index])
    for i in range(indices.shape[0]):
        weights[i] = (least / priorities[indices[i]]) ** beta


@njit(cache=True, nogil=True)
def _prioritize(
    priorities: Any, indices: Any, errors: Any, alpha: Any, eps: Any, values: Any
) -> Any:
    """Fill `values` with p^alpha; return the number of errors that are not finite, the number of
    indices of empty rows, and the largest p^alpha.
    """
    bad = empty = 0
    largest = 0.0
    for i in range(indices.shape[0]):
        error, index = abs(np.float64(errors[i])), indices[i]
        if not error <= _MAX_ERROR:  # NaN, too
            bad += 1
        if index < 0 or index >= priorities.shape[0] or priorities[index] == 0.0:
            empty += 1
        values[i] = (error + eps) ** alpha
        largest = max(largest, values[i])
    return bad, empty, largest


class SumTree:
    """Non-negative float64 values at indices 0 to `capacity - 1`, all 0 at first, found with
    probabilities in proportion to their size; n values are set or found in O(n log capacity).

    Leaves are padded to a power of two. Node 1 is the root, the children of node i are 2i and
    2i + 1, and leaf j is node `leaves + j`.

    A parent is always recomputed as the float64 sum of its two children, never adjusted by a
    difference. So no error builds up over any number of updates, nothing has to be rebuilt, and the
    tree is a function of its leaves alone: equal leaves, equal bits.
    """

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

    @property
    def memory(self) -> NDArray[np.uint8]:
        """All bytes of the values."""
        leaves = self._nodes[self._first_leaf : self._first_leaf + self.capacity]
        return leaves.view(np.uint8)

    def load(self, values: NDArray[np.float64]) -> None:
        """Set the first values to `values` [n], which may be in `memory` already, the others to 0.

        InputError for more than `capacity`.
        """
        if len(values) > self.capacity:
            raise InputError(
                "the saved priorities",
                got=f"{len(values)} rows",
                expected=f"at most {self.capacity}",
            )
        end = self._first_leaf + len(values)
        if not np.may_share_memory(values, self._nodes):
            self._nodes[self._first_leaf : end] = values
        self._nodes[end:] = 0.0
        _sum_up(self._nodes)

    def set(self, indices: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """Set `values` [n] (finite, not negative: not checked) at `indices` [n]; of equal indices
        the last wins.

        Raises IndexError, before any change, for an index outside of the tree.
        """
        if len(indices) != len(values):
            raise InputError(
                "values and indices of different lengths",
                got=f"{len(values)} values",
                expected=f"{len(indices)}",
            )
        if not _set(self._nodes, self.capacity, indices, values):
            got = f"{indices.min()} to {indices.max()}"
            raise IndexError(
                f"index outside of the sum tree: got {got}, expected 0 to {self.capacity - 1}"
            )

    def fill(self, first: int, count: int, value: float) -> None:
        """Set `value` at `count` (at most `capacity`) indices from `first` on, wrapping around at
        the capacity.
        """
        before_wrap = min(count, self.capacity - first)
        _fill(self._nodes, first, before_wrap, value)
        _fill(self._nodes, 0, count - before_wrap, value)

    def find_stratified(self, uniforms: NDArray[np.float64]) -> NDArray[np.int64]:
        """[n] indices, one from each of n equal shares of the total, at the fraction `uniforms`
        [n], in [0, 1), of that share.

        An index is found with a probability in proportion to its value; one whose value is 0 is
        never found, whatever the rounding.
        """
        if not self.total > 0:
            raise InputError(
                "cannot sample yet",
                got="a total priority of 0",
                expected="at least one row",
            )
        indices = np.empty(len(uniforms), np.int64)
        _find_stratified(self._nodes, uniforms, indices)
        return indices


@njit(cache=True, nogil=True)
def _set(nodes: Any, capacity: Any, indices: Any, values: Any) -> Any:
    """Return False, without any change, if an index is out of range."""
    for i in range(indices.shape[0]):
        if indices[i] < 0 or indices[i] >= capacity:
            return False
    first_leaf = nodes.shape[0] // 2
    changed = indices + first_leaf
    for i in range(indices.shape[0]):
        nodes[changed[i]] = values[i]
    # Level by level: neighbours with the same parent, frequent in sorted or consecutive indices,
    # count once.
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
def _sum_up(nodes: Any) -> None:
    """Recompute all parents from the leaves."""
    for i in range(nodes.shape[0] // 2 - 1, 0, -1):
        nodes[i] = nodes[2 * i] + nodes[2 * i + 1]


@njit(cache=True, nogil=True)
def _fill(nodes: Any, first: Any, count: Any, value: Any) -> None:
    """Set a range of leaves: their ancestors are one range on each level."""
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
    """All n descents go one level at a time, without branches, so that their cache misses overlap.

    Every visited node has a sum above 0, starting at the root: the descent goes left if the right
    child's sum is 0, or if the remaining mass is below the left child's sum.
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
