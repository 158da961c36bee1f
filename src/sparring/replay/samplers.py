"""Which rows of the replay buffer a minibatch is made of, uniformly or by priority.

A sampler knows places, never rows: it is told which were written (`on_insert`), picks some (`sample`), and hears how wrong the
network was about them (`update`). Everything follows from the order of these calls and from the generator that is handed in.

The compiled functions call nothing outside of this file, because Numba's cache on disk does not notice a change elsewhere.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sparring.errors import ConfigurationError, InputError, NumericalError
from sparring.replay.sum_tree import SumTree

_LARGEST = float(np.finfo(np.float32).max)  # a larger error is an overflow where it came from, and could overflow the sum of all


class Sampler(Protocol):
    """Picks the places of minibatches."""

    def on_insert(self, first: int, count: int) -> None:
        """New rows were written at `count` places from `first` on; after the last place of the buffer comes place 0."""

    def sample(self, size: int, *, batch_size: int, rng: np.random.Generator, beta: float) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Places [batch_size] below `size`, the number of rows in the buffer, with replacement; and importance weights [batch_size].

        The weights are at most 1, and 1 without any correction (`beta` 0) or for a uniform choice. Raises `InputError` without rows.
        """

    def update(self, indices: NDArray[np.int64], td_errors: NDArray[np.floating[Any]]) -> None:
        """The rows at `indices` [n] had these errors [n], of either sign; taken in order, so that of equal indices the last wins."""

    def get_state(self) -> dict[str, Any]:
        """Copies of everything that a later `set_state` needs to go on exactly from here."""

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what `get_state` of an equal sampler returned."""


class UniformSampler:
    """Every row is as likely as any other; all weights are 1."""

    def on_insert(self, first: int, count: int) -> None:
        pass

    def sample(self, size: int, *, batch_size: int, rng: np.random.Generator, beta: float) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        require_rows(size)
        return below(size, batch_size, rng), np.ones(batch_size, np.float32)

    def update(self, indices: NDArray[np.int64], td_errors: NDArray[np.floating[Any]]) -> None:
        pass

    def get_state(self) -> dict[str, Any]:
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        pass


class PrioritizedSampler:
    """Proportional prioritisation: row i is picked with probability P(i) = p_i^alpha / sum_k p_k^alpha, where p_i = |td error| + eps.

    Source: Schaul et al., "Prioritized Experience Replay" (ICLR 2016), Algorithm 1 and sections 3.3-3.4. Notes:
    - a new row gets the largest p^alpha ever seen, 1 at first, as in the paper; that maximum never comes down;
    - minibatches are stratified: one row from each of `batch_size` equal shares of the total (the paper's appendix B.2.1);
    - w_i = (N P(i))^-beta / max_j w_j, with the maximum over the minibatch. N and the total cancel out, which leaves
      w_i = (min_j p_j^alpha / p_i^alpha)^beta. Some other implementations take the maximum over the entire buffer.
    """

    def __init__(self, capacity: int, alpha: float, eps: float) -> None:
        require_exponent(alpha, eps)
        self.alpha = alpha
        self.eps = eps
        self._tree = SumTree(capacity)
        self._largest = 1.0  # of all p^alpha so far

    @property
    def priorities(self) -> NDArray[np.float64]:
        """[capacity] p^alpha, a read-only view; 0 where no row was written yet."""
        return self._tree.values

    def on_insert(self, first: int, count: int) -> None:
        self._tree.fill(first, count, self._largest)

    def sample(self, size: int, *, batch_size: int, rng: np.random.Generator, beta: float) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        require_rows(size)
        indices = self._tree.find_stratified(rng.random(batch_size))
        weights = np.empty(batch_size, np.float32)
        _weigh(self.priorities, indices, beta, weights)
        return indices, weights

    def update(self, indices: NDArray[np.int64], td_errors: NDArray[np.floating[Any]]) -> None:
        """See `Sampler`. Raises `NumericalError`, before anything has changed, for an error that is NaN or beyond float32."""
        values = np.empty(len(indices))
        bad, misplaced, largest = _prioritize(self.priorities, indices, td_errors, self.alpha, self.eps, values)
        if bad:
            raise NumericalError(f"{bad} of {len(td_errors)} td errors are not finite; a lower learning_rate may help")
        if misplaced:
            raise IndexError("a priority for a place that holds no row: got an index that was never inserted")
        self._tree.set(indices, values)
        self._largest = max(self._largest, largest)

    def get_state(self) -> dict[str, Any]:
        return {"priorities": np.trim_zeros(self.priorities, "b").copy(), "largest": self._largest}

    def set_state(self, state: dict[str, Any]) -> None:
        saved = state["priorities"]
        capacity = self._tree.capacity
        if len(saved) > capacity:
            raise InputError("the saved priorities", got=f"{len(saved)} rows", expected=f"at most {capacity}")
        values = np.zeros(capacity)
        values[: len(saved)] = saved
        self._tree.set(np.arange(capacity), values)
        self._largest = float(state["largest"])


def below(end: int, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """[count] whole numbers from 0 up to `end`, exclusive, far below 2**53; in a third of the time of `rng.integers`."""
    numbers: NDArray[np.int64] = (rng.random(count) * end).astype(np.int64)
    return numbers


def require_exponent(alpha: float, eps: float) -> None:
    """Within these bounds no priority can vanish to 0, and a row of priority 0 would be taken for an empty place."""
    if not 0.0 <= alpha <= 1.0:
        raise ConfigurationError("the exponent alpha of the priorities", got=alpha, expected="0 (uniform) to 1")
    if not 1e-12 <= eps < np.inf:
        raise ConfigurationError("the constant eps that is added to all priorities", got=eps, expected="at least 1e-12, and finite")


def require_rows(size: int) -> None:
    """Raise `InputError` for an empty replay buffer."""
    if size < 1:
        raise InputError("nothing can be sampled from an empty replay buffer", remedy="insert rows first")


@njit(cache=True, nogil=True)
def _weigh(priorities: Any, indices: Any, beta: Any, weights: Any) -> None:
    least = np.inf
    for index in indices:
        least = min(least, priorities[index])
    for i in range(indices.shape[0]):
        weights[i] = (least / priorities[indices[i]]) ** beta


@njit(cache=True, nogil=True)
def _prioritize(priorities: Any, indices: Any, errors: Any, alpha: Any, eps: Any, values: Any) -> Any:
    """Puts p^alpha into `values`; returns how many errors are not finite, how many places hold no row, and the largest p^alpha."""
    bad = misplaced = 0
    largest = 0.0
    for i in range(indices.shape[0]):
        error, index = abs(np.float64(errors[i])), indices[i]
        if not error <= _LARGEST:  # NaN, too
            bad += 1
        if index < 0 or index >= priorities.shape[0] or priorities[index] == 0.0:
            misplaced += 1
        values[i] = (error + eps) ** alpha
        largest = max(largest, values[i])
    return bad, misplaced, largest
