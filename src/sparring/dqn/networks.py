"""Q-networks as named factories with plain arguments, so that a file names a network without
containing code; and the forms in which weights travel.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import InitVar, dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sparring.dqn.architectures import mlp, patches, resnet
from sparring.dqn.heads import noise_size
from sparring.dqn.ntuples import ntuples
from sparring.dqn.user_networks import build_own
from sparring.errors import ConfigurationError, nearest, shown
from sparring.games import GameSpec, spec_of
from sparring.games.afterstates import afterstate_spec
from sparring.user_code import is_importable_name

Weights = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class NetworkSpec:
    """A network by its factory and plain arguments (JSON values).

    `factory` is a name in `FACTORIES`, or `module:factory` for a user's (`user_networks.py`).
    """

    factory: str = "mlp"
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PolicySpec:
    """An agent without its weights: the name of its game, and its network.

    With `afterstates` the network values positions after moves (`games/afterstates.py`), else the
    actions of a position. `resolved` is the game's spec, if the caller has it. It travels along and
    is not part of the value: two specs with equal names and networks are equal.
    """

    game: str
    network: NetworkSpec = field(default_factory=NetworkSpec)
    afterstates: bool = False
    resolved: InitVar[GameSpec | None] = None

    def __post_init__(self, resolved: GameSpec | None) -> None:
        if resolved is not None:
            self.__dict__["game_spec"] = resolved  # the value of the cached property

    @cached_property
    def game_spec(self) -> GameSpec:
        """The game's spec; resolving its name, which builds a user's class, is done once."""
        return spec_of(self.game)

    @cached_property
    def network_game(self) -> GameSpec:
        """The game as the network and the replay see it."""
        return afterstate_spec(self.game_spec) if self.afterstates else self.game_spec


TABLES: Final = "ntuples"  # has a learner of its own
FACTORIES: Final[Mapping[str, Callable[..., nn.Module]]] = {
    "mlp": mlp,
    "patches": patches,
    "resnet": resnet,
    TABLES: ntuples,
}


def build_network(spec: PolicySpec, *, seed: int = 0) -> nn.Module:
    """A newly initialised network; the same seed gives the same weights, and torch's global
    generator does not change.

    Raises `ConfigurationError` for a network that is unknown, does not fit the game, or breaks the
    rules for users' networks.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return _build(spec)


def count_weights(spec: PolicySpec) -> int:
    """Return the number of weights of a network in `FACTORIES`, without allocating them; 0 for a
    user's, which has to be made to know.
    """
    if spec.network.factory not in FACTORIES:
        return 0
    with torch.device("meta"):
        return _size(spec)


def count_all_weights(spec: PolicySpec) -> int:
    """Return the number of weights of any network; one of a user is made for it."""
    return count_weights(spec) or _size(spec)


def _size(spec: PolicySpec) -> int:
    return sum(parameter.numel() for parameter in build_network(spec).parameters())


def count_noise(spec: PolicySpec) -> int:
    """Return the number of random numbers for the noise of a network; 0 without noisy layers."""
    with torch.device("meta") if spec.network.factory in FACTORIES else nullcontext():
        return noise_size(build_network(spec))


def check_fit(spec: PolicySpec, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise `ConfigurationError` unless weights of these shapes fit the network.

    Allocates nothing for a network in `FACTORIES`: a few words in a file can ask for more memory
    than there is.
    """
    with torch.device("meta") if spec.network.factory in FACTORIES else nullcontext():
        _check_shapes(build_network(spec), shapes)


def _build(spec: PolicySpec) -> nn.Module:
    if not isinstance(spec.network, NetworkSpec) or not isinstance(spec.network.factory, str):
        raise ConfigurationError(
            "network", got=shown(spec.network), expected="a NetworkSpec with the name of a factory"
        )
    name, arguments = spec.network.factory, spec.network.arguments
    if not isinstance(arguments, Mapping):
        raise ConfigurationError(
            f"the arguments of network {name}", got=shown(arguments), expected="names and values"
        )
    if name in FACTORIES:
        _check_arguments(name, arguments, spec.network_game)
        return FACTORIES[name](spec.network_game, **arguments)
    if is_importable_name(name):
        return build_own(name, arguments, spec.network_game)
    expected = f"one of {', '.join(FACTORIES)}, or module:factory"
    raise ConfigurationError(
        "unknown network", got=name, expected=expected, remedy=nearest(name, FACTORIES)
    )


def _check_arguments(name: str, arguments: Mapping[str, Any], game: GameSpec) -> None:
    try:
        inspect.signature(FACTORIES[name]).bind(game, **arguments)
    except TypeError as error:
        raise ConfigurationError(f"the arguments of network {name} do not fit: {error}") from None


def get_weights(network: nn.Module) -> Weights:
    """Copies of all parameters by name."""
    return {
        name: value.detach().to("cpu", torch.float32, copy=True).numpy()
        for name, value in network.named_parameters()
    }


def set_weights(network: nn.Module, weights: Mapping[str, NDArray[Any]]) -> None:
    """Overwrite all parameters. Raises `ConfigurationError` for other names or shapes."""
    _check_shapes(network, {name: value.shape for name, value in weights.items()})
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(torch.from_numpy(np.asarray(weights[name], order="C")))


def _check_shapes(network: nn.Module, shapes: Mapping[str, tuple[int, ...]]) -> None:
    own = dict(network.named_parameters())
    if own.keys() != shapes.keys():
        odd = sorted(own.keys() ^ shapes.keys())
        raise ConfigurationError(
            "weights of another network",
            got=f"differing parameters {', '.join(odd[:4])}",
        )
    for name, parameter in own.items():
        if tuple(parameter.shape) != shapes[name]:
            raise ConfigurationError(
                f"weights of {name!r}",
                got=f"shape {shapes[name]}",
                expected=f"{tuple(parameter.shape)}",
            )


class FlatWeights:
    """All parameters of a network as one float32 vector: the form in which weights travel to
    workers.
    """

    def __init__(self, network: nn.Module) -> None:
        self._shapes = [
            (name, tuple(parameter.shape), parameter.numel())
            for name, parameter in network.named_parameters()
        ]
        self.size = sum(count for _, _, count in self._shapes)

    def vector(self, network: nn.Module) -> NDArray[np.float32]:
        """Copies of all parameters as one vector [size]."""
        return np.concatenate(
            [
                parameter.detach().to("cpu", torch.float32).numpy().reshape(-1)
                for parameter in network.parameters()
            ]
        )

    def unpack(self, vector: NDArray[np.float32], network: nn.Module) -> None:
        """Copy `vector` [size] into the parameters."""
        start = 0
        with torch.no_grad():
            for parameter in network.parameters():
                end = start + parameter.numel()
                parameter.copy_(torch.from_numpy(vector[start:end]).view(parameter.shape))
                start = end

    def named(self, vector: NDArray[np.float32]) -> Weights:
        """Copies of the pieces of `vector` by parameter name."""
        weights, start = {}, 0
        for name, shape, count in self._shapes:
            weights[name] = vector[start : start + count].reshape(shape).copy()
            start += count
        return weights
