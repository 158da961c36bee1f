"""What the conformance checks are given, and what they answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sparring.games.conformance.traces import Trace
from sparring.games.spec import BatchedGame, GameSpec

Factory = Callable[[int], BatchedGame]


@dataclass(frozen=True)
class Finding:
    """One way in which a game breaks the contract; as text, one line."""

    what: str
    got: str
    expected: str
    remedy: str
    check: str = ""

    def __str__(self) -> str:
        return f"{self.check}: {self.what}: got {self.got}, expected {self.expected}; {self.remedy}"


@dataclass
class Report:
    """What was checked, on how much play, and what was found."""

    game: str = ""
    checks: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    matches: int = 0
    plies: int = 0

    @property
    def passed(self) -> bool:
        return not self.findings

    def __str__(self) -> str:
        verdict = "no findings" if self.passed else f"{len(self.findings)} finding{'s' * (len(self.findings) > 1)}"
        head = f"{self.game}: {len(self.checks)} checks on {self.matches} matches, {self.plies} plies: {verdict}"
        return "\n".join([head, *map(str, self.findings)])


@dataclass
class Subject:
    """The game under test, and what was recorded of it: all traces are from the one object `game`, so that the last has predecessors."""

    factory: Factory
    game: BatchedGame
    seed: int
    traces: list[Trace] = field(default_factory=list)

    @property
    def spec(self) -> GameSpec:
        return self.game.spec

    @property
    def trace(self) -> Trace:
        return self.traces[-1]

    def fresh(self) -> BatchedGame:
        """Another game, with as many slots, in which nothing was played yet."""
        return self.factory(self.game.num_slots)


Check = Callable[[Subject], Iterator[Finding]]
