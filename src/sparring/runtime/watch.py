"""Workers in other processes that fail or fall silent: the same rules for every backend that has
such.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn, Protocol, TypeVar

from sparring.errors import GameFault, WorkerError
from sparring.runtime.base import Notify

MAX_FAILURES: Final = 3  # of one worker in a row, without a finished round in between
STUCK: Final = 600.0  # seconds without a ply after which a worker is taken to hang
WARN_AFTER: Final = 60.0  # seconds without a ply after which there is a warning
# Seconds without a ply after which a worker is replaced: before its first one, which may have to
# import and compile a game, and when the run is to stop.
STUCK_AT_START: Final = 3_600.0
STUCK_IN_A_HURRY: Final = 20.0
PAUSE_FACTOR: Final = 10  # times the longest pause between two plies so far are no hang
FIRST_NOTE, NOTE_INTERVAL = 3.0, 30.0  # seconds, of notes on who is waited for
MAX_STEP: Final = 1.0  # seconds that count at a time: this process may itself have been stopped


class WorkerRecord(ABC):
    """One worker over all its incarnations, as the main process knows it; wherever it runs."""

    def __init__(self, worker: int) -> None:
        self.worker = worker
        self.incarnation = -1
        self.failures = 0  # in a row, without a finished round in between
        self.cause = self.traceback = ""  # of its end, where it could still send them
        self.unfinished: deque[Any] = deque()  # commands
        self.finished: deque[Any] = deque()  # parts of rounds, each a `Part`
        self.state: dict[str, Any] | None = None  # of its body, once it has answered
        self.silence = 0.0  # seconds since its last tick or message, while it has something to do
        self.ended = 0  # rounds before this one are to end early
        self._seen = 0  # ticks

    @property
    @abstractmethod
    def ticks(self) -> int:
        """The number of ticks of this incarnation, as far as is known."""

    @abstractmethod
    def give(self, what: Any) -> None:
        """Give the worker something to do after all that it was given before."""

    @abstractmethod
    def end_early(self, round: int) -> None:
        """Let parts of rounds up to `round` end at the next tick, those of a successor too."""

    def begin_incarnation(self) -> None:
        """Forget what is known of the predecessor."""
        self.incarnation += 1
        self.cause = self.traceback = ""
        self.silence, self._seen = 0.0, 0

    @property
    def has_played(self) -> bool:
        """Return whether this incarnation has completed a tick."""
        return self._seen > 1

    def watch(self, seconds: float) -> float:
        """Count `seconds` more of silence; return how long a silence was that is over now."""
        ticks, before = self.ticks, self.silence
        if ticks == self._seen and self.unfinished:
            self.silence += seconds
            return 0.0
        played, self._seen, self.silence = self.has_played, ticks, 0.0
        return before if played else 0.0

    def failed(self, cause: str, notify: Notify, remedy: str = "") -> None:
        """Count a failure and say it; raise `WorkerError` if it is one too many in a row.

        What the worker itself said of its end goes before `cause`.
        """
        self.failures += 1
        last = self.cause or cause
        reason = self.traceback or last
        if self.failures >= MAX_FAILURES:
            notify(f"worker {self.worker} failed: {reason}")
            times = f"failed {self.failures} times without finishing a round"
            after = f"; {remedy}" if remedy else ""
            raise WorkerError(f"worker {self.worker} {times}; the last time: {last}{after}")
        notify(f"worker {self.worker} failed and is replaced: {reason}")


Record = TypeVar("Record", bound=WorkerRecord, contravariant=True)


class Kill(Protocol[Record]):
    """Called for a worker that hangs, with its `cause` set."""

    def __call__(self, record: Record, /) -> object: ...


def raise_again(error: Exception) -> NoReturn:
    """Raise an error of a worker that a successor would meet again."""
    if isinstance(error, GameFault):
        error.add_note(error.record["traceback"])  # which stayed in the worker
    raise error


class Watch:
    """Warns of workers that make no ply, and in the end has them killed: a step that never returns
    can only be noticed from outside.
    """

    def __init__(self, notify: Notify) -> None:
        self._notify = notify
        self.last_look = 0.0
        self.longest_pause = 0.0  # between two plies of a worker
        self._warned: set[int] = set()
        self._in_a_hurry = False
        self._next_note = 0.0  # on who is waited for

    def hurry(self) -> None:
        """From now on wait for a worker that makes no ply for some seconds only."""
        self._in_a_hurry = True
        self._next_note = time.monotonic() + FIRST_NOTE

    def wait(
        self, done: Callable[[], bool], serve: Callable[[], None], records: Sequence[WorkerRecord]
    ) -> None:
        """Call `serve` until `done`; in a hurry, say now and then who is waited for."""
        while not done():
            serve()
            if self._in_a_hurry and time.monotonic() >= self._next_note:
                self._next_note = time.monotonic() + NOTE_INTERVAL
                self._notify(_waiting_for(records))

    def look(self, records: Sequence[Record], kill: Kill[Record]) -> None:
        """Measure the silence of these workers since the last look."""
        now = time.monotonic()
        seconds, self.last_look = min(now - self.last_look, MAX_STEP), now
        for record in records:
            self.longest_pause = max(self.longest_pause, record.watch(seconds))
            limit = self.limit(record)
            if record.silence > limit:
                record.cause = f"it made no ply for {limit:.0f} s"
                kill(record)
            elif record.silence <= WARN_AFTER:
                self._warned.discard(record.worker)
            elif record.worker not in self._warned:
                self._warned.add(record.worker)
                self._notify(
                    f"worker {record.worker} has made no ply for {WARN_AFTER:.0f} s: slow moves, "
                    f"or a step that never returns; it is replaced after {limit:.0f} s"
                )

    def limit(self, record: WorkerRecord) -> float:
        """Seconds without a ply after which a worker is replaced."""
        if not record.has_played:
            return STUCK_AT_START
        limit = STUCK_IN_A_HURRY if self._in_a_hurry else STUCK
        return max(limit, PAUSE_FACTOR * self.longest_pause)


def _waiting_for(records: Sequence[WorkerRecord]) -> str:
    busy = [str(record.worker) for record in records if record.unfinished]
    workers = f"worker{'' if len(busy) == 1 else 's'} {', '.join(busy)}"
    return f"waiting for {workers} to finish the matches of the round"
