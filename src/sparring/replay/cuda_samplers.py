"""`samplers.py` on a GPU, with a sum tree.

The host draws the random numbers, so that one NumPy generator is the whole random state of a run.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparring.errors import InputError
from sparring.replay.samplers import random_indices, require_exponent, require_rows

_CHILDREN: Final = 32
_BITS: Final = 5


class DeviceSampler(Protocol):
    """Samples the indices of minibatches; its state is that of the sampler of the same kind on the
    host.
    """

    def on_insert(self, first: int, count: int) -> None:
        """Add the `count` new rows from index `first` on, wrapping around at the capacity."""

    def draw(self, size: int, *, batch_size: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Random numbers [batch_size] for one minibatch out of `size` rows. Raises `InputError`
        without rows.
        """

    def pick(self, numbers: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
        """From drawn `numbers` [B] on the device: indices [B] int64 and importance weights [B]
        float32; `beta` is [] float64.
        """

    def largest_ratio(self, indices: Tensor, beta: Tensor) -> Tensor | float:
        """As `Replay.largest_ratio`, [] float32."""

    def update(self, indices: Tensor, td_errors: Tensor, failed: Tensor) -> None:
        """Set the priorities of the rows at `indices` [B] from TD errors [B]; of equal indices the
        last wins. Nothing changes where `failed` [] is not 0.
        """

    def get_state(self) -> dict[str, Any]:
        """State on the host; views of the device's memory where that is the host's."""

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what `get_state` of an equal sampler returned, here or on the host."""


class DeviceUniform:
    """Uniform sampling, with the same indices as `UniformSampler`."""

    def on_insert(self, first: int, count: int) -> None:
        pass

    def draw(self, size: int, *, batch_size: int, rng: np.random.Generator) -> NDArray[np.float64]:
        require_rows(size)
        return random_indices(size, batch_size, rng).astype(np.float64)

    def pick(self, numbers: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
        return numbers.to(torch.int64), torch.ones_like(numbers, dtype=torch.float32)

    def largest_ratio(self, indices: Tensor, beta: Tensor) -> float:
        return 1.0

    def update(self, indices: Tensor, td_errors: Tensor, failed: Tensor) -> None:
        pass

    def get_state(self) -> dict[str, Any]:
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        pass


class DevicePrioritized:
    """The sampling of `PrioritizedSampler`, from the same numbers.

    Indices differ where the sums of the two trees, added in another order, round to different sides
    of a stratum's mass; priorities and weights differ where the device's powers do. TD errors are
    not checked here: a step with one that is not finite has failed.
    """

    def __init__(self, capacity: int, alpha: float, eps: float, device: torch.device) -> None:
        require_exponent(alpha, eps)
        self._alpha, self._eps = alpha, eps
        self._tree = DeviceSumTree(capacity, device)
        self._largest = torch.ones((), dtype=torch.float64, device=device)  # of all p^alpha so far

    def on_insert(self, first: int, count: int) -> None:
        self._tree.fill(first, count, self._largest)

    def draw(self, size: int, *, batch_size: int, rng: np.random.Generator) -> NDArray[np.float64]:
        require_rows(size)
        return rng.random(batch_size)

    def pick(self, numbers: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
        strata = torch.arange(len(numbers), device=numbers.device)
        indices = self._tree.find((strata + numbers) * (self._tree.total / len(numbers)))
        priorities = self._tree.values[indices]
        return indices, ((priorities.amin() / priorities) ** beta).to(torch.float32)

    def largest_ratio(self, indices: Tensor, beta: Tensor) -> Tensor:
        return ((self._tree.total / self._tree.values[indices].amin()) ** beta).to(torch.float32)

    def update(self, indices: Tensor, td_errors: Tensor, failed: Tensor) -> None:
        priorities = (td_errors.abs().to(torch.float64) + self._eps) ** self._alpha
        priorities = torch.where(failed != 0, self._tree.values[indices], priorities)
        self._tree.set(indices, priorities)
        torch.maximum(self._largest, priorities.amax(), out=self._largest)

    def get_state(self) -> dict[str, Any]:
        return {
            "priorities": np.trim_zeros(self._tree.values.cpu().numpy(), "b"),
            "largest": float(self._largest),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        saved = state["priorities"]
        if len(saved) > self._tree.capacity:
            raise InputError(
                "the saved priorities",
                got=f"{len(saved)} rows",
                expected=f"at most {self._tree.capacity}",
            )
        self._tree.load(torch.from_numpy(np.asarray(saved, np.float64)))
        self._largest.fill_(float(state["largest"]))


class DeviceSumTree:
    """Non-negative float64 values at indices 0 to `capacity - 1`, all 0 at first, found with
    probabilities in proportion to their size.
    """

    def __init__(self, capacity: int, device: torch.device) -> None:
        self.capacity = capacity
        # Leaves first, each level padded with zeros to whole groups; the last one is one group.
        self._levels: list[Tensor] = []
        size = capacity
        while not self._levels or len(self._levels[-1]) > _CHILDREN:
            groups = -(-size // _CHILDREN)
            self._levels.append(torch.zeros(groups * _CHILDREN, dtype=torch.float64, device=device))
            size = groups
        ones = torch.ones(_CHILDREN, _CHILDREN, dtype=torch.float64, device=device)
        self._up_to = ones.tril()  # row j: children 0 to j

    @property
    def values(self) -> Tensor:
        """[capacity], a view."""
        return self._levels[0][: self.capacity]

    @property
    def total(self) -> Tensor:
        """[], the sum of all values."""
        return self._levels[-1].sum()

    def set(self, indices: Tensor, values: Tensor) -> None:
        """Set `values` [n] (finite, not negative) at `indices` [n] int64, both unchecked; of equal
        indices the last wins.

        An n x n comparison finds the last: a scatter of different values to one index would leave
        it to chance.
        """
        order = torch.arange(len(indices), device=indices.device)
        last = torch.where(indices.unsqueeze(1) == indices, order, 0).amax(dim=1)
        self._levels[0].scatter_(0, indices, values[last])
        for children, parents in zip(self._levels, self._levels[1:], strict=False):
            indices = indices >> _BITS
            parents.scatter_(0, indices, _groups(children)[indices].sum(dim=1))

    def fill(self, first: int, count: int, value: Tensor) -> None:
        """Set `value` [] at `count` (at most `capacity`) indices from `first` on, wrapping around
        at the capacity.
        """
        before_wrap = min(count, self.capacity - first)
        for low, size in ((first, before_wrap), (0, count - before_wrap)):
            if size:
                self._levels[0][low : low + size] = value
                self._add_up(low, low + size)

    def load(self, values: Tensor) -> None:
        """Set the first values to `values` [n] and all others to 0."""
        self._levels[0].zero_()
        self._levels[0][: len(values)] = values
        self._add_up(0, self.capacity)

    def _add_up(self, low: int, high: int) -> None:
        for children, parents in zip(self._levels, self._levels[1:], strict=False):
            low, high = low >> _BITS, (high - 1 >> _BITS) + 1
            parents[low:high] = _groups(children)[low:high].sum(dim=1)

    def find(self, masses: Tensor) -> Tensor:
        """[n] int64: the indices at which the running sum of all values first exceeds `masses` [n],
        from 0 up to the total.

        An index whose value is 0 is never found, whatever the rounding: sums of more children are
        never smaller, and the chosen child raises its sum above those of the children before it.
        """
        indices = torch.zeros_like(masses, dtype=torch.int64)
        for level in reversed(self._levels):
            # [n, 32] sums of the first 1 to 32 children
            sums = (_groups(level)[indices].unsqueeze(1) * self._up_to).sum(dim=2)
            last = (sums < sums[:, -1:]).sum(dim=1)  # the last child that is not 0
            child = torch.minimum((sums <= masses.unsqueeze(1)).sum(dim=1), last)
            before = sums.gather(1, (child - 1).clamp(min=0).unsqueeze(1)).squeeze(1)
            masses = masses - torch.where(child > 0, before, 0.0)
            indices = (indices << _BITS) + child
        return indices


def _groups(level: Tensor) -> Tensor:
    return level.view(-1, _CHILDREN)
