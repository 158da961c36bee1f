"""Adam on one vector of weights, and a running mean of the weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from sparring.config.schema import LearningOptions
from sparring.dqn.kernels import adam_step

_BETAS: Final = (0.9, 0.999)
_EPS: Final = 1e-8
_MOMENTS: Final = ("exp_avg", "exp_avg_sq")
_KEY: Final = "0"  # of the only entry in a saved state, which is that of the one vector


class Adam:
    """Kingma & Ba, "Adam: a method for stochastic optimization" (ICLR 2015), for the trainable
    parameters of a network.

    The parameters become views of one vector, so that the norm, the step and each copy are one
    operation. The arithmetic is torch's fused kernel; the class `torch.optim.Adam` around it costs
    as much again as the kernel in networks of usual size. Everything that a step reads stays in the
    same device memory, as CUDA graphs require.
    """

    weights: Tensor  # [size] float32
    gradient: Tensor  # [size] float32, to be filled before each step

    def __init__(self, network: nn.Module, options: LearningOptions) -> None:
        trained = trainable_parameters(network)
        self.weights = torch.cat([parameter.detach().reshape(-1) for parameter in trained])
        for parameter, view in zip(trained, split_like(self.weights, trained), strict=True):
            parameter.data = view
        self.gradient = torch.zeros_like(self.weights)
        self._moments = torch.zeros_like(self.weights), torch.zeros_like(self.weights)
        # The kernel takes a float32, which cannot count beyond 2**24.
        self._steps = torch.zeros((), dtype=torch.float64, device=self.weights.device)
        self._kernel_steps = torch.zeros((), device=self.weights.device)
        # CUDA kernels read the learning rate on the device; the CPU's takes a number, which it
        # keeps in double precision.
        self._learning_rate = (
            torch.tensor(options.learning_rate, device=self.weights.device)
            if self.weights.is_cuda
            else options.learning_rate
        )

    def step(self, *, scale: Tensor, failed: Tensor) -> None:
        """Move the weights along `gradient / scale`; where `failed` is 1 nothing changes.

        Both are [] float32.
        """
        self._steps += 1
        self._kernel_steps.copy_(self._steps)
        adam_step(
            self.weights,
            self.gradient,
            self._moments,
            self._kernel_steps,
            learning_rate=self._learning_rate,
            betas=_BETAS,
            eps=_EPS,
            scale=scale,
            failed=failed,
        )
        self._steps -= failed

    @property
    def steps(self) -> int:
        """Number of steps made, without failed ones; waits for the device."""
        return int(self._steps)

    def set_learning_rate(self, learning_rate: float) -> None:
        """Set the learning rate of later steps."""
        if isinstance(self._learning_rate, Tensor):
            self._learning_rate.fill_(learning_rate)
        else:
            self._learning_rate = learning_rate

    def get_state(self) -> dict[str, Any]:
        """Copies of the moments and the number of steps; empty before the first step."""
        if not self.steps:
            return {}
        moments = {
            name: moment.cpu().numpy().copy()
            for name, moment in zip(_MOMENTS, self._moments, strict=True)
        }
        return {_KEY: {"step": self._steps.cpu().numpy().copy(), **moments}}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what `get_state` returned, in place: CUDA graphs refer to these tensors."""
        if not state:
            for tensor in (self._steps, *self._moments):
                tensor.zero_()
            return
        self._steps.fill_(float(state[_KEY]["step"]))
        for name, moment in zip(_MOMENTS, self._moments, strict=True):
            moment.copy_(torch.from_numpy(np.asarray(state[_KEY][name], np.float32)))


def trainable_parameters(network: nn.Module) -> list[nn.Parameter]:
    """Parameters with `requires_grad`, in the network's order."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def split_like(vector: Tensor, shapes: Iterable[Tensor]) -> list[Tensor]:
    """Consecutive views of `vector` with the shapes of other tensors."""
    views, start = [], 0
    for other in shapes:
        views.append(vector[start : start + other.numel()].view(other.shape))
        start += other.numel()
    return views


class RunningMean:
    """`mean = decay * mean + (1 - decay) * weights` after each update; it plays better than the
    weights of any single moment.

    Polyak & Juditsky, "Acceleration of stochastic approximation by averaging" (SIAM 1992), with
    exponential forgetting, as in the evaluated networks of Kingma & Ba (ICLR 2015, section 7.2).
    After t updates the decay is at most (1 + t) / (10 + t), so that the mean forgets the first
    weights soon.
    """

    def __init__(self, weights: Tensor, decay: float) -> None:
        self._weights = weights
        self._decay = decay
        self._mean = weights.clone()
        self._updates = 0

    def update(self, updates: int) -> None:
        """Include the weights after `updates` more updates; those in between are not seen."""
        self._updates += updates
        decay = min(self._decay, (1 + self._updates) / (10 + self._updates))
        self._mean.lerp_(self._weights, 1.0 - decay**updates)

    def restart(self) -> None:
        """Start again from the present weights."""
        self._mean.copy_(self._weights)
        self._updates = 0

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Context in which the network's weights are the mean."""
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
        """Continue from what `get_state` returned."""
        self._mean.copy_(torch.from_numpy(state["mean"]))
        self._updates = state["updates"]
