"""One minibatch for several learners with equal weights, each in a process of its own (a rank).

Synchronous data-parallel training, as in Goyal et al., "Accurate, large minibatch SGD" (2017),
without its changes to the learning rate. Every rank computes the gradient of its own part, all with
equally many transitions. One sum over all ranks then gives each of them the gradient of the whole,
so that each makes the same step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor


class Ranks(Protocol):
    """All ranks, as one of them sees them."""

    rank: int
    size: int

    def sum(self, tensor: Tensor) -> None:
        """Replace `tensor` on every rank by the sum of those of all ranks, equal to the last bit.

        Waits for all ranks.
        """


def never() -> bool:
    """Ask for no stop."""
    return False


class SharedMinibatch:
    """One rank's part of the updates.

    What the ranks tell each other in an update is one vector: gradient, loss, wish to stop, and in
    a place of its own each rank's `ratio`, the largest importance ratio in its part.

    Importance weights of prioritised replay come normalised by the largest ratio in the part;
    multiplied by that and divided by the largest of all ranks they are those of the whole.
    """

    gradient: Tensor  # [size] float32, of this rank's part; after `join` of the whole

    def __init__(self, ranks: Ranks, size: int, device: torch.device) -> None:
        self.ranks = ranks
        self._vector = torch.zeros(size + 2 + ranks.size, device=device)
        self.gradient = self._vector[:size]
        self._sums = self._vector[: size + 1]  # gradient and loss
        self._stops, self._ratios = self._vector[size + 1], self._vector[size + 2 :]
        self.wants_stop: Callable[[], bool] = never

    def join(self, loss: Tensor, ratio: Tensor | float) -> Tensor:
        """Make gradient and `loss` [] of this part those of the whole; return the loss, []."""
        with torch.no_grad():
            self._sums[-1] = loss
            self._sums.mul_(ratio)
            self._stops.fill_(float(self.wants_stop()))
            self._ratios.zero_()
            self._ratios[self.ranks.rank] = ratio
            self.ranks.sum(self._vector)
            self._sums.div_(self._ratios.max() * self.ranks.size)
            return self._sums[-1].clone()

    def mean(self, figures: Tensor) -> None:
        """Replace figures by their means over all ranks."""
        self.ranks.sum(figures)
        figures.div_(self.ranks.size)

    def begin(self) -> None:
        """Begin a series of updates, which nobody wants to stop yet."""
        self._stops.zero_()

    @property
    def stopped(self) -> bool:
        """True on all ranks if one of them has asked for a stop, in the last update."""
        return bool(self._stops > 0)
