"""Moves of a Match tried on copies of it: which win, and with which the next seat would win."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.games.blame import BrokenContractError
from sparring.games.given import as_flag, as_mask, as_outcome, as_rewards, as_seat
from sparring.games.match import Match


class Trials:
    """Trials from one position of a match without chance; `actions` and `during` tell of the last one, should it go wrong."""

    def __init__(self, match: Match, seat: int, num_players: int) -> None:
        self._match, self._seat, self._num_players = match, seat, num_players
        self.actions: tuple[int, ...] = ()
        self.during = ""

    def winning(self, legal: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """[A] those of the `legal` moves [A] that win at once."""
        return self._wins(self._match, self._seat, legal, ())

    def blocking(self, legal: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """[A] those of the `legal` moves [A] that the next mover, another seat, would win with if some other move were played now."""
        threats = np.zeros_like(legal)
        for action in np.flatnonzero(legal).tolist():
            trial, _, ended = self._after(self._match, (action,))
            if ended or (seat := as_seat(trial.seat, self._num_players)) == self._seat:
                continue
            self.during = "mask"
            replies = as_mask(trial.mask(), legal.shape) & legal & ~threats
            replies[action] = False
            threats |= self._wins(trial, seat, replies, (action,))
        return threats

    def _wins(self, match: Match, seat: int, candidates: NDArray[np.bool_], before: tuple[int, ...]) -> NDArray[np.bool_]:
        wins = np.zeros_like(candidates)
        for action in np.flatnonzero(candidates).tolist():
            _, rewards, ended = self._after(match, (*before, action))
            wins[action] = ended and rewards is not None and rewards[seat] > 0
        return wins

    def _after(self, match: Match, actions: tuple[int, ...]) -> tuple[Match, Any, bool]:
        """(match, rewards, ended) of a copy in which the last of `actions` was played."""
        self.actions, self.during = actions, "copy"
        trial = _copied(match)
        self.during = "step"
        rewards, ended = as_outcome(trial.step(actions[-1]))
        return trial, None if rewards is None else as_rewards(rewards, self._num_players), as_flag(ended)


def _copied(match: Match) -> Match:
    if callable(own := getattr(match, "copy", None)):
        copied: Match = own()
        return copied
    return deep_copy(match)


def deep_copy(match: Match) -> Match:
    """A copy of a match without a `copy` of its own; `BrokenContractError` where that cannot be."""
    try:
        return copy.deepcopy(match, {id(match.spec): match.spec})  # as large as its symmetries, and never changed
    except MemoryError:  # no mistake of the class
        raise
    except Exception as error:
        got = f"{type(error).__name__}: {error}"
        raise BrokenContractError(got, "a match that copy.deepcopy can copy", "give the class a method copy()") from error
