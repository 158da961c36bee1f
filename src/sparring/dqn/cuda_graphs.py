"""Several updates at a launch, from a replay that lies where they are made.

A GPU finishes an update of a small network in less time than it takes to ask for each of its
operations. So the operations of a few updates are recorded once (a CUDA graph) and asked for all
together. The same launches run step by step where nothing can be recorded.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from sparring.dqn.update import Update
from sparring.replay.cuda import DeviceReplay, Staging

WARM_UPS: Final = 3  # launches before the first recording, in which libraries set up what they need

Body = Callable[[], None]


class Recorder(Protocol):
    """Records what a function asks of a device."""

    def warm_up(self, body: Body) -> None:
        """Run `body` as it will be recorded."""

    def record(self, body: Body) -> Body:
        """What repeats `body`, which it calls without letting it do anything; raises RuntimeError
        where it cannot be recorded.
        """


class CudaGraphs:
    """Graphs of one GPU (https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs)."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        # Nothing can be recorded on the default stream, and what is to be recorded is warmed up
        # where that will be.
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


class Launches:
    """Updates with minibatches out of `replay`, which is told of their errors; moving the target is
    the caller's part, after a launch.

    The numbers that the updates of a launch draw are sent together, in the order in which single
    ones would draw them: K updates at a launch and K launches of one give the same weights. Without
    a `recorder` each operation is asked for by itself.
    """

    def __init__(
        self,
        update: Update,
        replay: DeviceReplay,
        *,
        batch_size: int,
        most: int,
        recorder: Recorder | None,
    ) -> None:
        self.replay = replay
        self.most = most
        self._update = update
        self._batch_size = batch_size
        self._recorder = recorder
        self._warm_ups = 0
        self._recorded: dict[int, Body] = {}
        self._staging = Staging(replay.device)
        self._numbers = torch.zeros(most, 2, batch_size, dtype=torch.float64, device=replay.device)
        self._noise = torch.zeros(most, update.noise_size, device=replay.device)
        self._beta = torch.zeros((), dtype=torch.float64, device=replay.device)

    def launch(self, count: int, *, rng: np.random.Generator, beta: float) -> None:
        """Make `count` updates, `most` at most. Each new count is a recording of its own: use few."""
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
        return rng.standard_normal(self._update.noise_size, np.float32)

    def _record(self, recorder: Recorder, count: int, body: Body) -> None:
        try:
            self._recorded[count] = recorder.record(body)
        except RuntimeError as error:
            self._recorder = None
            self._update.discard()
            reason = " ".join(
                str(error.__context__ or error).split()
            )  # ending a recording that went wrong is an error of its own
            warnings.warn(
                f"updates are launched one operation at a time, as they could not be recorded: {reason:.200}",
                stacklevel=2,
            )

    def _updates(self, count: int) -> None:
        for number in range(count):
            indices, batch = self.replay.sample(self._numbers[number], self._beta)
            noise = self._noise[number]
            surprise = self._update.step(batch, self._update.look(batch, noise), noise)
            self.replay.update(indices, surprise, self._update.failed)
        # within the recording, as what it adds up is overwritten by the next one
        self._update.add_up()
