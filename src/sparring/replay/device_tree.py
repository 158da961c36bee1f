"""Sums on a device that find n places by their share of the total with a fixed number of operations on whole tensors.

Each node is the sum of 32 children, as often as it takes to come down to one group of 32; a million places are four levels. Wide, because
every operation on a GPU has a price of its own, whatever its size; and 32, because sums of so many are added up in one order however many
of them are asked for: equal leaves, equal bits, after a resume as well. Running sums would be the usual way to find a place within a node;
torch does not promise the same bits for those on a GPU. They are sums here, too, of children times 0 or 1.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

_CHILDREN: Final = 32
_BITS: Final = 5


class DeviceSumTree:
    """Non-negative float64 values at places 0 to `capacity - 1`, all 0 at first, that can be found in proportion to their size."""

    def __init__(self, capacity: int, device: torch.device) -> None:
        self.capacity = capacity
        self._levels: list[Tensor] = []  # leaves first, each filled up with zeros to whole groups, down to one group
        size = capacity
        while not self._levels or len(self._levels[-1]) > _CHILDREN:
            groups = -(-size // _CHILDREN)
            self._levels.append(torch.zeros(groups * _CHILDREN, dtype=torch.float64, device=device))
            size = groups
        self._up_to = torch.ones(_CHILDREN, _CHILDREN, dtype=torch.float64, device=device).tril()  # row j: children 0 to j

    @property
    def values(self) -> Tensor:
        """[capacity], a view."""
        return self._levels[0][: self.capacity]

    @property
    def total(self) -> Tensor:
        """[], the sum of all values."""
        return self._levels[-1].sum()

    def set(self, indices: Tensor, values: Tensor) -> None:
        """Set `values` [n] (finite, not negative) at `indices` [n] int64, both unchecked; of equal indices the last wins.

        n x n numbers say which one that is: a scatter of different values to one place would leave it to chance.
        """
        order = torch.arange(len(indices), device=indices.device)
        last = torch.where(indices.unsqueeze(1) == indices, order, 0).amax(dim=1)
        self._levels[0].scatter_(0, indices, values[last])
        for children, parents in zip(self._levels, self._levels[1:], strict=False):
            indices = indices >> _BITS
            parents.scatter_(0, indices, _groups(children)[indices].sum(dim=1))

    def fill(self, first: int, count: int, value: Tensor) -> None:
        """Set `value` [] at `count` (at most `capacity`) places from `first` on; after the last place comes place 0."""
        before_wrap = min(count, self.capacity - first)
        for low, size in ((first, before_wrap), (0, count - before_wrap)):
            if size:
                self._levels[0][low : low + size] = value
                self._add_up(low, low + size)

    def load(self, values: Tensor) -> None:
        """Set the first places to `values` [n] and all others to 0."""
        self._levels[0].zero_()
        self._levels[0][: len(values)] = values
        self._add_up(0, self.capacity)

    def _add_up(self, low: int, high: int) -> None:
        for children, parents in zip(self._levels, self._levels[1:], strict=False):
            low, high = low >> _BITS, (high - 1 >> _BITS) + 1
            parents[low:high] = _groups(children)[low:high].sum(dim=1)

    def find(self, masses: Tensor) -> Tensor:
        """[n] int64: the places at which the running sum of all values first passes `masses` [n], from 0 up to the total.

        A place whose value is 0 is never found, whatever the rounding: sums of more children are never smaller, and the child that is
        taken raises its sum above those of the children before it.
        """
        places = torch.zeros_like(masses, dtype=torch.int64)
        for level in reversed(self._levels):
            sums = (_groups(level)[places].unsqueeze(1) * self._up_to).sum(dim=2)  # [n, 32] of the first 1 to 32 children
            last = (sums < sums[:, -1:]).sum(dim=1)  # that is not 0
            child = torch.minimum((sums <= masses.unsqueeze(1)).sum(dim=1), last)
            before = sums.gather(1, (child - 1).clamp(min=0).unsqueeze(1)).squeeze(1)
            masses = masses - torch.where(child > 0, before, 0.0)
            places = (places << _BITS) + child
        return places


def _groups(level: Tensor) -> Tensor:
    return level.view(-1, _CHILDREN)
