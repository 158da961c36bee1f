"""A user's module with a network; worker processes import it."""

from __future__ import annotations

from multiprocessing import parent_process

import torch
from torch import Tensor, nn

from sparring.games import GameSpec


class Convolved(nn.Module):
    """One convolution, then one linear layer."""

    def __init__(self, spec: GameSpec, *, channels: int) -> None:
        super().__init__()
        planes, rows, columns = spec.observation_shape
        self.see = nn.Conv2d(planes, channels, 3, padding=1)
        self.norm = nn.GroupNorm(2, channels)
        self.judge = nn.Linear(channels * rows * columns, spec.num_actions)

    def forward(self, observation: Tensor) -> Tensor:
        q: Tensor = self.judge(torch.relu(self.norm(self.see(observation.float()))).flatten(1))
        return q


def main_only(spec: GameSpec) -> nn.Module:
    """A network that only the main process can make."""
    if parent_process() is not None:
        raise RuntimeError("made outside of the main process")
    return Convolved(spec, channels=2)
