"""Adam on one vector of weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

_BETAS: Final = (0.9, 0.999)
_EPS: Final = 1e-8
_MOMENTS: Final = ("exp_avg", "exp_avg_sq")


class Adam:
    """Kingma & Ba, "Adam: a method for stochastic optimization" (ICLR 2015), for the parameters of
    a network that learn.

    It lays them end to end in one vector of which they become views, so that the norm, the step and
    each copy are one operation. The arithmetic is torch's own fused kernel; the class
    `torch.optim.Adam` around it costs as much again as the kernel in networks of usual size.
    Everything that a step reads lies on the device in place, as a graph of launches needs it.
    """

    weights: Tensor  # [size] float32
    gradient: Tensor  # [size] float32, to be filled before each step

    def __init__(self, network: nn.Module, learning_rate: float) -> None:
        trained = learning_parameters(network)
        self.weights = torch.cat([parameter.detach().reshape(-1) for parameter in trained])
        for parameter, piece in zip(trained, pieces(self.weights, trained), strict=True):
            parameter.data = piece
        self.gradient = torch.zeros_like(self.weights)
        self._moments = [torch.zeros_like(self.weights) for _ in _MOMENTS]
        self._steps = torch.zeros((), device=self.weights.device)
        # The kernels read the rate where the weights are; on the CPU that of a number is kept in
        # double precision.
        self._learning_rate = (
            torch.tensor(learning_rate, device=self.weights.device)
            if self.weights.is_cuda
            else learning_rate
        )

    def step(self, *, scale: Tensor, failed: Tensor) -> None:
        """Move the weights along `gradient / scale`; where `failed` is 1 leave everything as it is.
        Both are [] float32.
        """
        self._steps += 1
        first, second = self._moments
        torch._fused_adam_(
            [self.weights], [self.gradient], [first], [second], [], [self._steps],
            lr=self._learning_rate, beta1=_BETAS[0], beta2=_BETAS[1], weight_decay=0.0, eps=_EPS, amsgrad=False, maximize=False,
            grad_scale=scale, found_inf=failed,
        )  # fmt: skip
        self._steps -= failed

    @property
    def steps(self) -> int:
        """Steps made so far, those that failed not counted; waits for the device."""
        return int(self._steps)

    def set_learning_rate(self, learning_rate: float) -> None:
        """The step size of the steps to come."""
        if isinstance(self._learning_rate, Tensor):
            self._learning_rate.fill_(learning_rate)
        else:
            self._learning_rate = learning_rate

    def get_state(self) -> dict[str, Any]:
        """Copies of the moments and the count, empty before the first step."""
        if not self.steps:
            return {}
        moments = {
            name: moment.cpu().numpy().copy()
            for name, moment in zip(_MOMENTS, self._moments, strict=True)
        }
        return {"0": {"step": self._steps.cpu().numpy().copy(), **moments}}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what `get_state` returned; in place, so that what was recorded with these
        tensors stays true.
        """
        entries = [entry for _, entry in sorted(state.items(), key=lambda item: int(item[0]))]
        self._steps.fill_(float(entries[0]["step"]) if entries else 0.0)
        for name, moment in zip(_MOMENTS, self._moments, strict=True):
            saved = [np.asarray(entry[name], np.float32).reshape(-1) for entry in entries]
            moment.copy_(torch.from_numpy(np.concatenate(saved))) if saved else moment.zero_()


def learning_parameters(network: nn.Module) -> list[nn.Parameter]:
    """Those that `requires_grad`, in the network's order."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def pieces(vector: Tensor, shapes: Iterable[Tensor]) -> list[Tensor]:
    """Views of `vector` with the shapes of other tensors, one after another."""
    views, start = [], 0
    for other in shapes:
        views.append(vector[start : start + other.numel()].view(other.shape))
        start += other.numel()
    return views


# A running mean of the weights, which plays better than the weights that training leaves at any one
# moment.


class RunningMean:
    """`mean = decay * mean + (1 - decay) * weights` after each update, beside a vector of weights
    that others change.

    Polyak & Juditsky, "Acceleration of stochastic approximation by averaging" (SIAM 1992), with
    exponential forgetting, as in the evaluated networks of Kingma & Ba (ICLR 2015, section 7.2).
    While there were few updates t, the decay is (1 + t) / (10 + t) at most, so that the mean does
    not remember the first weights for long.
    """

    def __init__(self, weights: Tensor, decay: float) -> None:
        self._weights = weights
        self._decay = decay
        self._mean = weights.clone()
        self._updates = 0

    def follow(self, updates: int) -> None:
        """Take in the weights after `updates` more updates; those in between, if several, are not
        seen.
        """
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
