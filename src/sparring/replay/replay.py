"""The replay on the host: transitions go in, minibatches come out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.replay.buffer import ReplayBuffer
from sparring.replay.gather import Columns, Gatherer, RandomSymmetry, Views
from sparring.replay.samplers import Sampler


@dataclass(frozen=True)
class Minibatch:
    """B transitions with their `indices` [B] in the buffer and importance `weights` [B].

    `rows[name]` [B, ...] is a field of the transition layout, an array for each field that an
    update needs.
    """

    indices: NDArray[np.int64]
    rows: Columns
    weights: NDArray[np.float32]
    views: Views = field(repr=False)  # of `rows`, as the replay writes them


class Replay:
    """Storage, a sampler, and optionally a random symmetry of the game for each sampled
    transition.
    """

    def __init__(
        self, buffer: ReplayBuffer, sampler: Sampler, augmentation: RandomSymmetry | None = None
    ) -> None:
        self._buffer = buffer
        self._sampler = sampler
        self._augmentation = augmentation
        self._gatherer = Gatherer(buffer.storage, augmentation)

    def __len__(self) -> int:
        return len(self._buffer)

    @property
    def capacity(self) -> int:
        return self._buffer.capacity

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._buffer.dtype

    def extend(self, rows: NDArray[Any]) -> None:
        """Store transitions [m] in order, over the oldest."""
        self._sampler.on_insert(*self._buffer.extend(rows))

    def sample(self, batch_size: int, *, rng: np.random.Generator, beta: float) -> Minibatch:
        """Sample with replacement; `beta` is the exponent of the importance weights."""
        batch = self.allocate(batch_size)
        self.sample_into(batch, rng=rng, beta=beta)
        return batch

    def allocate(self, batch_size: int) -> Minibatch:
        """A minibatch of zeros, for repeated use with `sample_into`."""
        columns = self._gatherer.allocate(batch_size)
        indices, weights = np.zeros(batch_size, np.int64), np.zeros(batch_size, np.float32)
        return Minibatch(indices, columns, weights, self._gatherer.views(columns))

    def sample_into(self, batch: Minibatch, *, rng: np.random.Generator, beta: float) -> None:
        """`sample` into the arrays of `batch`, which is from `allocate`.

        Random numbers are drawn for the sampler first, then for the symmetries.
        """
        size, batch_size = len(self._buffer), len(batch.indices)
        batch.indices[:], batch.weights[:] = self._sampler.sample(
            size, batch_size=batch_size, rng=rng, beta=beta
        )
        choices = None if self._augmentation is None else self._augmentation.draw(batch_size, rng)
        self._gatherer.gather(batch.indices, choices, batch.views, size=size)

    def largest_ratio(self, indices: NDArray[np.int64], beta: float) -> float:
        """Largest importance ratio (1 / (N P(i)))^beta of a minibatch, but for the factor N^-beta:
        the one that its importance weights were divided by. 1 for uniform sampling.
        """
        return self._sampler.largest_ratio(indices, beta)

    def update(self, indices: NDArray[np.int64], td_errors: NDArray[np.float32]) -> None:
        """Update priorities from TD errors."""
        self._sampler.update(indices, td_errors)

    def memory(self, pointer: str) -> dict[str, NDArray[np.uint8]]:
        """Bytes that the arrays of a saved state may be read into, by their JSON pointers, where
        `pointer` is that of the state; `set_state` must follow.
        """
        priorities = self._sampler.memory
        return {f"{pointer}/buffer/rows": self._buffer.memory} | (
            {} if priorities is None else {f"{pointer}/sampler/priorities": priorities}
        )

    def get_state(self) -> dict[str, Any]:
        """Views of rows and priorities, valid until either changes."""
        return {"buffer": self._buffer.get_state(), "sampler": self._sampler.get_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        self._buffer.set_state(state["buffer"])
        self._sampler.set_state(state["sampler"])
