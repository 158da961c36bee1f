"""The replay as the learner sees it: transitions go in, minibatches come out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.replay.buffer import ReplayBuffer
from sparring.replay.samplers import Sampler
from sparring.replay.symmetry import RandomSymmetry


@dataclass(frozen=True)
class Minibatch:
    """`rows` [B] are transitions, `indices` [B] where they lie, `weights` [B] their importance weights."""

    indices: NDArray[np.int64]
    rows: NDArray[Any]
    weights: NDArray[np.float32]


class Replay:
    """Storage, a way of sampling, and on request a random symmetry of the game for each sampled transition."""

    def __init__(self, buffer: ReplayBuffer, sampler: Sampler, augmentation: RandomSymmetry | None = None) -> None:
        self._buffer = buffer
        self._sampler = sampler
        self._augmentation = augmentation

    def __len__(self) -> int:
        return len(self._buffer)

    @property
    def capacity(self) -> int:
        return self._buffer.capacity

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._buffer.dtype

    def extend(self, rows: NDArray[Any]) -> None:
        """Store transitions [m] in order; the oldest make room."""
        self._sampler.on_insert(self._buffer.extend(rows))

    def sample(self, batch_size: int, *, rng: np.random.Generator, beta: float) -> Minibatch:
        """Draw with replacement; `beta` is the exponent of the importance weights."""
        indices, weights = self._sampler.sample(len(self._buffer), batch_size=batch_size, rng=rng, beta=beta)
        rows = self._buffer.gather(indices)
        if self._augmentation is not None:
            self._augmentation.apply(rows, rng)
        return Minibatch(indices, rows, weights)

    def update(self, indices: NDArray[np.int64], td_errors: NDArray[np.float32]) -> None:
        """Tell the sampler how wrong the network was about a minibatch."""
        self._sampler.update(indices, td_errors)

    def get_state(self) -> dict[str, Any]:
        return {"buffer": self._buffer.get_state(), "sampler": self._sampler.get_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        self._buffer.set_state(state["buffer"])
        self._sampler.set_state(state["sampler"])
