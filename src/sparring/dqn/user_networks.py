"""Users' networks: `factory(spec, **arguments)`, a function or class named `module:factory`,
returns a torch module.

The module maps observations [B, *observation_shape], in the game's dtype and with B >= 1, to
Q-values [B, A]. Only its parameters learn and travel to workers, snapshots and files; hence the
checks of each network that is built.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from sparring.errors import ConfigurationError
from sparring.games.spec import GameSpec
from sparring.user_code import import_named, place_of

_Made = TypeVar("_Made")


def build_own(name: str, arguments: Mapping[str, Any], spec: GameSpec) -> nn.Module:
    """The network of the factory `name`. Raises `ConfigurationError` if it cannot be trained."""
    factory = import_named(name, what="network")
    try:
        inspect.signature(factory).bind(spec, **arguments)
    except TypeError as error:
        remedy = "the call is factory(spec, **arguments), with policy_kwargs.arguments"
        raise ConfigurationError(
            f"the arguments of network {name} do not fit: {error}", remedy=remedy
        ) from None
    network = _blaming(name, "raised", lambda: factory(spec, **arguments))
    if not isinstance(network, nn.Module):
        raise ConfigurationError(
            f"network {name}",
            got=f"a value of {type(network).__name__}",
            expected="a torch.nn.Module",
        )
    _check_outputs(name, network, spec)
    _check_tensors(name, network)
    return network


def _check_outputs(name: str, network: nn.Module, spec: GameSpec) -> None:
    batch = torch.zeros(2, *spec.observation_shape, dtype=getattr(torch, spec.observation_dtype))
    observations = f"observations {list(batch.shape)} of {spec.observation_dtype}"
    expected = f"floating-point numbers [2, {spec.num_actions}] for {observations}"
    with torch.no_grad():
        _blaming(name, f"does not accept {observations}:", lambda: network(batch))
        # After the first call, in which lazy layers take their sizes and draw their weights.
        before = torch.get_rng_state()
        q: Any = network(batch)
    if not isinstance(q, Tensor) or not q.is_floating_point() or q.shape != (2, spec.num_actions):
        got = (
            f"{str(q.dtype).removeprefix('torch.')} {list(q.shape)}"
            if isinstance(q, Tensor)
            else f"a value of {type(q).__name__}"
        )
        remedy = "take the number of outputs from spec.num_actions"
        if spec.num_actions == 1 and spec.afterstates:
            remedy += ": it is 1 where positions after moves are valued (afterstates = on)"
        raise ConfigurationError(
            f"output of network {name}", got=got, expected=expected, remedy=remedy
        )
    if not torch.equal(before, torch.get_rng_state()):
        raise ConfigurationError(
            f"network {name} draws random numbers in every call",
            expected="the same Q-values for the same observation",
            remedy="remove dropout and noise",
        )


def _check_tensors(name: str, network: nn.Module) -> None:
    if buffers := [buffer for buffer, _ in network.named_buffers()]:
        raise ConfigurationError(
            f"network {name} has buffers, which do not travel with the weights",
            got=_some(buffers),
            expected="parameters only",
            remedy="replace BatchNorm by LayerNorm or GroupNorm, "
            "and a constant by nn.Parameter(..., requires_grad=False)",
        )
    parameters = dict(network.named_parameters())
    if not parameters:
        raise ConfigurationError(
            f"network {name} has no parameters",
            remedy="keep its layers as attributes or in an nn.ModuleList",
        )
    others = [
        f"{key} ({value.dtype}, {value.device})".replace("torch.", "")
        for key, value in parameters.items()
        if not _fits(value)
    ]
    if others:
        raise ConfigurationError(
            f"parameters of network {name}",
            got=_some(others),
            expected="float32 on the CPU",
            remedy="set the learner's device by device; networks of your own work in float32",
        )


def _fits(parameter: Tensor) -> bool:
    return parameter.dtype == torch.float32 and parameter.device.type == "cpu"


def _some(names: Iterable[str]) -> str:
    first, *rest = names
    return f"{first} and {len(rest)} more" if rest else first


def _blaming(name: str, what: str, call: Callable[[], _Made]) -> _Made:
    """Return `call()`; an exception becomes one line with its place in the user's code."""
    try:
        return call()
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ConfigurationError(
            f"network {name} {what} {type(error).__name__}{place_of(error)}: {reason:.200}"
        ) from error
