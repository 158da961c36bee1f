r"""The supervisor of a population: starts the members, watches them, starts those that fail again,
makes the decisions of population-based training, and stops all of them.

    waiting -> running -> finished
                |  ^  \-> saved        a signal stopped the population
                |  +---- restarting   it failed, or takes over the learner of a better one
                \-> given up          it failed once more than `MAX_RESTARTS` times
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals
from typing import Any, Final, Protocol

import numpy as np

from sparring.errors import ConfigurationError, InputError
from sparring.population.member import Member
from sparring.population.pbt import exploit, explore

MAX_RESTARTS: Final = 3
_RESTART_AFTER: Final = 1.0  # seconds: the workers of one that was killed hold its lock until then
_PATIENCE: Final = 120.0  # seconds to save in, when the supervisor itself fails
_BAD_INPUT: Final = 2  # exit status: starting again would not help


class Stops(Protocol):
    """The part of `Interrupts` that the supervisor needs."""

    @property
    def signal(self) -> int: ...


@dataclass(frozen=True)
class Exchange:
    """A member that took over the learner of another one: its settings from then on."""

    member: str
    learner_from: str
    matches: int
    settings: dict[str, float]


@dataclass
class _Restart:
    at: float
    settings: dict[str, float]
    learner_from: Path | None = None


class Supervisor:
    """`pbt_interval`: evaluations between decisions, None without population-based training.
    `note` shows a line; `changed` is called whenever a member has taken over a learner.
    """

    def __init__(
        self,
        members: Sequence[Member],
        *,
        stops: Stops,
        note: Callable[[str], None],
        changed: Callable[[], None],
        pbt_interval: int | None = None,
        seed: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.members = list(members)
        self.exchanges: list[Exchange] = []
        self._stops = stops
        self._note = note
        self._changed = changed
        self._pbt_interval = pbt_interval
        self._rng = np.random.default_rng(seed)
        self._clock = clock
        self._restarts: dict[str, _Restart] = {}
        self._taking: dict[str, Exchange] = {}
        self._told = 0  # signals that the members were sent

    def start(self, overrides: Sequence[dict[str, Any]] | None = None) -> None:
        """Start all members; `overrides` are settings that they continue with."""
        for number, member in enumerate(self.members):
            member.start(overrides[number] if overrides else None)

    @property
    def running(self) -> bool:
        """True while a member runs or will be started again."""
        return bool(self._restarts) or any(member.running for member in self.members)

    def look(self) -> None:
        """Look at every member once, and do what is due. ConfigurationError if the settings of a
        member cannot work.
        """
        if self._stops.signal and not self._told:
            self._stop(self._stops.signal)
        for member in self.members:
            if member.running:
                status = member.look()
                if status is None:
                    self._decide(member)
                else:
                    self._ended(member, status)
            elif (due := self._restarts.get(member.name)) and self._clock() >= due.at:
                self._start_again(member, self._restarts.pop(member.name))

    def _stop(self, number: int) -> None:
        """Tell all members to save and end; a second SIGINT would not let them save."""
        self._told = number
        for member in self.members:
            if member.name in self._restarts:
                member.state = "stopped"
        self._restarts.clear()
        for member in self.members:
            if member.name not in self._taking:
                member.signal(number)

    def close(self, *, at_once: bool = False) -> None:
        """End the members that still run: after saving, or `at_once` without."""
        for member in self.members:
            member.signal(SIGINT if at_once else SIGTERM)
        for member in self.members:
            member.end(_PATIENCE)

    def _decide(self, member: Member) -> None:
        """Let a member that is ready take over the learner of a better one, if it is weak."""
        interval = self._pbt_interval
        if interval is None or self._told or member.name in self._taking:
            return
        if len(member.scores) < member.decided:  # a failure has thrown it back
            member.decided = len(member.scores)
        scores = {each.name: each.score for each in self.members if each.score is not None}
        ready = len(member.scores) - member.decided >= interval
        if not ready or len(scores) < len(self.members):
            return
        member.decided = len(member.scores)
        better = exploit(scores, member.name, self._rng)
        if better is None or not self._member(better).has_checkpoint:
            return
        tuned = explore(self._member(better).tuned, self._rng)
        self._taking[member.name] = Exchange(member.name, better, member.matches, tuned)
        member.state = "stopping"
        member.signal(SIGINT)

    def _member(self, name: str) -> Member:
        return next(member for member in self.members if member.name == name)

    def _ended(self, member: Member, status: int) -> None:
        taking = self._taking.pop(member.name, None)
        if status == 0:
            member.state = "finished"
            self._note(f"{member.name}: finished, {member.matches:,} matches")
        elif self._told:
            saved = status in (128 + self._told, 128 + SIGINT)
            member.state = "saved" if saved else "stopped"
            if not saved and status != -self._told:  # by that signal before there was anything
                self._note(f"{member.name}: failed while it was stopped: {_cause(member, status)}")
        elif taking is not None and status == 128 + SIGINT:
            self._take(member, taking)
        elif status == _BAD_INPUT and not (member.has_reported or member.restarts):
            raise ConfigurationError(f"{member.name}: {_without_command(member.last_words())}")
        else:
            self._failed(member, _cause(member, status))

    def _take(self, member: Member, exchange: Exchange) -> None:
        """Continue with the learner of another member, and its settings changed a little."""
        member.tuned = exchange.settings
        member.state = "restarting"
        self.exchanges.append(exchange)
        other = self._member(exchange.learner_from)
        self._restarts[member.name] = _Restart(self._clock(), exchange.settings, other.run)
        values = ", ".join(f"{name} {value:g}" for name, value in exchange.settings.items())
        self._note(f"{member.name}: takes over the learner of {other.name}; {values}")
        self._changed()

    def _failed(self, member: Member, cause: str) -> None:
        if member.restarts == MAX_RESTARTS:
            member.state = "given up"
            self._note(f"{member.name}: failed again, and is given up: {cause}; see {member.log}")
            return
        member.restarts += 1
        member.state = "restarting"
        self._restarts[member.name] = _Restart(self._clock() + _RESTART_AFTER, member.tuned)
        self._note(
            f"{member.name}: failed, and is started again from its newest checkpoint "
            f"({member.restarts} of {MAX_RESTARTS}): {cause}"
        )

    def _start_again(self, member: Member, restart: _Restart) -> None:
        try:
            member.start(restart.settings, restart.learner_from)
        except (InputError, OSError) as error:  # its lock may still be held for a moment
            self._failed(member, str(error))


def _cause(member: Member, status: int) -> str:
    if status < 0:
        return f"killed by {Signals(-status).name}"
    if status > 128:
        return f"stopped by {Signals(status - 128).name}"
    return _without_command(member.last_words()) or f"exit status {status}"


def _without_command(line: str) -> str:
    return line.removeprefix("sparring: ")
