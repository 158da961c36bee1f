"""Settings of the network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from sparring.config.settings import Common, First, Settings, Size, Synonyms
from sparring.errors import ConfigurationError, nearest, shown
from sparring.user_code import is_importable_name, name_of

# Settings of `PolicyKwargs` that each built-in network takes; a user's own takes `arguments`.
NETWORK_OPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "mlp": ("net_arch", "activation", "dueling", "atoms", "noisy"),
    "patches": ("patch_size", "patch_arch", "net_arch", "activation", "dueling", "atoms", "noisy"),
    "resnet": ("channels", "blocks", "dueling", "atoms", "noisy"),
    "ntuples": ("tuples", "tuple_size", "tuple_kind"),
}

# Settings of a learner that steps along gradients, which the tables of ntuples cannot have.
NOT_FOR_TABLES: Final = (
    "tau", "target_update_interval", "weight_averaging", "max_grad_norm", "prioritized_replay",
)  # fmt: skip


def _as_tuple(value: Any) -> Any:
    """TOML and Python callers write lists; a frozen value holds tuples."""
    return tuple(value) if isinstance(value, list) else value


Layers = Annotated[
    tuple[Size, ...], BeforeValidator(_as_tuple), Field(min_length=1, max_length=1_000)
]


def _as_name(value: Any) -> Any:
    """Python callers may pass the factory itself; its name is what travels."""
    return value if isinstance(value, str) else name_of(value, what="network")


def _plain(value: Any) -> Any:
    """Values that TOML, JSON and every process write and read alike; a tuple becomes a list."""
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if type(value) in (bool, int, str) or (type(value) is float and math.isfinite(value)):
        return value
    raise ConfigurationError(
        "a value in policy_kwargs.arguments",
        got=shown(value),
        expected="true, false, a number, text or a list",
    )


class PolicyKwargs(Settings):
    """The network."""

    network: Annotated[
        str, BeforeValidator(_as_name), First("network", "net", "policy", "model", "architecture")
    ] = "mlp"
    """mlp; for boards also patches, resnet, ntuples; or module:factory, your function or class."""
    net_arch: Annotated[Layers, Common("hidden", "layers", "hidden_sizes", "units")] = (256, 256)
    """Units of each hidden layer; mlp, patches."""
    patch_size: Size = 4
    """Rows and columns of each patch of the board; patches."""
    patch_arch: Layers = (64, 32)
    """Units of each layer that is applied to one patch; patches."""
    activation: Literal["relu", "squared_relu"] = "relu"
    """Activation function; squared_relu: the square of the ReLU; mlp, patches."""
    channels: Annotated[Size, Synonyms("filters")] = 32
    """Channels of each convolution; resnet."""
    blocks: Annotated[int, Field(ge=1, le=1_000)] = 2
    """Residual blocks of two convolutions each; resnet."""
    dueling: bool = False
    """Dueling heads: state value plus advantage of each action (Wang et al. 2016)."""
    atoms: Annotated[Size, Synonyms("c51", "distributional")] = 1
    """Atoms of the C51 return distribution, for example 51; 1: plain DQN."""
    noisy: bool = False
    """Noisy networks (Fortunato et al. 2018) in the output layers."""
    tuples: Size = 70
    """Number of lookup tables; ntuples."""
    tuple_size: Size = 8
    """Cells of the board that each table looks at; ntuples."""
    tuple_kind: Literal["walk", "lines"] = "walk"
    """walk: cells that a random walk over neighbours meets; lines: straight lines; ntuples."""
    arguments: dict[str, Annotated[Any, BeforeValidator(_plain)]] = Field(default_factory=dict)
    """Keyword arguments of your own factory, besides spec; lists only in files and Python."""

    @model_validator(mode="after")
    def _fits_the_network(self) -> Self:
        if self.network not in NETWORK_OPTIONS and not is_importable_name(self.network):
            raise ConfigurationError(
                "policy_kwargs.network",
                got=repr(self.network),
                expected=f"one of {', '.join(NETWORK_OPTIONS)}, or module:factory",
                remedy=nearest(self.network, NETWORK_OPTIONS),
            )
        for name, field in type(self).model_fields.items():
            value, default = getattr(self, name), field.get_default(call_default_factory=True)
            if name not in ("network", *self._accepted()) and value != default:
                raise ConfigurationError(
                    f"policy_kwargs.{name} does not apply to network {self.network}",
                    got=repr(value),
                    expected=f"only {', '.join(self._accepted())}",
                    remedy="remove it or choose another policy_kwargs.network",
                )
        return self

    def _accepted(self) -> tuple[str, ...]:
        return NETWORK_OPTIONS.get(self.network, ("arguments",))

    def in_use(self) -> dict[str, Any]:
        """The network and the settings that it takes; plain values."""
        return self.model_dump(mode="json", include={"network", *self._accepted()})

    def network_arguments(self) -> dict[str, Any]:
        """Keyword arguments of the network's factory, besides the game's spec; plain values."""
        options = self.in_use()
        del options["network"]
        return options if self.network in NETWORK_OPTIONS else dict(options["arguments"])
