"""Several updates per launch, from a replay on the network's device.

A GPU finishes an update of a small network in less time than it takes to launch each of its
operations. So the operations of a few updates are recorded once (a CUDA graph) and launched
together. Where nothing can be recorded, the same updates run operation by operation.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparring.dqn.update import Update
from sparring.replay.cuda import DeviceReplay
from sparring.replay.staging import Staging

WARM_UPS: Final = 3  # launches before the first recording, in which libraries initialise

Body = Callable[[], None]


class Recorder(Protocol):
    """Records the operations that a function launches on a device."""

    def warm_up(self, body: Body) -> None:
        """Run `body` under the conditions of a recording."""

    def record(self, body: Body) -> Body:
        """Record `body` without executing its operations; return a function that executes them.

        Raises RuntimeError where it cannot be recorded.
        """


class CudaGraphs:
    """Graphs of one GPU (https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs)."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        # The default stream cannot be recorded, and warm-up has to run on the recorded stream.
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def warm_up(self, body: Body) -> None:
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            body()
        current.wait_stream(self._stream)

    def record(self, body: Body) -> Body:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self._device), torch.cuda.graph(graph, stream=self._stream):
            body()
        return graph.replay


class GraphedUpdates:
    """Updates with minibatches from `replay`, which receives their priorities; the caller moves the
    target network after a launch.

    The random numbers of all updates of a launch are sent together, in the order in which single
    updates would draw them: K updates in a launch and K launches of one give the same weights.
    Without a `recorder` each operation is launched by itself.
    """

    def __init__(
        self,
        update: Update,
        replay: DeviceReplay,
        *,
        batch_size: int,
        max_updates: int,
        recorder: Recorder | None,
        noise_rng: np.random.Generator | None = None,
    ) -> None:
        self.replay = replay
        self.max_updates = max_updates
        self._update = update
        self._batch_size = batch_size
        self._recorder = recorder
        self._noise_rng = noise_rng
        self._warm_ups = 0
        self._recorded: dict[int, Body] = {}
        device = replay.device
        self._staging = Staging(device)
        self._numbers = torch.zeros(max_updates, 2, batch_size, dtype=torch.float64, device=device)
        self._noise = torch.zeros(max_updates, update.noise_size, device=device)
        self._beta = torch.zeros((), dtype=torch.float64, device=device)

    def launch(self, count: int, *, rng: np.random.Generator, beta: float) -> None:
        """Make `count` updates, at most `max_updates`. Each new count is recorded: use few."""
        drawn = [
            (self.replay.draw(self._batch_size, rng), self._draw_noise(rng)) for _ in range(count)
        ]
        numbers, noise = zip(*drawn, strict=True)
        self._staging.send(np.stack(numbers), self._numbers[:count])
        self._staging.send(np.stack(noise), self._noise[:count])
        self._beta.fill_(beta)
        body = partial(self._updates, count)
        if self._recorder is not None and self._warm_ups < WARM_UPS:
            self._warm_ups += 1
            self._recorder.warm_up(body)
            return
        if self._recorder is not None and count not in self._recorded:
            self._record(self._recorder, count, body)
        self._recorded.get(count, body)()

    def _draw_noise(self, rng: np.random.Generator) -> NDArray[np.float32]:
        numbers = rng if self._noise_rng is None else self._noise_rng
        return numbers.standard_normal(self._update.noise_size, np.float32)

    def _record(self, recorder: Recorder, count: int, body: Body) -> None:
        try:
            self._recorded[count] = recorder.record(body)
        except RuntimeError as error:
            self._recorder = None
            self._update.statistics.discard_pending()
            # Ending a failed recording raises an error of its own; its context is the cause.
            reason = " ".join(str(error.__context__ or error).split())
            warnings.warn(
                "updates are launched one operation at a time, as they could not be recorded: "
                f"{reason:.200}",
                stacklevel=2,
            )

    def _updates(self, count: int) -> None:
        for number in range(count):
            indices, batch = self.replay.sample(self._numbers[number], self._beta)
            noise = self._noise[number]
            target_values = self._update.target_pass(batch, noise)
            ratio: Tensor | float = 1.0
            if self._update.shared is not None:
                ratio = self.replay.largest_ratio(indices, self._beta)
            priorities = self._update.step(batch, target_values, noise, ratio)
            self.replay.update(indices, priorities, self._update.failed)
        # Part of the recording: the next launch overwrites the pending tensors.
        self._update.statistics.flush()
