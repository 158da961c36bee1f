"""`replay.py` on a GPU, where rows are stored, sampled, relabelled and split into fields.

Rows are bytes there: a field is a slice of them, read as another dtype. A symmetry of the game is a
permutation of a row's bytes, except for the action, whose number is looked up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparring.errors import InputError
from sparring.replay.buffer import require_layout, saved_rows
from sparring.replay.cuda_samplers import DeviceSampler
from sparring.replay.gather import RandomSymmetry
from sparring.replay.minibatch import TensorMinibatch
from sparring.replay.staging import Staging
from sparring.replay.transitions import offset_of


class DeviceReplay:
    """The newest `capacity` rows of one transition layout on `device`, a sampler, and optional
    random symmetries.

    Draws the same random numbers as `Replay` in the same order, and has the same state: a run can
    be resumed on another device.
    """

    def __init__(
        self,
        dtype: np.dtype[Any],
        capacity: int,
        sampler: DeviceSampler,
        device: torch.device,
        augmentation: RandomSymmetry | None = None,
    ) -> None:
        if capacity < 1:
            raise InputError("the capacity of a replay buffer", got=capacity, expected="at least 1")
        self.dtype = dtype
        self.capacity = capacity
        self.device = device
        self._inserted = 0  # rows ever inserted, also those overwritten since
        self._rows = torch.zeros(capacity, dtype.itemsize, dtype=torch.uint8, device=device)
        self._sampler = sampler
        self._staging = Staging(device)
        self._augmentation = (
            augmentation if augmentation is not None and len(augmentation.action) > 1 else None
        )
        if self._augmentation is not None:
            self._bytes = torch.from_numpy(_permuted_bytes(dtype, self._augmentation)).to(
                device
            )  # [S, itemsize]
            self._new_action = torch.from_numpy(self._augmentation.new_action).to(device)  # [S, A]

    def __len__(self) -> int:
        return min(self._inserted, self.capacity)

    def extend(self, rows: NDArray[Any]) -> None:
        """Store transitions [m] in order, over the oldest. Does not wait for the device."""
        require_layout(rows, self.dtype)
        self._inserted += len(rows)
        kept = (
            np.ascontiguousarray(rows[-self.capacity :])
            .view(np.uint8)
            .reshape(-1, self.dtype.itemsize)
        )
        first = (self._inserted - len(kept)) % self.capacity
        before_wrap = min(len(kept), self.capacity - first)
        self._staging.send(kept[:before_wrap], self._rows[first : first + before_wrap])
        self._staging.send(kept[before_wrap:], self._rows[: len(kept) - before_wrap])
        self._sampler.on_insert(first, len(kept))

    def draw(self, batch_size: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """All random numbers of one minibatch, [2, batch_size]: for the sampler, and for the
        symmetries.
        """
        numbers = np.zeros((2, batch_size))
        numbers[0] = self._sampler.draw(len(self), batch_size=batch_size, rng=rng)
        if self._augmentation is not None:
            numbers[1] = self._augmentation.draw(batch_size, rng)
        return numbers

    def sample(self, numbers: Tensor, beta: Tensor) -> tuple[Tensor, TensorMinibatch]:
        """Indices [B] and transitions from the drawn `numbers` [2, B] float64; `beta` [] float64 is
        the exponent of the importance weights.
        """
        indices, weights = self._sampler.pick(numbers[0], beta)
        rows = self._rows[indices]
        action = self._field(rows, "action").to(torch.int64)
        if self._augmentation is not None:
            choices = numbers[1].to(torch.int64)
            rows = rows.gather(1, self._bytes[choices])
            action = self._new_action[choices, action]
        return indices, TensorMinibatch(
            observation=self._field(rows, "observation"),
            next_observation=self._field(rows, "next_observation"),
            next_mask=self._field(rows, "next_mask"),
            action=action,
            R=self._field(rows, "R"),
            discount=self._field(rows, "discount"),
            sign=self._field(rows, "sign").to(torch.float32),
            version=self._field(rows, "version"),
            weights=weights,
        )

    def largest_ratio(self, indices: Tensor, beta: Tensor) -> Tensor | float:
        """As `Replay.largest_ratio`, [] float32."""
        return self._sampler.largest_ratio(indices, beta)

    def update(self, indices: Tensor, td_errors: Tensor, failed: Tensor) -> None:
        """Update priorities from TD errors, unless `failed` [] is not 0."""
        self._sampler.update(indices, td_errors, failed)

    def _field(self, rows: Tensor, name: str) -> Tensor:
        """A field of `rows` [B, itemsize] uint8: [B, *shape] in memory of its own."""
        dtype, offset = self.dtype[name], offset_of(self.dtype, name)
        kind = torch.from_numpy(np.empty(0, dtype.base)).dtype
        return (
            rows[:, offset : offset + dtype.itemsize]
            .contiguous()
            .view(kind)
            .view(len(rows), *dtype.shape)
        )

    def memory(self, pointer: str) -> dict[str, NDArray[np.uint8]]:
        """No memory: a saved state is read on the host and then copied to the device."""
        return {}

    def get_state(self) -> dict[str, Any]:
        """State of rows and priorities, as long as neither changes; a copy where the device is a
        GPU.
        """
        rows = self._rows[: len(self)].cpu().numpy().view(self.dtype).reshape(-1)
        return {
            "buffer": {"rows": rows, "inserted": self._inserted},
            "sampler": self._sampler.get_state(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        rows, self._inserted = saved_rows(state["buffer"], self.dtype, self.capacity)
        as_bytes = np.ascontiguousarray(rows).view(np.uint8).reshape(-1, self.dtype.itemsize)
        self._rows[: len(rows)].copy_(torch.from_numpy(as_bytes))
        self._sampler.set_state(state["sampler"])


def _permuted_bytes(dtype: np.dtype[Any], symmetry: RandomSymmetry) -> NDArray[np.int64]:
    """[S, itemsize]: the index of each byte of a relabelled row in the row before."""
    bytes_ = np.tile(np.arange(dtype.itemsize), (len(symmetry.action), 1))
    tables = {
        "observation": symmetry.observation,
        "next_observation": symmetry.observation,
        "mask": symmetry.action,
        "next_mask": symmetry.action,
    }
    for name, table in tables.items():
        field, offset = dtype[name], offset_of(dtype, name)
        width = field.base.itemsize
        sources = offset + width * table[:, :, None] + np.arange(width)
        bytes_[:, offset : offset + field.itemsize] = sources.reshape(len(table), -1)
    return bytes_
