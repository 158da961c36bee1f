"""The main process's side of one worker: process, pipe, ring, and the commands that it has not
finished.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import connection
from typing import Any

from numpy.typing import NDArray

from sparring.replay.transitions import join_rows
from sparring.rollout.round import RoundCommand, RoundReport
from sparring.runtime.shared_memory import Ring
from sparring.runtime.watch import WorkerRecord, raise_again


@dataclass
class FinishedPart:
    """One worker's finished part of a round.

    Its rows are those of `copied`, which had to leave the ring, and then those numbered `begin` to
    `end` in the ring.
    """

    report: RoundReport
    copied: list[NDArray[Any]]
    ring: Ring
    begin: int
    end: int

    def blocks(self) -> list[NDArray[Any]]:
        """All rows in order, those of the ring in place."""
        return [*self.copied, *self.ring.rows(self.begin, self.end)]

    def release(self) -> None:
        self.ring.free(self.end)

    def leave_ring(self) -> None:
        """Copy the rows out of the ring, which may then be overwritten."""
        self.copied += copies(self.ring.rows(self.begin, self.end))
        self.begin = self.end


class WorkerHandle(WorkerRecord):
    """One worker as the main process sees it, over all its incarnations."""

    def __init__(self, worker: int) -> None:
        super().__init__(worker)
        self.unfinished: deque[RoundCommand | str | tuple[str, Any]] = deque()
        # rows of the first unfinished part that had to leave the ring
        self.copied: list[NDArray[Any]] = []
        self.begin = 0  # number of that part's first row that is still in the ring
        self.process: Any = None
        self.pipe: connection.Connection
        self.ring: Ring

    @property
    def ticks(self) -> int:
        return self.ring.ticks

    def begin_process(self, pipe: connection.Connection, ring: Ring) -> None:
        """Forget what the predecessor sent for unfinished parts; its finished ones stay."""
        self.begin_incarnation()
        self.copied, self.begin = [], 0
        self.pipe, self.ring = pipe, ring
        ring.end_before(self.ended)

    def give(self, what: RoundCommand | str | tuple[str, Any]) -> None:
        """Give the worker something to do after all that it was given before."""
        self.unfinished.append(what)
        self._send(what)

    def repeat_unfinished(self) -> None:
        """Give a new incarnation what its predecessor has not finished."""
        for command in self.unfinished:
            self._send(command)

    def _send(self, command: Any) -> None:
        with contextlib.suppress(OSError):  # it has died: its successor gets the command
            self.pipe.send(command)

    def receive(self) -> None:
        """Handle all messages that have arrived. Raises an error that a successor would meet
        again.
        """
        try:
            while self.pipe.poll():
                self._handle(*self.pipe.recv())
        except (EOFError, OSError):
            pass  # the end of the process is noticed by its sentinel

    def _handle(self, kind: str, value: Any) -> None:
        self.silence = 0.0
        if kind == "full":
            self._empty_ring(value)
        elif kind == "report":
            report, written = value
            self.unfinished.popleft()
            self.finished.append(FinishedPart(report, self.copied, self.ring, self.begin, written))
            self.copied, self.begin, self.failures = [], written, 0
        elif kind == "state":
            self.unfinished.popleft()
            self.state = value
        elif kind == "restored":
            self.unfinished.popleft()
        elif kind == "error":
            raise_again(value)
        else:
            self.cause, self.traceback = value

    def end_early(self, round: int) -> None:
        """Let parts of rounds up to `round` end at the next tick, those of a successor too."""
        self.ended = max(self.ended, round + 1)
        self.ring.end_before(self.ended)

    def _empty_ring(self, written: int) -> None:
        """Copy all rows out of the ring, so that the worker can go on."""
        for part in self.finished:
            part.leave_ring()
        self.copied += copies(self.ring.rows(self.begin, written))
        self.begin = written
        self.ring.free(written)

    def kill(self) -> None:
        """End the process, if it has not ended yet."""
        self.pipe.close()
        self.process.kill()
        self.process.join()


def copies(blocks: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """Copies that do not lie in a ring."""
    return [join_rows([block]) for block in blocks]


def describe_status(status: int) -> str:
    """Words on the end of a process."""
    return f"ended by signal {-status}" if status < 0 else f"ended with status {status}"
