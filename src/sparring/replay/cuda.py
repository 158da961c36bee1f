"""`replay.py` on a device: rows lie there, and minibatches are picked, relabelled and taken apart
there.

Rows are bytes to the device, too: a field is a slice of them that is read as another dtype, and a
symmetry of the game is a permutation of a row's bytes, but for the action, whose number has another
name afterwards.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparring.errors import InputError
from sparring.replay.buffer import require_layout, saved_rows
from sparring.replay.gather import RandomSymmetry
from sparring.replay.minibatch import TensorMinibatch
from sparring.replay.samplers import below, require_exponent, require_rows
from sparring.replay.transitions import offset_of


class DeviceReplay:
    """The newest `capacity` rows of one transition layout on `device`, a way of sampling, and on
    request random symmetries.

    Draws what `Replay` draws, in its order, and has its state: a run can go on from the one with
    the other.
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
            self._new_name = torch.from_numpy(self._augmentation.new_name).to(device)  # [S, A]

    def __len__(self) -> int:
        return min(self._inserted, self.capacity)

    def extend(self, rows: NDArray[Any]) -> None:
        """Store transitions [m] in order; the oldest make room. Does not wait for the device."""
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
        """All random numbers of one minibatch, [2, batch_size]: those of the sampler, then the
        relabellings.
        """
        numbers = np.zeros((2, batch_size))
        numbers[0] = self._sampler.draw(len(self), batch_size=batch_size, rng=rng)
        if self._augmentation is not None:
            numbers[1] = self._augmentation.draw(batch_size, rng)
        return numbers

    def sample(self, numbers: Tensor, beta: Tensor) -> tuple[Tensor, TensorMinibatch]:
        """Places [B] and transitions from `numbers` [2, B] float64, as drawn; `beta` [] float64 is
        the exponent of the weights.
        """
        indices, weights = self._sampler.pick(numbers[0], beta)
        rows = self._rows[indices]
        action = self._field(rows, "action").to(torch.int64)
        if self._augmentation is not None:
            choices = numbers[1].to(torch.int64)
            rows = rows.gather(1, self._bytes[choices])
            action = self._new_name[choices, action]
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

    def update(self, indices: Tensor, td_errors: Tensor, failed: Tensor) -> None:
        """Tell the sampler how wrong the network was about a minibatch, unless `failed` [] says
        that the step was none.
        """
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

    def get_state(self) -> dict[str, Any]:
        rows = self._rows[: len(self)].cpu().numpy().copy().view(self.dtype).reshape(-1)
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
    """[S, itemsize]: where each byte of a relabelled row was before."""
    bytes_ = np.tile(np.arange(dtype.itemsize), (len(symmetry.action), 1))
    tables = {
        "observation": symmetry.observation, "next_observation": symmetry.observation, "mask": symmetry.action, "next_mask": symmetry.action
    }  # fmt: skip
    for name, table in tables.items():
        field, offset = dtype[name], offset_of(dtype, name)
        width = field.base.itemsize
        places = offset + width * table[:, :, None] + np.arange(width)
        bytes_[:, offset : offset + field.itemsize] = places.reshape(len(table), -1)
    return bytes_


# `samplers.py` on a device. The host draws the numbers, so that one generator of NumPy's is all
# that a run has to keep.


class DeviceSampler(Protocol):
    """Picks the places of minibatches; `get_state` and `set_state` are those of the sampler of the
    same kind on the host.
    """

    def on_insert(self, first: int, count: int) -> None:
        """New rows were written at `count` places from `first` on; after the last place of the
        buffer comes place 0.
        """

    def draw(self, size: int, *, batch_size: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """The numbers [batch_size] that one minibatch out of `size` rows needs. Raises `InputError`
        without rows.
        """

    def pick(self, numbers: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
        """From drawn `numbers` [B] on the device: places [B] int64 and importance weights [B]
        float32; `beta` is [] float64.
        """

    def update(self, indices: Tensor, td_errors: Tensor, failed: Tensor) -> None:
        """The rows at `indices` [B] had these errors [B]; of equal indices the last wins. Nothing
        changes where `failed` [] is not 0.
        """

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

    The places differ where the sums of two trees, added up in another order, round to different
    sides of a stratum's mass; priorities and weights where the device's powers do. Errors are not
    looked at here: a step with one that is not finite has failed.
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
        return {
            "priorities": np.trim_zeros(self._tree.values.cpu().numpy(), "b").copy(),
            "largest": float(self._largest),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        saved = state["priorities"]
        if len(saved) > self._tree.capacity:
            raise InputError(
                "the saved priorities",
                got=f"{len(saved)} rows",
                expected=f"at most {self._tree.capacity}",
            )
        self._tree.load(torch.from_numpy(np.asarray(saved, np.float64)))
        self._largest.fill_(float(state["largest"]))


# Sums on a device that find n places by their share of the total with a fixed number of operations
# on whole tensors.
#
# Each node is the sum of 32 children, as often as it takes to come down to one group of 32; a
# million places are four levels. Wide, because every operation on a GPU has a price of its own,
# whatever its size; and 32, because sums of so many are added up in one order however many of them
# are asked for: equal leaves, equal bits, after a resume as well. Running sums would be the usual
# way to find a place within a node; torch does not promise the same bits for those on a GPU. They
# are sums here, too, of children times 0 or 1.


_CHILDREN: Final = 32
_BITS: Final = 5


class DeviceSumTree:
    """Non-negative float64 values at places 0 to `capacity - 1`, all 0 at first, that can be found
    in proportion to their size.
    """

    def __init__(self, capacity: int, device: torch.device) -> None:
        self.capacity = capacity
        self._levels: list[
            Tensor
        ] = []  # leaves first, each filled up with zeros to whole groups, down to one group
        size = capacity
        while not self._levels or len(self._levels[-1]) > _CHILDREN:
            groups = -(-size // _CHILDREN)
            self._levels.append(torch.zeros(groups * _CHILDREN, dtype=torch.float64, device=device))
            size = groups
        self._up_to = torch.ones(
            _CHILDREN, _CHILDREN, dtype=torch.float64, device=device
        ).tril()  # row j: children 0 to j

    @property
    def values(self) -> Tensor:
        """[capacity], a view."""
        return self._levels[0][: self.capacity]

    @property
    def total(self) -> Tensor:
        """[], the sum of all values."""
        return self._levels[-1].sum()

    def set(self, indices: Tensor, values: Tensor) -> None:
        """Set `values` [n] (finite, not negative) at `indices` [n] int64, both unchecked; of equal
        indices the last wins.

        n x n numbers say which one that is: a scatter of different values to one place would leave
        it to chance.
        """
        order = torch.arange(len(indices), device=indices.device)
        last = torch.where(indices.unsqueeze(1) == indices, order, 0).amax(dim=1)
        self._levels[0].scatter_(0, indices, values[last])
        for children, parents in zip(self._levels, self._levels[1:], strict=False):
            indices = indices >> _BITS
            parents.scatter_(0, indices, _groups(children)[indices].sum(dim=1))

    def fill(self, first: int, count: int, value: Tensor) -> None:
        """Set `value` [] at `count` (at most `capacity`) places from `first` on; after the last
        place comes place 0.
        """
        before_wrap = min(count, self.capacity - first)
        for low, size in ((first, before_wrap), (0, count - before_wrap)):
            if size:
                self._levels[0][low : low + size] = value
                self._add_up(low, low + size)

    def load(self, values: Tensor) -> None:
        """Set the first places to `values` [n] and all others to 0."""
        self._levels[0].zero_()
        self._levels[0][: len(values)] = values
        self._add_up(0, self.capacity)

    def _add_up(self, low: int, high: int) -> None:
        for children, parents in zip(self._levels, self._levels[1:], strict=False):
            low, high = low >> _BITS, (high - 1 >> _BITS) + 1
            parents[low:high] = _groups(children)[low:high].sum(dim=1)

    def find(self, masses: Tensor) -> Tensor:
        """[n] int64: the places at which the running sum of all values first passes `masses` [n],
        from 0 up to the total.

        A place whose value is 0 is never found, whatever the rounding: sums of more children are
        never smaller, and the child that is taken raises its sum above those of the children before
        it.
        """
        places = torch.zeros_like(masses, dtype=torch.int64)
        for level in reversed(self._levels):
            sums = (_groups(level)[places].unsqueeze(1) * self._up_to).sum(
                dim=2
            )  # [n, 32] of the first 1 to 32 children
            last = (sums < sums[:, -1:]).sum(dim=1)  # that is not 0
            child = torch.minimum((sums <= masses.unsqueeze(1)).sum(dim=1), last)
            before = sums.gather(1, (child - 1).clamp(min=0).unsqueeze(1)).squeeze(1)
            masses = masses - torch.where(child > 0, before, 0.0)
            places = (places << _BITS) + child
        return places


def _groups(level: Tensor) -> Tensor:
    return level.view(-1, _CHILDREN)


# The way of arrays from the host to a device, on which the host does not wait.


_SLOTS: Final = 4  # copies under way at a time; the next one waits for the oldest


class Staging:
    """Sends arrays in the order of the calls; a sent array may be overwritten at once.

    A GPU fetches memory by itself only where the operating system promises not to move it
    ("pinned"): arrays are copied to such memory first. To the CPU, which has them already, they are
    copied straight away.
    """

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._slots: list[tuple[Tensor, Any]] = []

    def send(self, array: NDArray[Any], place: Tensor) -> None:
        """Copy `array` into `place`, a tensor of the same shape and dtype on the device."""
        source = torch.from_numpy(array)
        if not self._on_gpu:
            place.copy_(source)
        elif source.numel():
            pinned, event = self._slot(source.nbytes)
            staged = pinned[: source.nbytes].view(source.dtype).view(source.shape)
            staged.copy_(source)
            place.copy_(staged, non_blocking=True)
            event.record(torch.cuda.current_stream(place.device))
            self._slots.append((pinned, event))

    def _slot(self, nbytes: int) -> tuple[Tensor, Any]:
        """Pinned memory of at least `nbytes` that no copy reads any more, and the event that says
        so.
        """
        if len(self._slots) < _SLOTS:
            return torch.empty(nbytes, dtype=torch.uint8, pin_memory=True), torch.cuda.Event()  # type: ignore[no-untyped-call]
        pinned, event = self._slots.pop(0)
        event.synchronize()
        return (
            pinned
            if len(pinned) >= nbytes
            else torch.empty(nbytes, dtype=torch.uint8, pin_memory=True)
        ), event
