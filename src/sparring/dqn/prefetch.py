"""Minibatches that are ready for an update: drawn, where the network is, and with what the target
network says of them.
"""

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
class Ready:
    """What one update takes; good until the next but one is drawn."""

    batch: Minibatch
    tensors: TensorMinibatch  # the same
    looked: Tensor  # from `Update.look`
    noise: Tensor  # [noise_size]


class Minibatches:
    """Draws minibatches from a replay, on request each one while an update is made with the one
    before.

    A target network stands still while the policy learns, so what it says of the next minibatch can
    be worked out beside that, on a CPU of its own. The order of things is fixed: a minibatch drawn
    `ahead` is drawn before the replay hears of the errors of the one before.
    """

    def __init__(
        self,
        update: Update,
        batch_size: int,
        device: torch.device,
        rng: np.random.Generator,
        *,
        ahead: bool,
    ) -> None:
        self._update = update
        self._batch_size = batch_size
        self._device = device
        self._rng = rng
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="learner") if ahead else None
        self._replay: Replay | None = None
        self._rooms: list[
            tuple[Minibatch, TensorMinibatch]
        ] = []  # two, used in turn; on the CPU tensors are the arrays themselves
        self._next: Ready | None = None
        self._saved: dict[str, Any] = {}

    def take(self, replay: Replay, beta: float) -> Ready:
        """The minibatch that was drawn ahead, if there is one, else a new one."""
        self._make_room(replay)
        ready = self._restored() if self._saved else self._next or self._draw(replay, beta)
        self._next = None
        return ready

    @contextmanager
    def ahead(self, replay: Replay, beta: float, *, wanted: bool) -> Iterator[None]:
        """Meanwhile the next minibatch is drawn if it is `wanted`, and if there is a thread for it."""
        drawing = self._thread.submit(self._draw, replay, beta) if self._thread and wanted else None
        try:
            yield
        finally:
            self._next = drawing.result() if drawing else None

    def forget(self) -> None:
        """Drop what was drawn ahead."""
        self._next = None
        self._saved = {}

    def get_state(self) -> dict[str, Any]:
        """What was drawn ahead, by the arrays that it needs to be used later; empty without it."""
        if self._next is None:
            return self._saved
        batch = self._next.batch
        rows = {name: column.copy() for name, column in batch.rows.items()}
        noise = self._next.noise.cpu().numpy().copy()
        return {
            "indices": batch.indices.copy(),
            "weights": batch.weights.copy(),
            "rows": rows,
            "noise": noise,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what `get_state` returned."""
        self._next = None
        self._saved = state

    def _make_room(self, replay: Replay) -> None:
        if self._replay is not replay:
            self._replay, self._next = replay, None
            rooms = [replay.room(self._batch_size) for _ in range(2)]
            self._rooms = [(room, self._sent(room)) for room in rooms]

    def _draw(self, replay: Replay, beta: float) -> Ready:
        room = self._free_room()
        replay.sample_into(room, rng=self._rng, beta=beta)
        return self._ready(self._rng.standard_normal(self._update.noise_size, np.float32))

    def _restored(self) -> Ready:
        room, saved = self._free_room(), self._saved
        room.indices[:], room.weights[:] = saved["indices"], saved["weights"]
        for name, column in room.rows.items():
            column[:] = saved["rows"][name]
        self._saved = {}
        return self._ready(saved["noise"])

    def _free_room(self) -> Minibatch:
        """The room that is not in use, from now on the first one."""
        self._rooms.reverse()
        return self._rooms[0][0]

    def _ready(self, numbers: NDArray[np.float32]) -> Ready:
        """What is in the first room."""
        room, tensors = self._rooms[0]
        if self._device.type != "cpu":
            tensors = self._sent(room)
        noise = torch.from_numpy(numbers).to(self._device)
        return Ready(room, tensors, self._update.look(tensors, noise), noise)

    def _sent(self, room: Minibatch) -> TensorMinibatch:
        return TensorMinibatch.of(room.rows, room.weights, self._device)
