"""Copies of host arrays to a device, without waiting for the device."""

from __future__ import annotations

from typing import Any, Final

import torch
from numpy.typing import NDArray
from torch import Tensor

_SLOTS: Final = 4  # copies in progress at a time; the next one waits for the oldest


class Staging:
    """Sends arrays in the order of the calls; a sent array may be overwritten at once.

    A GPU can copy by itself only from memory that the operating system does not move ("pinned"), so
    arrays are copied to such memory first. On the CPU they are copied directly.
    """

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._slots: list[tuple[Tensor, Any]] = []

    def send(self, array: NDArray[Any], to: Tensor) -> None:
        """Copy `array` to `to`, a tensor of the same shape and dtype on the device."""
        source = torch.from_numpy(array)
        if not self._on_gpu:
            to.copy_(source)
        elif source.numel():
            pinned, event = self._slot(source.nbytes)
            staged = pinned[: source.nbytes].view(source.dtype).view(source.shape)
            staged.copy_(source)
            to.copy_(staged, non_blocking=True)
            event.record(torch.cuda.current_stream(to.device))
            self._slots.append((pinned, event))

    def _slot(self, nbytes: int) -> tuple[Tensor, Any]:
        """Pinned memory of at least `nbytes` from which no copy is in progress, and its event."""
        if len(self._slots) < _SLOTS:
            return _pinned(nbytes), torch.cuda.Event()  # type: ignore[no-untyped-call]
        pinned, event = self._slots.pop(0)
        event.synchronize()
        return (pinned if len(pinned) >= nbytes else _pinned(nbytes)), event


def _pinned(nbytes: int) -> Tensor:
    return torch.empty(nbytes, dtype=torch.uint8, pin_memory=True)
