"""Argument of all checks: the game and its recorded matches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sparring.conformance.findings import Finding
from sparring.conformance.recordings import Trace
from sparring.conformance.watched_match import Line
from sparring.games import is_of_library
from sparring.games.compiled.game import CompiledGame
from sparring.games.python.game import LoopedGame
from sparring.games.spec import BatchedGame, GameSpec, Match

Factory = Callable[[int], BatchedGame]


@dataclass
class Subject:
    """The game under test, and its recorded matches.

    The one object `game` played all traces, so the last trace followed earlier matches. A game in
    plain Python also has `new_match` and `lines`: matches played without the batched protocol, each
    by its own object.
    """

    factory: Factory
    game: BatchedGame
    seed: int
    matches: int
    name: str | None = None  # by which other processes make the game
    lines: list[Line] = field(default_factory=list)
    broken: list[Finding] = field(default_factory=list)  # findings while they were played
    traces: list[Trace] = field(default_factory=list)

    @property
    def spec(self) -> GameSpec:
        return self.game.spec

    @property
    def new_match(self) -> Callable[[], Match] | None:
        """Function that makes a `Match`, if the game is in plain Python."""
        return getattr(self.game, "new_match", None)

    @property
    def is_adapted(self) -> bool:
        """Return whether the matches are those of another library."""
        return self.new_match is not None and is_of_library(self.game.spec.name)

    @property
    def offers_batches(self) -> bool:
        """Return whether the user wrote the batched protocol, not one of our wrappers."""
        return type(self.game) not in (CompiledGame, LoopedGame)

    @property
    def trace(self) -> Trace:
        return self.traces[-1]

    def fresh(self) -> BatchedGame:
        """Return a new game with as many slots."""
        return self.factory(self.game.num_slots)


Check = Callable[[Subject], Iterator[Finding]]
Level = dict[str, Check]
