"""The built-in networks: `mlp` for any observation, `patches` and `resnet` for boards.

Each factory takes a game's spec and plain arguments, and raises `ConfigurationError` for invalid
ones before it allocates memory.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from sparring.dqn.heads import QHead
from sparring.dqn.kernels import can_fuse, linear_relu
from sparring.errors import ConfigurationError
from sparring.games.spec import GameSpec

MAX_LAYERS: Final = 100  # an agent file may ask for any number
HEAD_PLANES: Final = 16
MAX_ATOMS: Final = 1_001


def mlp(
    spec: GameSpec,
    *,
    net_arch: Sequence[int] = (256, 256),
    activation: str = "relu",
    dueling: bool = False,
    atoms: int = 1,
    noisy: bool = False,
) -> nn.Module:
    """A perceptron with hidden layers of `net_arch` units."""
    _check_units("net_arch of network mlp", net_arch)
    unit, head = (
        _activation("mlp", activation),
        _head(spec, dueling=dueling, atoms=atoms, noisy=noisy),
    )
    return MLP(spec, net_arch=tuple(net_arch), activation=unit, head=head)


def patches(
    spec: GameSpec,
    *,
    patch_size: int = 4,
    patch_arch: Sequence[int] = (64, 32),
    net_arch: Sequence[int] = (256, 256),
    activation: str = "relu",
    dueling: bool = False,
    atoms: int = 1,
    noisy: bool = False,
) -> nn.Module:
    """The same perceptron of `patch_arch` units on each square of `patch_size` x `patch_size`
    cells, and one of `net_arch` units on all their outputs.
    """
    _check_board("patches", spec)
    _, rows, columns = spec.observation_shape
    _check_count("patch_size of network patches", patch_size, min(rows, columns))
    _check_units("patch_arch of network patches", patch_arch)
    _check_units("net_arch of network patches", net_arch)
    unit, head = (
        _activation("patches", activation),
        _head(spec, dueling=dueling, atoms=atoms, noisy=noisy),
    )
    return Patches(
        spec,
        patch_size=patch_size,
        patch_arch=tuple(patch_arch),
        net_arch=tuple(net_arch),
        activation=unit,
        head=head,
    )


def resnet(
    spec: GameSpec,
    *,
    channels: int = 32,
    blocks: int = 2,
    dueling: bool = False,
    atoms: int = 1,
    noisy: bool = False,
) -> nn.Module:
    """A residual network of `blocks` blocks of two 3x3 convolutions with `channels` channels."""
    _check_board("resnet", spec)
    _check_count("channels of network resnet", channels)
    _check_count("blocks of network resnet", blocks, MAX_LAYERS)
    return ResNet(
        spec,
        channels=channels,
        blocks=blocks,
        head=_head(spec, dueling=dueling, atoms=atoms, noisy=noisy),
    )


def _head(spec: GameSpec, *, dueling: bool, atoms: int, noisy: bool) -> Callable[[int], QHead]:
    """Factory of the last layers, given the number of units before them.

    Atoms are evenly spaced over the range of returns that the game declares.
    """
    _check_count("atoms", atoms, MAX_ATOMS)
    if atoms > 1 and spec.value_range is None:
        raise ConfigurationError(
            f"atoms of a network for {spec.name}",
            got=atoms,
            expected="1, as the game does not declare the range of its returns",
            remedy="declare GameSpec.returns, or leave atoms out",
        )
    support = (*spec.value_range, atoms) if atoms > 1 and spec.value_range else None
    return partial(
        QHead, num_actions=spec.num_actions, dueling=dueling, support=support, noisy=noisy
    )


def _check_board(network: str, spec: GameSpec) -> None:
    if len(spec.observation_shape) != 3:
        shape = f"shape {spec.observation_shape}"
        raise ConfigurationError(
            f"network {network} does not fit {spec.name}",
            got=f"observations of {shape}",
            expected="[planes, rows, columns]",
            remedy="choose network mlp",
        )


def _check_units(what: str, layers: Any) -> None:
    if not isinstance(layers, list | tuple) or not 1 <= len(layers) <= MAX_LAYERS:
        raise ConfigurationError(
            what, got=f"{layers!r:.60}", expected=f"1 to {MAX_LAYERS} numbers of units"
        )
    for units in layers:
        _check_count(f"an entry of {what.split()[0]}", units)


def _activation(network: str, activation: Any) -> type[nn.Module]:
    """Activation after each hidden layer; agent files may name anything."""
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise ConfigurationError(
            f"activation of network {network}",
            got=f"{activation!r:.60}",
            expected=f"one of {', '.join(ACTIVATIONS)}",
        )
    return ACTIVATIONS[activation]


def _check_count(what: str, value: Any, maximum: int | None = None) -> None:
    if type(value) is not int or value < 1 or (maximum is not None and value > maximum):
        limits = "of at least 1" if maximum is None else f"from 1 to {maximum}"
        expected = f"a whole number {limits}"
        raise ConfigurationError(what, got=f"{value!r:.60}", expected=expected)


class QNetwork(nn.Module, ABC):
    """A built-in network: hidden layers, which may work in bfloat16, and a head, which always works
    in float32.
    """

    head: QHead

    def forward(self, observation: Tensor) -> Tensor:
        """[B, *observation_shape] of any dtype -> [B, A] float32."""
        q: Tensor = self.head(self.hidden(observation))
        return q

    @abstractmethod
    def hidden(self, observation: Tensor) -> Tensor:
        """Input of the last layers, [B, units]."""

    def infer(self, observation: Tensor) -> Tensor:
        """`forward` without a gradient, as fast as possible; equal up to rounding."""
        q: Tensor = self.head(self.infer_hidden(observation))
        return q

    def infer_hidden(self, observation: Tensor) -> Tensor:
        """`hidden` likewise."""
        return self.hidden(observation)

    def body_to_bfloat16(self) -> None:
        """Convert all parameters except those of the last layers to bfloat16."""
        for name, layers in self.named_children():
            if name != "head":
                layers.to(torch.bfloat16)


class MLP(QNetwork):
    """Q-values of all actions from a flattened observation."""

    def __init__(
        self,
        spec: GameSpec,
        *,
        net_arch: tuple[int, ...],
        activation: type[nn.Module],
        head: Callable[[int], QHead],
    ) -> None:
        super().__init__()
        self.body = _perceptron(spec.observation_size, net_arch, activation)
        self.head = head(net_arch[-1])

    def hidden(self, observation: Tensor) -> Tensor:
        units: Tensor = self.body(self._flat(observation))
        return units

    def infer_hidden(self, observation: Tensor) -> Tensor:
        return _fused(self.body, self._flat(observation))

    def _flat(self, observation: Tensor) -> Tensor:
        return observation.flatten(1).to(_dtype(self.body))


class Patches(QNetwork):
    """Q-values of all actions from planes [C, H, W]: one small perceptron on each square patch, a
    second one on all its outputs.

    The first is a convolution without padding followed by 1x1 convolutions ("network in network",
    Lin et al., ICLR 2014), computed as matrix products over gathered patches. Each position gives
    as many examples of local patterns as it has patches; the second perceptron learns what their
    places mean.
    """

    def __init__(
        self,
        spec: GameSpec,
        *,
        patch_size: int,
        patch_arch: tuple[int, ...],
        net_arch: tuple[int, ...],
        activation: type[nn.Module],
        head: Callable[[int], QHead],
    ) -> None:
        super().__init__()
        planes = spec.observation_shape[0]
        cells = torch.arange(spec.observation_size).view(spec.observation_shape)
        # [C, rows, columns, side, side]
        squares = cells.unfold(1, patch_size, 1).unfold(2, patch_size, 1)
        # [patches * C * side * side] indices into the flattened observation
        self.cells: Tensor
        self.register_buffer("cells", squares.permute(1, 2, 0, 3, 4).flatten(), persistent=False)
        self._patch_cells = planes * patch_size * patch_size
        self.patch = _perceptron(self._patch_cells, patch_arch, activation)
        self.body = _perceptron(
            squares.shape[1] * squares.shape[2] * patch_arch[-1], net_arch, activation
        )
        self.head = head(net_arch[-1])

    def hidden(self, observation: Tensor) -> Tensor:
        patches: Tensor = self.patch(self._patches(observation))
        units: Tensor = self.body(patches.view(len(observation), -1))
        return units

    def infer_hidden(self, observation: Tensor) -> Tensor:
        patches = _fused(self.patch, self._patches(observation))
        return _fused(self.body, patches.view(len(observation), -1))

    def _patches(self, observation: Tensor) -> Tensor:
        """[B, C, H, W] -> [B * patches, C * side * side]; torch gathers float32 eight times as fast
        as int8.
        """
        gathered = observation.flatten(1).to(torch.float32).index_select(1, self.cells)
        return gathered.view(-1, self._patch_cells).to(_dtype(self.patch))


class SquaredReLU(nn.Module):
    """`relu(x)^2` (So et al., "Primer", NeurIPS 2021)."""

    def forward(self, units: Tensor) -> Tensor:
        squares: Tensor = _SquaredReLU.apply(units)  # type: ignore[no-untyped-call]
        return squares


class _SquaredReLU(torch.autograd.Function):
    """The derivative is 2 relu(x); torch's own takes four passes over memory."""

    @staticmethod
    def forward(ctx: Any, units: Tensor) -> Tensor:
        positive = functional.relu(units)
        ctx.save_for_backward(positive)
        return positive * positive

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        positive: Tensor = ctx.saved_tensors[0]
        return (gradient * positive).mul_(2.0)


ACTIVATIONS: Final[Mapping[str, type[nn.Module]]] = {"relu": nn.ReLU, "squared_relu": SquaredReLU}


def _perceptron(inputs: int, units: Sequence[int], activation: type[nn.Module]) -> nn.Sequential:
    """Linear layers of `units`, each followed by an `activation`."""
    layers: list[nn.Module] = []
    for wide, narrow in itertools.pairwise((inputs, *units)):
        layers += [nn.Linear(wide, narrow), activation()]
    return nn.Sequential(*layers)


def _dtype(layers: nn.Sequential) -> torch.dtype:
    return next(layers.parameters()).dtype


def _fused(layers: nn.Sequential, units: Tensor) -> Tensor:
    """Output of a perceptron, without a gradient.

    On a CPU a layer and its ReLU are one call of oneDNN, with one pass over memory. It is also fast
    on CPUs on which MKL, torch's default for float32, is half as fast: a worker plays 1.15 times as
    fast in bfloat16, and 1.6 times in float32.
    """
    if not can_fuse(units.device, units.dtype):
        plain: Tensor = layers(units)
        return plain
    for layer in layers:
        if isinstance(layer, nn.Linear):
            units = linear_relu(units, layer.weight, layer.bias)
        elif isinstance(layer, SquaredReLU):
            units = units.square_()
    return units


class ResNet(QNetwork):
    """Q-values of all actions from planes [C, H, W], by residual blocks (He et al., "Deep residual
    learning", CVPR 2016).

    3x3 convolutions that keep the size of the board; then a 1x1 convolution to few planes and one
    linear layer, as in the policy head of Silver et al. (AlphaGo Zero, Nature 2017). With a hidden
    layer in between it learned more slowly (Connect Four, exact values).

    Deviations from He et al.:
    - No normalisation: batch normalisation is slow on small boards, and its running averages are
      not parameters, so they would not travel with the weights.
    - Instead, an initialisation similar to Fixup (Zhang et al., ICLR 2019): the last convolution of
      each block starts at zero, so that each block starts as the identity, and the first one is
      scaled by blocks^(-1/2). The zeros are the important part, as in SkipInit (De & Smith, NeurIPS
      2020). Left out of Fixup: the scalar multipliers, the biases before each convolution (each has
      one behind it), and the zeros in the last linear layer, with which all actions would start
      with equal values.
    - No pooling and no strides: the exact position of a stone matters.
    """

    def __init__(
        self, spec: GameSpec, *, channels: int, blocks: int, head: Callable[[int], QHead]
    ) -> None:
        super().__init__()
        planes, rows, columns = spec.observation_shape
        self.stem = _convolution(planes, channels)
        self.blocks = nn.Sequential(
            *(ResidualBlock(channels, scale=blocks**-0.5) for _ in range(blocks))
        )
        self.planes = nn.Conv2d(channels, HEAD_PLANES, 1)
        self.head = head(HEAD_PLANES * rows * columns)

    def hidden(self, observation: Tensor) -> Tensor:
        # With channels last in memory the CPU's convolutions do not rearrange inputs and outputs: a
        # tenth faster at 32 channels.
        board = observation.to(self.stem.weight.dtype, memory_format=torch.channels_last)
        board = self.blocks(functional.relu(self.stem(board), inplace=True))
        return functional.relu(self.planes(board), inplace=True).flatten(1)


class ResidualBlock(nn.Module):
    """`relu(x + last(relu(first(x))))`, the identity on x >= 0 until it has learned."""

    def __init__(self, channels: int, *, scale: float) -> None:
        super().__init__()
        self.first = _convolution(channels, channels, scale=scale)
        self.last = _convolution(channels, channels, scale=0.0)

    def forward(self, board: Tensor) -> Tensor:
        """[B, channels, H, W] -> the same."""
        change: Tensor = self.last(functional.relu(self.first(board), inplace=True))
        return functional.relu(change.add_(board), inplace=True)


def _convolution(wide: int, narrow: int, *, scale: float = 1.0) -> nn.Conv2d:
    """3x3, to the same size of board; initialised as He et al. (ICCV 2015) for layers before a
    ReLU, times `scale`, without a bias.
    """
    layer = nn.Conv2d(wide, narrow, 3, padding=1)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    with torch.no_grad():
        layer.weight.mul_(scale)
    return layer
