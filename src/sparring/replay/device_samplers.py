"""`samplers.py` on a device. The host draws the numbers, so that one generator of NumPy's is all that a run has to keep."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparring.errors import InputError
from sparring.replay.device_tree import DeviceSumTree
from sparring.replay.samplers import below, require_exponent, require_rows


class DeviceSampler(Protocol):
    """Picks the places of minibatches; `get_state` and `set_state` are those of the sampler of the same kind on the host."""

    def on_insert(self, first: int, count: int) -> None:
        """New rows were written at `count` places from `first` on; after the last place of the buffer comes place 0."""

    def draw(self, size: int, *, batch_size: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """The numbers [batch_size] that one minibatch out of `size` rows needs. Raises `InputError` without rows."""

    def pick(self, numbers: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
        """From drawn `numbers` [B] on the device: places [B] int64 and importance weights [B] float32; `beta` is [] float64."""

    def update(self, indices: Tensor, td_errors: Tensor, failed: Tensor) -> None:
        """The rows at `indices` [B] had these errors [B]; of equal indices the last wins. Nothing changes where `failed` [] is not 0."""

    def get_state(self) -> dict[str, Any]:
        """Copies on the host."""

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what `get_state` of an equal sampler returned, here or on the host."""


class DeviceUniform:
    """Every row is as likely as any other: the places that `UniformSampler` picks."""

    def on_insert(self, first: int, count: int) -> None:
        pass

    def draw(self, size: int, *, batch_size: int, rng: np.random.Generator) -> NDArray[np.float64]:
        require_rows(size)
        return below(size, batch_size, rng).astype(np.float64)

    def pick(self, numbers: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
        return numbers.to(torch.int64), torch.ones_like(numbers, dtype=torch.float32)

    def update(self, indices: Tensor, td_errors: Tensor, failed: Tensor) -> None:
        pass

    def get_state(self) -> dict[str, Any]:
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        pass


class DevicePrioritized:
    """The sampling of `PrioritizedSampler`, from the same numbers.

    The places differ where the sums of two trees, added up in another order, round to different sides of a stratum's mass; priorities and
    weights where the device's powers do. Errors are not looked at here: a step with one that is not finite has failed.
    """

    def __init__(self, capacity: int, alpha: float, eps: float, device: torch.device) -> None:
        require_exponent(alpha, eps)
        self._alpha, self._eps = alpha, eps
        self._tree = DeviceSumTree(capacity, device)
        self._largest = torch.ones((), dtype=torch.float64, device=device)  # of all p^alpha so far

    def on_insert(self, first: int, count: int) -> None:
        self._tree.fill(first, count, self._largest)

    def draw(self, size: int, *, batch_size: int, rng: np.random.Generator) -> NDArray[np.float64]:
        require_rows(size)
        return rng.random(batch_size)

    def pick(self, numbers: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
        strata = torch.arange(len(numbers), device=numbers.device)
        indices = self._tree.find((strata + numbers) * (self._tree.total / len(numbers)))
        priorities = self._tree.values[indices]
        return indices, ((priorities.amin() / priorities) ** beta).to(torch.float32)

    def update(self, indices: Tensor, td_errors: Tensor, failed: Tensor) -> None:
        priorities = (td_errors.abs().to(torch.float64) + self._eps) ** self._alpha
        priorities = torch.where(failed != 0, self._tree.values[indices], priorities)
        self._tree.set(indices, priorities)
        torch.maximum(self._largest, priorities.amax(), out=self._largest)

    def get_state(self) -> dict[str, Any]:
        return {"priorities": np.trim_zeros(self._tree.values.cpu().numpy(), "b").copy(), "largest": float(self._largest)}

    def set_state(self, state: dict[str, Any]) -> None:
        saved = state["priorities"]
        if len(saved) > self._tree.capacity:
            raise InputError("the saved priorities", got=f"{len(saved)} rows", expected=f"at most {self._tree.capacity}")
        self._tree.load(torch.from_numpy(np.asarray(saved, np.float64)))
        self._largest.fill_(float(state["largest"]))
