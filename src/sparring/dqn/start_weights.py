"""Weights that a new run starts with, from a file: an agent of another run, or a torch state dict.

Reading runs no code from the file.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors_torch
from torch import Tensor, nn

from sparring.dqn.agent_file import decode_agent
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.dqn.table_learner import AnyLearner
from sparring.errors import ConfigurationError, FileFormatError

_AGENT: Final = ".safetensors"
_TORCH: Final = (".pt", ".pth")
_SAVED: Final = "torch.save(network.state_dict(), FILE) writes one"


@dataclass(frozen=True)
class StartWeights:
    """Finite tensors by name; `description` is that of an agent file, else empty."""

    path: Path
    sha256: str
    tensors: Mapping[str, Tensor]
    description: Mapping[str, Any]

    def __str__(self) -> str:
        game = self.description.get("game")
        what = f"an agent of {game}" if game else f"{len(self.tensors)} tensors"
        return f"{self.path} ({what}; SHA-256 {self.sha256[:12]}...)"


def read_start_weights(path: Path) -> StartWeights:
    """Read an agent file, or a state dict as .pt, .pth or .safetensors. Raises `FileFormatError`
    if the file is damaged or holds something else.
    """
    if path.suffix not in (_AGENT, *_TORCH):
        raise FileFormatError(
            "init_from",
            got=str(path),
            expected="a file that ends in .safetensors, .pt or .pth",
            remedy=f"{path / 'best.safetensors'} is the best agent of that run"
            if (path / "best.safetensors").is_file()
            else "",
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FileFormatError(f"init_from: {path} cannot be read: {error.strerror}") from None
    read = _read_safetensors if path.suffix == _AGENT else _read_torch
    tensors = read(data, path)
    _check_tensors(tensors, path)
    return StartWeights(path, hashlib.sha256(data).hexdigest(), tensors, _description(data, path))


def start_with(learner: AnyLearner, start: StartWeights, spec: PolicySpec) -> None:
    """Overwrite the weights of the policy and of the target network before the first update.

    Raises `ConfigurationError` if they do not fit the network.
    """
    _check_fit(learner.policy, start, spec)
    names = dict(learner.policy.named_parameters())
    learner.start_with({name: start.tensors[name].float().numpy() for name in names})


def _check_fit(policy: nn.Module, start: StartWeights, spec: PolicySpec) -> None:
    """Name the first parameter, in the network's own order, of which the file has no equal."""
    shapes = {name: list(tensor.shape) for name, tensor in start.tensors.items()}
    wanted = {name: list(value.shape) for name, value in policy.named_parameters()}
    # a parameter that has two names is listed under both in a state dict
    known = {**{name: list(value.shape) for name, value in policy.state_dict().items()}, **wanted}
    for name in (*wanted, *shapes):
        got, expected = shapes.get(name), known.get(name)
        if got != expected:
            raise ConfigurationError(
                f"init_from: {start.path} does not fit network {spec.network.factory}: {name}",
                got="no such weights" if got is None else f"shape {got}",
                expected="no such weights" if expected is None else f"shape {expected}",
                remedy=_values_in(start, spec, got) or _network_in(start, spec.network),
            )


def _network_in(start: StartWeights, network: NetworkSpec) -> str:
    """The network that an agent file names, where it is another one."""
    try:
        found = start.description["network"]
        factory, arguments = found["factory"], dict(found["arguments"])
        options = ", ".join(f"{name} = {value}" for name, value in arguments.items())
    except (KeyError, TypeError, ValueError, AttributeError):
        return ""
    if (factory, arguments) == (network.factory, dict(network.arguments)):
        return ""
    return f"the file has network {factory} with {options or 'no arguments'}"


def _values_in(start: StartWeights, spec: PolicySpec, got: list[int] | None) -> str:
    """The remedy where the file values moves and the run positions after moves, or the reverse."""
    if start.description:
        in_file = bool(start.description.get("afterstates", False))
    else:
        in_file = spec.afterstates and (got or [0])[0] != spec.game_spec.num_actions
    if in_file == spec.afterstates:
        return ""
    valued = "positions after moves" if in_file else "moves"
    return f"the file values {valued}: set afterstates = {'on' if in_file else 'off'}"


def _read_safetensors(data: bytes, path: Path) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = safetensors_torch.load(data)
    except (SafetensorError, ValueError, KeyError, RecursionError):
        raise FileFormatError(f"init_from: {path} is damaged or not a safetensors file") from None
    return tensors


def _description(data: bytes, path: Path) -> dict[str, Any]:
    try:
        return decode_agent(data)[1] if path.suffix == _AGENT else {}
    except FileFormatError:
        return {}  # of another program


def _read_torch(data: bytes, path: Path) -> dict[str, Tensor]:
    try:
        loaded = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # of the unpickler, the archive or torch, for whatever bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FileFormatError(
            f"init_from: {path} is damaged, or holds more than weights",
            got=f"{reason:.100}",
            expected="a state dict",
            remedy=_SAVED,
        ) from None
    if not _is_state_dict(loaded):
        raise FileFormatError(
            f"init_from: {path}",
            got=_shown(loaded),
            expected="a state dict, with one tensor for each name",
            remedy=_part_of(loaded, path) or _SAVED,
        )
    return dict(loaded)


def _is_state_dict(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in value.items()
    )


def _shown(loaded: Any) -> str:
    if isinstance(loaded, Mapping):
        return f"a table of {', '.join(map(str, loaded)):.100}"
    return f"a value of {type(loaded).__name__}"


def _part_of(loaded: Any, path: Path) -> str:
    """Code that saves the first part of a training's state that is a state dict itself."""
    parts = loaded.items() if isinstance(loaded, Mapping) else ()
    found = [name for name, value in parts if _is_state_dict(value) and value]
    read = f"torch.load({str(path)!r}, weights_only=True)"
    return f"torch.save({read}[{found[0]!r}], FILE) writes one" if found else ""


def _check_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or tensor.layout != torch.strided:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise FileFormatError(
                f"init_from: {name} in {path}", got=kind, expected="floating-point numbers"
            )
        if not torch.isfinite(tensor.float()).all():
            raise FileFormatError(
                f"init_from: {name} in {path}", got="NaN or infinity", expected="finite numbers"
            )
    if not tensors:
        raise FileFormatError(f"init_from: {path} holds no weights")
