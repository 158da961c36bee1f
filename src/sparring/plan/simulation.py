"""A stretch of a run, simulated event by event: workers that play rounds, the link that carries
them, and the main process that receives, learns, publishes, evaluates and saves.

Who waits for whom is as in `training/rounds.py`. Simplified: all workers are equally fast and
differ only in how long their matches last; a ring never fills; `async` waits neither for slow
workers nor, before it saves, for those in flight; a message takes no time but that of its bytes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Final, Literal

from sparring.plan.clock import Clock, Link, Process, Queue

MAIN: Final = ("receive", "update", "publish", "pause")  # work of the main process
IN_FLIGHT: Final = {"sync": 1, "overlap": 2, "async": 2}  # parts of a worker
_WARM_UP: Final = 2  # rounds
_SHORTEST: Final = 0.1  # part, beside the mean
_GOLDEN: Final = 0.6180339887498949
_ROOT: Final = 0.4142135623730951
_NORMAL: Final = NormalDist()

Mode = Literal["sync", "overlap", "async"]


@dataclass(frozen=True)
class Pause:
    """Work of the main process between two rounds: once in `updates` or `seconds`, whichever comes
    first, it takes `takes` seconds. `settles`: it first waits for all that is in flight.
    """

    takes: float
    updates: float = float("inf")
    seconds: float = float("inf")
    settles: bool = False


@dataclass(frozen=True)
class Run:
    """Work of a run in a round, in seconds, bytes and numbers.

    A part is what one worker plays of a round. `play` is the time of a part on a core of its own
    and `spread` its standard deviation beside it; `receive` the main process's time for a part;
    `update` that of one update, in which `threads` cores are busy. `cores` are shared by all. On
    the link a part has `part_bytes`, a publication of weights `weight_bytes`.
    """

    mode: Mode
    workers: int
    cores: float
    play: float
    updates: float
    update: float
    spread: float = 0.0
    receive: float = 0.0
    publish: float = 0.0
    threads: float = 1.0
    part_bytes: float = 0.0
    weight_bytes: float = 0.0
    link_bytes_per_s: float = float("inf")
    pauses: tuple[Pause, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """Rates of the stretch, and shares of its time: of the workers that played, of the main process
    by what it did, of the link.
    """

    parts_per_s: float
    updates_per_s: float
    playing: float
    main: dict[str, float] = field(default_factory=dict)
    link: float = 0.0


def simulate(run: Run, rounds: int) -> Outcome:
    """Simulate a run with a full replay buffer, and return the rates of `rounds` rounds; those
    before them, in which the workers get into step, do not count.
    """
    simulation = _Simulation(run)
    simulation.go_on(_WARM_UP)
    before = simulation.counts()
    simulation.go_on(rounds)
    seconds, parts, updates, played, link, *main = (
        now - then for now, then in zip(simulation.counts(), before, strict=True)
    )
    return Outcome(
        parts_per_s=parts / seconds,
        updates_per_s=updates / seconds,
        playing=played / (seconds * run.workers),
        main={name: spent / seconds for name, spent in zip(MAIN, main, strict=True)},
        link=min(1.0, link / seconds),
    )


class _Simulation:
    def __init__(self, run: Run) -> None:
        self._run = run
        self._clock = Clock(run.cores)
        self._link = Link(self._clock, run.link_bytes_per_s)
        self._commands = [Queue() for _ in range(run.workers)]
        self._arrived = Queue()
        self._senders: deque[int] = deque()  # of the parts that have arrived
        self._started = 0  # rounds
        self._learned = 0  # rounds
        self._updates = 0.0  # made
        self._played = 0.0  # seconds on a core
        self._saved = [(0.0, 0.0) for _ in run.pauses]  # updates and time of each
        self._spent = dict.fromkeys(MAIN, 0.0)
        for worker in range(run.workers):
            self._clock.start(self._worker(worker))
        self._clock.start(self._free() if run.mode == "async" else self._in_step())

    def go_on(self, rounds: int) -> None:
        """Run until so many more rounds are learned."""
        end = self._learned + rounds
        self._clock.run(lambda: self._learned >= end)

    def counts(self) -> tuple[float, ...]:
        """Time, parts learned, updates, seconds of play, of the link, and of the main process."""
        parts = float(self._learned * self._run.workers)
        figures = (self._clock.now, parts, self._updates, self._played, self._link.busy)
        return (*figures, *self._spent.values())

    def _worker(self, worker: int) -> Process:
        """Play a part for each command, and send it; the next one is played meanwhile."""
        part = 0
        while True:
            yield self._commands[worker].take()
            seconds = self._run.play * variation(worker, part, self._run.spread)
            yield self._clock.work(seconds)
            self._played += seconds
            part += 1
            self._clock.start(self._sending(worker))

    def _sending(self, worker: int) -> Process:
        if self._run.part_bytes:
            yield self._link.send(self._run.part_bytes)
        self._senders.append(worker)
        self._arrived.put()

    def _in_step(self) -> Process:
        """The main process in `sync` and `overlap`: a round of all workers at a time."""
        run, ready = self._run, False
        while True:
            while self._started < self._learned + IN_FLIGHT[run.mode]:
                self._command_all()
                self._started += 1
            if not ready:
                yield self._arrived.take(run.workers)
            ready = False
            yield from self._main("receive", run.receive * run.workers)
            yield from self._learn()
            for number in self._due():
                if run.pauses[number].settles and not ready and self._started > self._learned:
                    yield self._arrived.take(run.workers)
                    ready = True
                yield from self._pause(number)

    def _free(self) -> Process:
        """The main process in `async`: a worker gets its next part when one has arrived."""
        run = self._run
        for _ in range(IN_FLIGHT[run.mode]):
            self._command_all()
        while True:
            for _ in range(run.workers):
                yield self._arrived.take()
                yield from self._main("receive", run.receive)
                self._commands[self._senders.popleft()].put()
            yield from self._learn()
            for number in self._due():
                yield from self._pause(number)

    def _command_all(self) -> None:
        for commands in self._commands:
            commands.put()

    def _learn(self) -> Process:
        run = self._run
        yield from self._main("update", run.updates * run.update, run.threads)
        self._updates += run.updates
        yield from self._main("publish", run.publish)
        if run.weight_bytes:
            yield self._link.send(run.weight_bytes)
        self._learned += 1

    def _main(self, what: str, seconds: float, threads: float = 1.0) -> Process:
        """Work of the main process, whose time is counted until it is done."""
        if seconds > 0.0:
            begun = self._clock.now
            yield self._clock.work(seconds, threads)
            self._spent[what] += self._clock.now - begun

    def _due(self) -> list[int]:
        """Numbers of the pauses that are due."""
        return [
            number
            for number, (pause, (updates, at)) in enumerate(
                zip(self._run.pauses, self._saved, strict=True)
            )
            if self._updates - updates >= pause.updates or self._clock.now - at >= pause.seconds
        ]

    def _pause(self, number: int) -> Process:
        yield from self._main("pause", self._run.pauses[number].takes)
        self._saved[number] = (self._updates, self._clock.now)


def variation(worker: int, part: int, spread: float) -> float:
    """Length of a worker's part beside the mean: normally distributed, at least 0.1.

    Quantiles come from an additive recurrence instead of chance, so that the parts of a round, and
    those of a worker, are spread evenly.
    """
    if spread == 0.0:
        return 1.0
    quantile = (0.5 + worker * _GOLDEN + part * _ROOT) % 1.0
    return max(_SHORTEST, 1.0 + spread * _NORMAL.inv_cdf(min(max(quantile, 1e-6), 1.0 - 1e-6)))
