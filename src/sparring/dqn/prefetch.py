"""Minibatches ready for an update: sampled, on the network's device, with their target values."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparring.dqn.update import Update
from sparring.replay import Minibatch, Replay
from sparring.replay.minibatch import TensorMinibatch


@dataclass(frozen=True)
class PreparedMinibatch:
    """Input of one update; valid until the next but one is sampled."""

    batch: Minibatch
    tensors: TensorMinibatch  # the same transitions
    target_values: Tensor  # from `Update.target_pass`
    noise: Tensor  # [noise_size]


class Prefetcher:
    """Samples minibatches from a replay; with `ahead`, each one during the update before it.

    The target network stands still while the policy learns, so the target pass of the next
    minibatch can run at the same time, on another CPU. The order is fixed: a minibatch sampled
    ahead is sampled before the replay receives the priorities of the one before.
    """

    def __init__(
        self,
        update: Update,
        batch_size: int,
        device: torch.device,
        rng: np.random.Generator,
        *,
        ahead: bool,
        noise_rng: np.random.Generator | None = None,
    ) -> None:
        self._update = update
        self._batch_size = batch_size
        self._device = device
        self._rng = rng
        self._noise_rng = rng if noise_rng is None else noise_rng
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="learner") if ahead else None
        self._replay: Replay | None = None
        # Two buffers, used in turn; on the CPU the tensors share the memory of the arrays.
        self._buffers: list[tuple[Minibatch, TensorMinibatch]] = []
        self._next: PreparedMinibatch | None = None
        self._saved: dict[str, Any] = {}

    def sample(self, replay: Replay, beta: float) -> PreparedMinibatch:
        """The minibatch that was sampled ahead, if there is one, else a new one."""
        self._allocate(replay)
        prepared = self._restored() if self._saved else self._next or self._sample(replay, beta)
        self._next = None
        return prepared

    @contextmanager
    def prefetching(self, replay: Replay, beta: float, *, wanted: bool) -> Iterator[None]:
        """Context in which a thread, if any, samples the next minibatch if `wanted`."""
        sampling = (
            self._thread.submit(self._sample, replay, beta) if self._thread and wanted else None
        )
        try:
            yield
        finally:
            self._next = sampling.result() if sampling else None

    def discard(self) -> None:
        """Drop the minibatch that was sampled ahead."""
        self._next = None
        self._saved = {}

    def get_state(self) -> dict[str, Any]:
        """Copies of the arrays of the minibatch sampled ahead; empty if there is none."""
        if self._next is None:
            return self._saved
        batch = self._next.batch
        return {
            "indices": batch.indices.copy(),
            "weights": batch.weights.copy(),
            "rows": {name: column.copy() for name, column in batch.rows.items()},
            "noise": self._next.noise.cpu().numpy().copy(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what `get_state` returned."""
        self._next = None
        self._saved = state

    def _allocate(self, replay: Replay) -> None:
        if self._replay is not replay:
            self._replay, self._next = replay, None
            batches = [replay.allocate(self._batch_size) for _ in range(2)]
            self._buffers = [(batch, self._to_device(batch)) for batch in batches]

    def _sample(self, replay: Replay, beta: float) -> PreparedMinibatch:
        batch = self._free_buffer()
        replay.sample_into(batch, rng=self._rng, beta=beta)
        return self._prepared(self._noise_rng.standard_normal(self._update.noise_size, np.float32))

    def _restored(self) -> PreparedMinibatch:
        batch, saved = self._free_buffer(), self._saved
        batch.indices[:], batch.weights[:] = saved["indices"], saved["weights"]
        for name, column in batch.rows.items():
            column[:] = saved["rows"][name]
        self._saved = {}
        return self._prepared(saved["noise"])

    def _free_buffer(self) -> Minibatch:
        """The buffer that is not in use; it becomes the first one."""
        self._buffers.reverse()
        return self._buffers[0][0]

    def _prepared(self, numbers: NDArray[np.float32]) -> PreparedMinibatch:
        """The contents of the first buffer."""
        batch, tensors = self._buffers[0]
        if self._device.type != "cpu":
            tensors = self._to_device(batch)
        noise = torch.from_numpy(numbers).to(self._device)
        return PreparedMinibatch(batch, tensors, self._update.target_pass(tensors, noise), noise)

    def _to_device(self, batch: Minibatch) -> TensorMinibatch:
        return TensorMinibatch.of(batch.rows, batch.weights, self._device)
