"""A `Match` whose every call is watched: what it raises and returns wrongly becomes a finding, and
what it returns is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.conformance.findings import Finding, of_contract, of_exception, played
from sparring.games.faults import BrokenContractError
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
    """The match cannot be played on; `finding` says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(f"{finding.what}: {finding.got}")
        self.finding = finding


@dataclass
class Position:
    """Position of a match as shown; `views` [P, *observation_shape], one row for each seat."""

    seat: int
    mask: NDArray[np.bool_]
    views: NDArray[Any]

    def difference(self, recorded: Position) -> str:
        """Return the name of what differs from the record; empty if nothing does."""
        if self.seat != recorded.seat:
            return f"seat {self.seat} to move where seat {recorded.seat} was"
        if not np.array_equal(self.mask, recorded.mask):
            return f"the legal actions {_legal(self.mask)} where {_legal(recorded.mask)} were"
        for seat, (mine, theirs) in enumerate(zip(self.views, recorded.views, strict=True)):
            if not np.array_equal(mine, theirs):
                return f"another view of seat {seat}"
        return ""


def _legal(mask: NDArray[np.bool_]) -> str:
    actions = np.flatnonzero(mask).tolist()
    return str(actions) if len(actions) <= 10 else f"{actions[:10]} and {len(actions) - 10} more"


@dataclass
class Line:
    """One match played: position t is what showed before `actions[t]`; one more at the end if it
    was left while it went on.
    """

    key: int
    positions: list[Position] = field(default_factory=list)
    actions: list[int] = field(default_factory=list)


class Guarded:
    """One match of a game in plain Python. Every method raises `Broken` where the match's own
    breaks the contract of `Match`.
    """

    def __init__(self, match: Match, spec: GameSpec) -> None:
        self.match, self.spec = match, spec
        self.actions: list[int] = []

    def reset(self, key: int) -> None:
        self.actions = []
        self._call("reset", self.match.reset, np.random.Generator(np.random.PCG64(key)))

    def position(self, order: Iterable[int] | None = None) -> Position:
        """Everything that shows, copied; the seats are asked in this `order`."""
        mover, mask = self.seat(), self.mask()
        views = {
            seat: self.checked(self.observe(seat)) for seat in order or range(self.spec.num_players)
        }
        return Position(mover, mask, np.stack([views[seat] for seat in sorted(views)]))

    def seat(self) -> int:
        seat = self._call("seat", getattr, self.match, "seat", None)
        return int(self._take("seats", "no such seat", as_seat, seat, self.spec.num_players))

    def mask(self) -> NDArray[np.bool_]:
        """[A], a copy."""
        returned, shape = self._call("mask", self.match.mask), (self.spec.num_actions,)
        what = "the mask is no mask" if _shape(returned) == shape else "the mask has another length"
        mask: NDArray[np.bool_] = self._take("mask", what, as_mask, returned, shape).copy()
        if not mask.any():
            remedy = "end the match in the step before, or offer an action that passes"
            raise self._broken(
                "legal moves",
                "a match that goes on has no legal action",
                "an empty mask",
                "at least one",
                remedy,
            )
        return mask

    def observe(self, seat: int) -> Any:
        """The very object that `observe` returned."""
        return self._call(f"observe({seat})", self.match.observe, seat)

    def checked(self, observation: Any) -> NDArray[Any]:
        """[*observation_shape], a copy of what `observe` returned, in the declared type."""
        shape, dtype = tuple(self.spec.observation_shape), np.dtype(self.spec.observation_dtype)
        what = (
            "an observation is of another type"
            if _shape(observation) == shape
            else "an observation has another shape"
        )
        seen: NDArray[Any] = self._take(
            "observation", what, as_observation, observation, dtype, shape
        ).copy()
        if dtype.kind == "f" and not np.all(np.isfinite(seen)):
            remedy = "show what a network can be fed"
            raise self._broken(
                "observation",
                "an observation is not finite",
                "NaN or infinity",
                "finite numbers",
                remedy,
            )
        return seen

    def step(self, action: int) -> tuple[Sequence[float] | None, bool]:
        """(rewards [P] or None, whether the match has ended)."""
        self.actions.append(action)
        returned = self._call("step", self.match.step, action)
        rewards, ended = self._take("step", "step returns something else", as_outcome, returned)
        if rewards is not None:
            self._take(
                "step", "step pays in another form", as_rewards, rewards, self.spec.num_players
            )
        return rewards, self._take(
            "step", "step does not say whether the match has ended", as_flag, ended
        )

    def copied(self) -> Guarded:
        """A copy of the match, made as people made it, or else by `copy.deepcopy`."""
        own, what = getattr(self.match, "copy", None), "the match cannot be copied"
        match = (
            self._call("copy", own)
            if own is not None
            else self._take("copies", what, deep_copy, self.match)
        )
        if match is None or match is self.match:
            got = "None" if match is None else "the match itself"
            raise self._broken(
                "copies",
                "copy gives no other match",
                got,
                "a new match",
                "return the new match from copy()",
            )
        other = Guarded(match, self.spec)
        other.actions = [*self.actions]
        return other

    def words(self, name: str, function: Callable[..., Any], *arguments: int) -> None:
        """Call what makes words for people."""
        returned = self._call(name, function, *arguments)
        if not isinstance(returned, str):
            raise self._broken(
                "words",
                f"{name} gives no words",
                type(returned).__name__,
                "str",
                f"return a str from {name}",
            )

    def _take(self, check: str, what: str, taken: Callable[..., Any], *arguments: Any) -> Any:
        """Convert a returned value as `LoopedGame` does."""
        try:
            return taken(*arguments)
        except BrokenContractError as error:
            raise Broken(of_contract(what, str(error), error.remedy, self.actions, check)) from None

    def _call(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except MemoryError:
            raise
        except Exception as error:
            raise Broken(of_exception(f"{name} raises an exception", error, self.actions)) from None

    def _broken(self, check: str, what: str, got: str, expected: str, remedy: str) -> Broken:
        return Broken(Finding(what, f"{got}{played(self.actions)}", expected, remedy, check))


def _shape(returned: Any) -> tuple[int, ...] | None:
    try:
        return np.asarray(returned).shape
    except ValueError:  # rows of different lengths
        return None
