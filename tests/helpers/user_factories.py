"""Networks of users, correct and wrong, named `user_factories:...`."""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from torch import Tensor, nn

from sparring.games.spec import GameSpec


class Tower(nn.Module):
    """Linear layers, a normalisation without buffers, a scalar parameter, a constant."""

    def __init__(self, spec: GameSpec, *, width: int, depth: int = 1) -> None:
        super().__init__()
        widths = [math.prod(spec.observation_shape), *[width] * depth]
        self.layers = nn.ModuleList(
            nn.Linear(wide, narrow) for wide, narrow in itertools.pairwise(widths)
        )
        self.norm = nn.LayerNorm(width)
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.constant = nn.Parameter(torch.full((spec.num_actions,), 0.25), requires_grad=False)
        self.last = nn.Linear(width, spec.num_actions)

    def forward(self, observation: Tensor) -> Tensor:
        x = observation.flatten(1).float()
        for layer in self.layers:
            x = torch.relu(layer(x))
        q: Tensor = self.last(self.norm(x)) * self.scale + self.constant
        return q


def small(spec: GameSpec) -> nn.Module:
    return Tower(spec, width=4)


class Games:
    @staticmethod
    def nested(spec: GameSpec, **arguments: Any) -> nn.Module:
        return Tower(spec, **arguments)


def lazy(spec: GameSpec) -> nn.Module:
    return nn.Sequential(Floats(), nn.LazyLinear(5), nn.ReLU(), nn.LazyLinear(spec.num_actions))


class Floats(nn.Module):
    def forward(self, observation: Tensor) -> Tensor:
        return observation.flatten(1).float()


def linear(spec: GameSpec, actions: int, *between: nn.Module) -> nn.Sequential:
    return nn.Sequential(Floats(), *between, nn.Linear(spec.observation_size, actions))


def double_precision_output(spec: GameSpec) -> nn.Module:
    class Doubled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inside = small(spec)

        def forward(self, observation: Tensor) -> Tensor:
            q: Tensor = self.inside(observation)
            return q.double()

    return Doubled()


def no_module(spec: GameSpec) -> object:
    return {"layers": 3}


def no_parameters(spec: GameSpec) -> nn.Module:
    class Constant(nn.Module):
        def forward(self, observation: Tensor) -> Tensor:
            return torch.zeros(len(observation), spec.num_actions)

    return Constant()


def batch_norm(spec: GameSpec) -> nn.Module:
    return linear(spec, spec.num_actions, nn.BatchNorm1d(spec.observation_size))


def constant_buffer(spec: GameSpec) -> nn.Module:
    network = linear(spec, spec.num_actions)
    network.register_buffer("table", torch.zeros(3), persistent=False)
    return network


def dropout(spec: GameSpec) -> nn.Module:
    return linear(spec, spec.num_actions, nn.Dropout(0.5))


def double_precision(spec: GameSpec) -> nn.Module:
    class Doubles(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Linear(18, 9).double()
            self.other = nn.Linear(9, 9)

        def forward(self, observation: Tensor) -> Tensor:
            q: Tensor = self.other(self.one(observation.flatten(1).double()).float())
            return q

    return Doubles()


def one_action_too_many(spec: GameSpec) -> nn.Module:
    return linear(spec, spec.num_actions + 1)


def a_tuple(spec: GameSpec) -> nn.Module:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(18, 9)

        def forward(self, observation: Tensor) -> tuple[Tensor, None]:
            return self.layer(observation.flatten(1).float()), None

    return Pair()


def whole_numbers(spec: GameSpec) -> nn.Module:
    class Rounded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(18, 9)

        def forward(self, observation: Tensor) -> Tensor:
            q: Tensor = self.layer(observation.flatten(1).float())
            return q.long()

    return Rounded()


def without_a_cast(spec: GameSpec) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(spec.observation_size, spec.num_actions))


def fails(spec: GameSpec, *, share: int = 0) -> nn.Module:
    return Tower(spec, width=8 // share)


NOT_CALLABLE = 3
unnamed = lambda spec: small(spec)  # noqa: E731
