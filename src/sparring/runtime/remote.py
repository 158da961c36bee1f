"""Workers outside the main process: rounds, states and waiting, the same for every such backend."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from numpy.typing import NDArray

from sparring.rollout.round import RoundReport
from sparring.runtime.base import Batch, Notify
from sparring.runtime.watch import Watch, WorkerRecord

Handle = TypeVar("Handle", bound=WorkerRecord)


class Part(Protocol):
    """One worker's finished part of a round."""

    @property
    def report(self) -> RoundReport: ...

    def blocks(self) -> Sequence[NDArray[Any]]:
        """All rows in order."""

    def release(self) -> None:
        """Free the rows, which are no longer needed."""


class RemoteWorkers(ABC, Generic[Handle]):
    """`handles` are the main process's sides of the workers, in their order."""

    poll_interval: ClassVar[float]  # seconds between two looks at what has arrived

    def __init__(self, handles: Sequence[Handle], notify: Notify) -> None:
        self.replaced = 0
        self._handles = handles
        self._notify = notify
        self._watch = Watch(notify)
        self._last_poll = 0.0

    @abstractmethod
    def _serve(self, timeout: float) -> None:
        """Handle all that has arrived, for which wait so many seconds; replace what has failed."""

    @abstractmethod
    def _begin_anew(self, handle: Handle) -> None:
        """End the worker, if it has not ended; start its next incarnation on what is unfinished."""

    @abstractmethod
    def _give_state(self, handle: Handle, body: dict[str, Any]) -> None:
        """Give the worker a saved state of its body."""

    def finish_round(self) -> Batch:
        self._wait(lambda: all(handle.finished for handle in self._handles))
        return _next_batch(self._handles)

    def finish_any(self) -> Batch:
        self._serve(timeout=0.0)  # others may always have something ready
        self._wait(lambda: any(handle.finished for handle in self._handles))
        ready = [handle for handle in self._handles if handle.finished]
        return _next_batch([min(ready, key=lambda handle: handle.finished[0].report.round)])

    def end_early(self, worker: int, round: int) -> None:
        self._handles[worker].end_early(round)

    def hurry(self) -> None:
        self._watch.hurry()

    def poll(self) -> None:
        now = time.monotonic()
        if now - self._last_poll >= self.poll_interval:
            self._last_poll = now
            self._serve(timeout=0.0)

    def get_state(self) -> dict[str, Any]:
        for handle in self._handles:
            handle.state = None
            handle.give("get_state")
        self._wait(lambda: all(handle.state is not None for handle in self._handles))
        return {
            str(handle.worker): {"incarnation": handle.incarnation, "body": handle.state}
            for handle in self._handles
        }

    def set_state(self, state: dict[str, Any]) -> None:
        for handle in self._handles:
            saved = state[str(handle.worker)]
            if handle.incarnation != saved["incarnation"]:  # which names its random streams
                handle.incarnation = saved["incarnation"] - 1
                self._begin_anew(handle)
            self._give_state(handle, saved["body"])
        # From then on a successor of a worker that dies begins with the restored state.
        self._wait_until_idle()

    def _wait_until_idle(self) -> None:
        self._wait(lambda: not any(handle.unfinished for handle in self._handles))

    def _wait(self, done: Callable[[], bool]) -> None:
        """Serve the workers until `done`."""
        self._watch.wait(done, lambda: self._serve(timeout=0.2), self._handles)


def _next_batch(handles: Sequence[WorkerRecord]) -> Batch:
    """The next finished part of each of these workers, all of one round."""
    parts: list[Part] = [handle.finished.popleft() for handle in handles]
    assert len({part.report.round for part in parts}) == 1, "parts of several rounds"

    def release() -> None:
        for part in parts:
            part.release()

    blocks = [block for part in parts for block in part.blocks()]
    return Batch.join(
        [handle.worker for handle in handles], blocks, [part.report for part in parts], release
    )
