"""Q-networks as named factories with plain arguments, so that a file can name one without carrying code."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sparring.errors import ConfigurationError
from sparring.games import spec_of
from sparring.games.spec import GameSpec

Weights = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class NetworkSpec:
    """A network by the name of its factory in `FACTORIES` and the plain arguments (JSON values) that the factory takes."""

    factory: str = "mlp"
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PolicySpec:
    """Everything that is needed to build an agent's network without its weights: the game's name and the network."""

    game: str
    network: NetworkSpec = field(default_factory=NetworkSpec)


class MLP(nn.Module):
    """Q-values of all actions from a flattened observation.

    With `dueling`, Q = V + A - mean(A) over all actions (Wang et al. 2016, equation 9); the mean runs over illegal actions too, which
    shifts every Q alike and leaves the greedy move as it is.
    """

    def __init__(self, spec: GameSpec, *, net_arch: tuple[int, ...], dueling: bool) -> None:
        super().__init__()
        widths = [spec.observation_size, *net_arch]
        layers: list[nn.Module] = []
        for wide, narrow in itertools.pairwise(widths):
            layers += [nn.Linear(wide, narrow), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.advantage = nn.Linear(widths[-1], spec.num_actions)
        self.value = nn.Linear(widths[-1], 1) if dueling else None

    def forward(self, observation: Tensor) -> Tensor:
        """[B, *observation_shape] of any dtype -> [B, A] float32."""
        hidden = self.body(observation.flatten(1).to(torch.float32))
        advantage: Tensor = self.advantage(hidden)
        if self.value is None:
            return advantage
        value: Tensor = self.value(hidden)
        return value + advantage - advantage.mean(dim=1, keepdim=True)


def _mlp(spec: GameSpec, *, net_arch: tuple[int, ...] | list[int] = (256, 256), dueling: bool = False) -> nn.Module:
    return MLP(spec, net_arch=tuple(net_arch), dueling=dueling)


FACTORIES: Final[Mapping[str, Callable[..., nn.Module]]] = {"mlp": _mlp}


def build_network(spec: PolicySpec, *, seed: int = 0) -> nn.Module:
    """A freshly initialised network; the same seed gives the same weights and leaves torch's global generator as it was."""
    factory = FACTORIES.get(spec.network.factory)
    if factory is None:
        raise ConfigurationError("unknown network", got=spec.network.factory, expected=f"one of {', '.join(FACTORIES)}")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return factory(spec_of(spec.game), **spec.network.arguments)


def get_weights(network: nn.Module) -> Weights:
    """Copies of all parameters by name."""
    return {name: value.detach().cpu().numpy().copy() for name, value in network.named_parameters()}


def set_weights(network: nn.Module, weights: Mapping[str, NDArray[Any]]) -> None:
    """Overwrite all parameters; names and shapes have to be the network's own."""
    own = dict(network.named_parameters())
    if own.keys() != weights.keys():
        odd = sorted(own.keys() ^ weights.keys())
        raise ConfigurationError("these weights are not of this network", got=f"differing parameters {', '.join(odd[:4])}")
    for name, parameter in own.items():
        if tuple(parameter.shape) != tuple(weights[name].shape):
            raise ConfigurationError(f"weights of {name!r}", got=f"shape {weights[name].shape}", expected=f"{tuple(parameter.shape)}")
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(weights[name])))


class FlatWeights:
    """The parameters of one network laid end to end in a float32 vector: the form in which weights travel to workers."""

    def __init__(self, network: nn.Module) -> None:
        self._shapes = [(name, tuple(parameter.shape), parameter.numel()) for name, parameter in network.named_parameters()]
        self.size = sum(count for _, _, count in self._shapes)

    def vector(self, network: nn.Module) -> NDArray[np.float32]:
        """Copies of all parameters as one vector [size]."""
        return np.concatenate([parameter.detach().cpu().numpy().reshape(-1) for parameter in network.parameters()])

    def unpack(self, vector: NDArray[np.float32], network: nn.Module) -> None:
        """Copy `vector` [size] into the parameters."""
        start = 0
        with torch.no_grad():
            for parameter in network.parameters():
                end = start + parameter.numel()
                parameter.copy_(torch.from_numpy(vector[start:end].copy()).view(parameter.shape))
                start = end

    def named(self, vector: NDArray[np.float32]) -> Weights:
        """Copies of the pieces of `vector` by parameter name."""
        weights, start = {}, 0
        for name, shape, count in self._shapes:
            weights[name] = vector[start : start + count].reshape(shape).copy()
            start += count
        return weights
