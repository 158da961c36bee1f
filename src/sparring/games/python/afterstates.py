"""Positions after moves of Match objects: as their method `after` shows them, or on copies."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from sparring.games.afterstates import Afterstates, empty_afterstates, num_appended
from sparring.games.faults import BrokenContractError
from sparring.games.python.coerce import as_observation, as_seat
from sparring.games.python.search import Trials
from sparring.games.spec import GameSpec, Match, with_afterstates


def declared(spec: GameSpec, name: str, match: Match) -> GameSpec:
    """Return the match's spec with its name and `afterstates`.

    A match that cuts itself (`truncated`) cannot be played on, so moves from there cannot be tried
    on copies.
    """
    shows_own = callable(getattr(match, "after", None))
    offered = with_afterstates(spec, draws_apart=is_apart(match), shows_own=shows_own)
    if hasattr(match, "truncated") and not shows_own:
        offered = spec
    return dataclasses.replace(offered, name=name)


class MatchApart(Match, Protocol):
    """A Match of an adapter whose moves can be played without the chance that follows them."""

    def copied_before_chance(self, action: int) -> tuple[Match, Sequence[float] | None, bool]:
        """(Copy after a legal action and before chance, with the `seat` that most probably comes
        next; rewards [P] that the move pays, or None for all 0; True if the match ends there).
        """


def is_apart(match: Match) -> TypeGuard[MatchApart]:
    """Return whether the match is a `MatchApart`."""
    return callable(getattr(match, "copied_before_chance", None))


class AfterMoves:
    """Afterstates of some matches, found move by move; `during` is the method that ran last."""

    during: str

    def __init__(self, spec: GameSpec, mask: NDArray[np.bool_]) -> None:
        self._spec = spec
        self._dtype, self._shape = np.dtype(spec.observation_dtype), spec.observation_shape
        self._after = empty_afterstates(spec, mask)
        self._rows = 0

    def find(self, j: int, match: Match, mover: int, action: int) -> None:
        """Add the position after a legal `action` of the `mover` in the j-th match."""
        self._after.seat[j, action] = mover
        if self._spec.afterstates == "own":
            self.during = "after"
            self._add(j, action, match.after(action))  # type: ignore[attr-defined]
            return
        trial, rewards, ended = self._moved(match, mover, action)
        if rewards is not None:
            self._after.rewards[j, action] = rewards
        if not ended:
            self._show(j, action, trial, mover)

    def _moved(self, match: Match, mover: int, action: int) -> tuple[Match, Any, bool]:
        """(Copy after the action, rewards, True if the match ends)."""
        if is_apart(match):
            self.during = "step"
            return match.copied_before_chance(action)
        trials = Trials(match, mover, self._spec.num_players)
        try:
            return trials.after(match, (action,))
        finally:
            self.during = trials.during

    def found(self) -> Afterstates:
        """All that was found."""
        return self._after._replace(observation=self._after.observation[: self._rows])

    def _show(self, j: int, action: int, trial: Match, mover: int) -> None:
        comes_next = as_seat(trial.seat, self._spec.num_players)
        seat = comes_next if self._spec.afterstates == "next" else mover
        self._after.seat[j, action] = seat
        self.during = "observe"
        self._add(j, action, trial.observe(seat))
        if appended := num_appended(self._spec):
            order = self._after.observation[self._rows - 1, self._shape[0] :]
            order[(comes_next - mover) % appended] = 1

    def _add(self, j: int, action: int, shown: Any) -> None:
        seen = as_observation(shown, self._dtype, self._shape)
        if self._dtype.kind == "f" and not np.isfinite(seen).all():
            remedy = "observe finite numbers only"
            raise BrokenContractError("NaN or infinity", "finite numbers", remedy)
        self._after.observation[self._rows, : self._shape[0]] = seen
        self._after.row[j, action] = self._rows
        self._rows += 1
