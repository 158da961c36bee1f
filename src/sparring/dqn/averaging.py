"""A running mean of the weights, which plays better than the weights that training leaves at any one moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


class RunningMean:
    """`mean = decay * mean + (1 - decay) * weights` after each update, beside a vector of weights that others change.

    Polyak & Juditsky, "Acceleration of stochastic approximation by averaging" (SIAM 1992), with exponential forgetting, as in the
    evaluated networks of Kingma & Ba (ICLR 2015, section 7.2). While there were few updates t, the decay is (1 + t) / (10 + t) at most,
    so that the mean does not remember the first weights for long.
    """

    def __init__(self, weights: Tensor, decay: float) -> None:
        self._weights = weights
        self._decay = decay
        self._mean = weights.clone()
        self._updates = 0

    def follow(self, updates: int) -> None:
        """Take in the weights after `updates` more updates; those in between, if several, are not seen."""
        self._updates += updates
        decay = min(self._decay, (1 + self._updates) / (10 + self._updates))
        self._mean.lerp_(self._weights, 1.0 - decay**updates)

    def restart(self) -> None:
        """Forget what was, and begin with the weights as they are."""
        self._mean.copy_(self._weights)
        self._updates = 0

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The network with the mean as its weights, inside the block."""
        own = self._weights.clone()
        self._weights.copy_(self._mean)
        try:
            yield
        finally:
            self._weights.copy_(own)

    def get_state(self) -> dict[str, Any]:
        """A copy of the mean and the number of updates it has seen."""
        return {"mean": self._mean.cpu().numpy().copy(), "updates": self._updates}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what `get_state` returned."""
        self._mean.copy_(torch.from_numpy(state["mean"]))
        self._updates = state["updates"]
