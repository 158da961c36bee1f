"""The last layers of built-in networks: from hidden units to Q-values, plain, dueling,
distributional, noisy, or all of these.

They always work in float32: bfloat16 cannot represent differences of less than 1/256 of a value,
and the Q-values of moves often differ by less.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

_SIGMA: Final = 0.5  # sigma_0 of Fortunato et al., section 3.2


class QHead(nn.Module):
    """Q-values [B, A] from hidden units [B, units].

    - `dueling`: Q = V + A - mean(A) over all actions (Wang et al. 2016, equation 9). The mean runs
      over illegal actions too, which shifts all Q-values equally and does not change the greedy
      move. With atoms it is taken of the logits, atom by atom, as in Rainbow (Hessel et al., AAAI
      2018).
    - `support`: (lowest, highest, number N of atoms) of a categorical distribution of returns
      (Bellemare et al., "A distributional perspective on reinforcement learning", ICML 2017); Q is
      its mean.
    - `noisy`: noisy layers (`NoisyLinear`), in the head only; Rainbow has them in all fully
      connected layers.
    """

    def __init__(
        self,
        units: int,
        num_actions: int,
        *,
        dueling: bool,
        support: tuple[float, float, int] | None,
        noisy: bool,
    ) -> None:
        super().__init__()
        self.atoms = 1 if support is None else support[2]
        layer = NoisyLinear if noisy else nn.Linear
        self.advantage = layer(units, num_actions * self.atoms)
        self.value = layer(units, self.atoms) if dueling else None
        self.support: Tensor | None  # [N]
        self.register_buffer(
            "support", None if support is None else torch.linspace(*support), persistent=False
        )

    def forward(self, hidden: Tensor) -> Tensor:
        """[B, units] of any floating dtype -> [B, A] float32."""
        logits = self.logits(hidden)
        return (
            logits.squeeze(2)
            if self.support is None
            else (logits.softmax(dim=2) * self.support).sum(dim=2)
        )

    def logits(self, hidden: Tensor) -> Tensor:
        """[B, units] -> [B, A, N] float32, logits of the atoms; without atoms N is 1 and they are
        the Q-values.
        """
        hidden = hidden.to(torch.float32)
        if self.value is None:
            logits: Tensor = self.advantage(hidden).unflatten(1, (-1, self.atoms))
            return logits
        # One product for both: launching one takes longer than computing it.
        both = zip(_weight_and_bias(self.advantage), _weight_and_bias(self.value), strict=True)
        weight, bias = (torch.cat(pair) for pair in both)
        outputs = functional.linear(hidden, weight, bias)
        outputs = outputs.view(-1, len(bias) // self.atoms, self.atoms)
        a, v = outputs[:, :-1], outputs[:, -1:]
        return v + a - a.mean(dim=1, keepdim=True)

    def noise(self) -> list[Tensor]:
        """The noise of all noisy layers, to be filled with standard normal numbers; with zeros the
        weights are their means.
        """
        return [
            noise
            for layer in (self.advantage, self.value)
            if isinstance(layer, NoisyLinear)
            for noise in (layer.into, layer.out)
        ]


class NoisyLinear(nn.Module):
    """A linear layer with random weights: mean + sigma * noise, with learned mean and sigma.

    Source: Fortunato et al., "Noisy networks for exploration" (ICLR 2018), with factorised noise
    (equations 10 and 11): that of a weight is f(out) f(in), that of a bias f(out), where f(x) =
    sign(x) sqrt(|x|). `into` [in] and `out` [out] are filled from outside; while they are zeros the
    weights are their means.
    """

    def __init__(self, wide: int, narrow: int) -> None:
        super().__init__()
        bound = wide**-0.5
        self.weight = nn.Parameter(torch.empty(narrow, wide).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(narrow).uniform_(-bound, bound))
        self.weight_sigma = nn.Parameter(torch.full((narrow, wide), _SIGMA * bound))
        self.bias_sigma = nn.Parameter(torch.full((narrow,), _SIGMA * bound))
        self.into: Tensor
        self.out: Tensor
        self.register_buffer("into", torch.zeros(wide), persistent=False)
        self.register_buffer("out", torch.zeros(narrow), persistent=False)

    def forward(self, units: Tensor) -> Tensor:
        """[B, in] -> [B, out]."""
        return functional.linear(units, *self.drawn())

    def drawn(self) -> tuple[Tensor, Tensor]:
        """(weight, bias) with the present noise."""
        into, out = _f(self.into), _f(self.out)
        weight = self.weight + self.weight_sigma * out.unsqueeze(1) * into
        return weight, self.bias + self.bias_sigma * out


def _weight_and_bias(layer: nn.Linear | NoisyLinear) -> tuple[Tensor, Tensor]:
    return layer.drawn() if isinstance(layer, NoisyLinear) else (layer.weight, layer.bias)


def fill_noise(network: nn.Module, numbers: Tensor) -> None:
    """Set the noise of a network's noisy layers to `numbers` [noise_size(network)], standard
    normal.
    """
    start = 0
    for noise in _noise(network):
        noise.copy_(numbers[start : start + noise.numel()])
        start += noise.numel()


def noise_size(network: nn.Module) -> int:
    """Number of random numbers for the noise of a network; 0 without noisy layers."""
    return sum(noise.numel() for noise in _noise(network))


def _noise(network: nn.Module) -> list[Tensor]:
    head = getattr(network, "head", None)
    return head.noise() if isinstance(head, QHead) else []


def _f(noise: Tensor) -> Tensor:
    return noise.sign() * noise.abs().sqrt()
