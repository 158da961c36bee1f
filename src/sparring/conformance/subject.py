"""What the conformance checks are given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sparring.conformance.findings import Finding
from sparring.conformance.recordings import Trace
from sparring.conformance.watched_match import Line
from sparring.games.spec import BatchedGame, GameSpec, Match

Factory = Callable[[int], BatchedGame]


@dataclass
class Subject:
    """The game under test, and what was recorded of it.

    All traces are from the one object `game`, so that the last has predecessors. A game in plain
    Python has `new_match`, and lines: matches played without the batched protocol around them, each
    by an object of its own.
    """

    factory: Factory
    game: BatchedGame
    seed: int
    matches: int
    name: str | None = None  # by which other processes make it
    lines: list[Line] = field(default_factory=list)
    broken: list[Finding] = field(default_factory=list)  # what was found while they were played
    traces: list[Trace] = field(default_factory=list)

    @property
    def spec(self) -> GameSpec:
        return self.game.spec

    @property
    def new_match(self) -> Callable[[], Match] | None:
        """What makes the objects of a game in plain Python."""
        return getattr(self.game, "new_match", None)

    @property
    def trace(self) -> Trace:
        return self.traces[-1]

    def fresh(self) -> BatchedGame:
        """Another game, with as many slots, in which nothing was played yet."""
        return self.factory(self.game.num_slots)


Check = Callable[[Subject], Iterator[Finding]]
Level = dict[str, Check]
