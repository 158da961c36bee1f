"""Copies of host arrays to a device, without waiting for the device."""

from __future__ import annotations

from typing import Any, Final

import torch
from numpy.typing import NDArray
from torch import Tensor

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
