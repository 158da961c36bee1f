"""Simulated time: events, and jobs that share the cores of a machine.

A process is a generator that yields requests, and goes on when they are met. A request is a
function: it returns True if it is met at once, else it takes what is to be called when it is met.
Nothing here depends on wall-clock time or on chance.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Generator
from functools import partial
from itertools import count

Resume = Callable[[], None]
Request = Callable[[Resume], bool]
Process = Generator[Request, None, None]


class Clock:
    """The time, and `cores` that jobs share equally once they ask for more (processor sharing).

    Jobs lie in a heap in order of the work at which they finish: `_served` is the work that each
    thread has been given so far. When the number of busy threads changes, only the rate at which
    `_served` grows changes, not the order.
    """

    def __init__(self, cores: float) -> None:
        self.now = 0.0
        self._cores = cores
        self._events: list[tuple[float, int, Resume]] = []
        self._jobs: list[tuple[float, int, float, Resume]] = []
        self._served = 0.0
        self._threads = 0.0  # that are busy
        self._number = count()  # orders what happens at the same time

    def start(self, process: Process) -> None:
        """Run a process until it has to wait; it goes on as its requests are met."""
        resume = partial(self.start, process)
        for request in process:
            if not request(resume):
                return

    def sleep(self, seconds: float) -> Request:
        """Request to go on after some time, without using a core."""

        def ask(resume: Resume) -> bool:
            heapq.heappush(self._events, (self.now + seconds, next(self._number), resume))
            return False

        return ask

    def work(self, seconds: float, threads: float = 1.0) -> Request:
        """Request to go on after work that takes `seconds` where enough cores are free for its
        `threads`.
        """

        def ask(resume: Resume) -> bool:
            self._threads += threads
            job = (self._served + seconds, next(self._number), threads, resume)
            heapq.heappush(self._jobs, job)
            return False

        return ask

    def run(self, finished: Callable[[], bool]) -> None:
        """Let time pass until `finished()`, or until nothing more happens."""
        while not finished() and (self._jobs or self._events):
            rate = min(1.0, self._cores / self._threads) if self._jobs else 1.0
            job = self.now + (self._jobs[0][0] - self._served) / rate if self._jobs else None
            event = self._events[0][0] if self._events else None
            if job is not None and (event is None or job <= event):
                self._served, _, threads, resume = heapq.heappop(self._jobs)
                self._threads -= threads
                self.now = job
            else:
                at, _, resume = heapq.heappop(self._events)
                self._served += rate * (at - self.now)
                self.now = at
            resume()


class Link:
    """A line of limited bandwidth that carries one message after the other."""

    def __init__(self, clock: Clock, bytes_per_s: float) -> None:
        self._clock = clock
        self._bytes_per_s = bytes_per_s
        self._free_at = 0.0
        self.busy = 0.0  # seconds so far

    def send(self, size: float) -> Request:
        """Request to go on when a message of `size` bytes has arrived."""

        def ask(resume: Resume) -> bool:
            seconds = size / self._bytes_per_s
            self.busy += seconds
            self._free_at = max(self._free_at, self._clock.now) + seconds
            return self._clock.sleep(self._free_at - self._clock.now)(resume)

        return ask


class Queue:
    """Messages that one process waits for, of which only the number counts."""

    def __init__(self) -> None:
        self._count = 0
        self._waiting: deque[tuple[int, Resume]] = deque()

    def put(self) -> None:
        """Add a message."""
        self._count += 1
        while self._waiting and self._waiting[0][0] <= self._count:
            wanted, resume = self._waiting.popleft()
            self._count -= wanted
            resume()

    def take(self, wanted: int = 1) -> Request:
        """Request to go on when there are so many messages, and to take them."""

        def ask(resume: Resume) -> bool:
            if not self._waiting and self._count >= wanted:
                self._count -= wanted
                return True
            self._waiting.append((wanted, resume))
            return False

        return ask
