"""A `Match` whose calls are checked: exceptions and invalid values become findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.conformance.findings import Finding, of_contract, of_exception, played
from sparring.games.faults import BrokenContractError, is_ctrl_c
from sparring.games.python.coerce import (
    as_flag,
    as_mask,
    as_observation,
    as_outcome,
    as_rewards,
    as_seat,
)
from sparring.games.python.search import deep_copy
from sparring.games.spec import GameSpec, Match


class Broken(Exception):
    """The match cannot continue; `finding` says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(f"{finding.what}: {finding.got}")
        self.finding = finding


@dataclass
class Position:
    """One observed position; `views` [P, *observation_shape] has a row for each seat."""

    seat: int
    mask: NDArray[np.bool_]
    views: NDArray[Any]

    def difference(self, recorded: Position) -> str:
        """Return the first difference from the record in words, or an empty string."""
        if self.seat != recorded.seat:
            return f"seat {self.seat} to move instead of seat {recorded.seat}"
        if not np.array_equal(self.mask, recorded.mask):
            return f"legal actions {_legal(self.mask)} instead of {_legal(recorded.mask)}"
        for seat, (mine, theirs) in enumerate(zip(self.views, recorded.views, strict=True)):
            if not np.array_equal(mine, theirs):
                return f"a different observation of seat {seat}"
        return ""


def _legal(mask: NDArray[np.bool_]) -> str:
    actions = np.flatnonzero(mask).tolist()
    return str(actions) if len(actions) <= 10 else f"{actions[:10]} and {len(actions) - 10} more"


@dataclass
class Line:
    """One recorded match: position t was observed before `actions[t]`; a match that was cut has one
    position more.
    """

    key: int
    positions: list[Position] = field(default_factory=list)
    actions: list[int] = field(default_factory=list)
    rewards: list[list[float]] = field(default_factory=list)  # of each action; [] for None


class WatchedMatch:
    """One match of a game in plain Python. Methods raise `Broken` if it breaks the contract of
    `Match`.
    """

    def __init__(self, match: Match, spec: GameSpec) -> None:
        self.match, self.spec = match, spec
        self.actions: list[int] = []

    def reset(self, key: int) -> None:
        self.actions = []
        self._rng = np.random.Generator(np.random.PCG64(key))
        self._call("reset", self.match.reset, self._rng)

    def stream(self) -> str:
        """State of the match's generator, to be compared."""
        return repr(self._rng.bit_generator.state)

    def after(self, action: int) -> NDArray[Any]:
        """[*observation_shape], a copy of what the match's own `after` returned."""
        method = self.match.after  # type: ignore[attr-defined]
        return self.checked(self._call(f"after({action})", method, action), "after()")

    def position(self, order: Iterable[int] | None = None) -> Position:
        """Copy of everything observable; `observe` is called for the seats in this `order`."""
        mover, mask = self.seat(), self.mask()
        views = {
            seat: self.checked(self.observe(seat)) for seat in order or range(self.spec.num_players)
        }
        return Position(mover, mask, np.stack([views[seat] for seat in sorted(views)]))

    def seat(self) -> int:
        seat = self._call("seat", getattr, self.match, "seat", None)
        return int(self._convert("seats", "invalid seat", as_seat, seat, self.spec.num_players))

    def mask(self) -> NDArray[np.bool_]:
        """[A], a copy."""
        returned, shape = self._call("mask", self.match.mask), (self.spec.num_actions,)
        what = (
            "mask() must return num_actions booleans"
            if _shape(returned) == shape
            else "mask() has the wrong length"
        )
        mask: NDArray[np.bool_] = self._convert("mask", what, as_mask, returned, shape).copy()
        if not mask.any():
            remedy = "end the match in the step before, or add an action that passes"
            raise self._broken(
                "legal moves",
                "a match in progress has no legal action",
                "an empty mask",
                "at least one",
                remedy,
            )
        return mask

    def observe(self, seat: int) -> Any:
        """Return the object that the match's own `observe` returned."""
        return self._call(f"observe({seat})", self.match.observe, seat)

    def checked(self, observation: Any, method: str = "observe()") -> NDArray[Any]:
        """[*observation_shape], a copy of an `observation` that a `method` returned, in the
        declared dtype.
        """
        shape, dtype = tuple(self.spec.observation_shape), np.dtype(self.spec.observation_dtype)
        what = (
            f"{method} has the wrong dtype"
            if _shape(observation) == shape
            else f"{method} has the wrong shape"
        )
        seen: NDArray[Any] = self._convert(
            "observation", what, as_observation, observation, dtype, shape
        ).copy()
        if dtype.kind == "f" and not np.all(np.isfinite(seen)):
            remedy = "return numbers that a network can take as input"
            raise self._broken(
                "observation",
                f"{method} returns NaN or infinity",
                "NaN or infinity",
                "finite numbers",
                remedy,
            )
        return seen

    def step(self, action: int) -> tuple[Sequence[float] | None, bool]:
        """(rewards [P] or None, whether the match has ended)."""
        self.actions.append(action)
        returned = self._call("step", self.match.step, action)
        rewards, ended = self._convert(
            "step", "step() must return (rewards, ended)", as_outcome, returned
        )
        if rewards is not None:
            self._convert(
                "step", "step() returns invalid rewards", as_rewards, rewards, self.spec.num_players
            )
        return rewards, self._convert(
            "step", "step() must return ended as True or False", as_flag, ended
        )

    def copied(self) -> WatchedMatch:
        """A copy of the match, made by its own `copy()` if it has one, else by `copy.deepcopy`."""
        own, what = getattr(self.match, "copy", None), "the match cannot be copied"
        match = (
            self._call("copy", own)
            if own is not None
            else self._convert("copies", what, deep_copy, self.match)
        )
        if match is None or match is self.match:
            got = "None" if match is None else "the match itself"
            raise self._broken(
                "copies",
                "copy() must return a new match",
                got,
                "a new match",
                "return the new match from copy()",
            )
        other = WatchedMatch(match, self.spec)
        other.actions = [*self.actions]
        return other

    def words(self, name: str, function: Callable[..., Any], *arguments: int) -> None:
        """Call a function that must return text for people."""
        returned = self._call(name, function, *arguments)
        if not isinstance(returned, str):
            raise self._broken(
                "words",
                f"{name} must return a str",
                type(returned).__name__,
                "str",
                f"return a str from {name}",
            )

    def _convert(self, check: str, what: str, convert: Callable[..., Any], *arguments: Any) -> Any:
        """Convert a returned value as `LoopedGame` does."""
        try:
            return convert(*arguments)
        except BrokenContractError as error:
            raise Broken(of_contract(what, str(error), error.remedy, self.actions, check)) from None

    def _call(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except MemoryError:
            raise
        except BaseException as error:
            if is_ctrl_c(error):
                raise
            raise Broken(of_exception(f"{name} raises an exception", error, self.actions)) from None

    def _broken(self, check: str, what: str, got: str, expected: str, remedy: str) -> Broken:
        return Broken(Finding(what, f"{got}{played(self.actions)}", expected, remedy, check))


def _shape(returned: Any) -> tuple[int, ...] | None:
    try:
        return np.asarray(returned).shape
    except ValueError:  # rows of different lengths
        return None
