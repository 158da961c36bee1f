"""Moves of a Match tried on copies of it: which win, and with which the next seat would win; and what `match_search.py` tries."""

from __future__ import annotations

import copy
from collections.abc import Sequence
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
        self.actions: Sequence[int] = ()
        self.during = ""

    def winning(self, legal: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """[A] those of the `legal` moves [A] that win at once."""
        return self._wins(self._match, self._seat, legal, ())

    def blocking(self, legal: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """[A] those of the `legal` moves [A] that the next mover, another seat, would win with if some other move were played now."""
        threats = np.zeros_like(legal)
        for action in np.flatnonzero(legal).tolist():
            trial, _, ended = self.after(self._match, (action,))
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
            _, rewards, ended = self.after(match, (*before, action))
            wins[action] = ended and rewards is not None and rewards[seat] > 0
        return wins

    def after(self, match: Match, actions: tuple[int, ...]) -> tuple[Match, Any, bool]:
        """(match, rewards, ended) of a copy in which the last of `actions` was played; the others brought `match` where it is."""
        trial = self.copied(match, actions)
        return trial, *self.play(trial, actions)

    def copied(self, match: Match, actions: tuple[int, ...]) -> Match:
        """A copy of what the match is after `actions`."""
        self.actions, self.during = actions, "copy"
        return _copied(match)

    def play(self, trial: Match, actions: Sequence[int]) -> tuple[Any, bool]:
        """Play the last of `actions` in a copy; (rewards, ended)."""
        self.actions, self.during = actions, "step"
        rewards, ended = as_outcome(trial.step(actions[-1]))
        return None if rewards is None else as_rewards(rewards, self._num_players), as_flag(ended)

    def to_move(self, trial: Match, num_actions: int) -> tuple[int, list[int]]:
        """Who decides in a copy that goes on, and the legal actions, of which there must be one."""
        seat = as_seat(trial.seat, self._num_players)
        self.during = "mask"
        legal: list[int] = np.flatnonzero(as_mask(trial.mask(), (num_actions,))).tolist()
        if not legal:
            raise no_legal_action()
        return seat, legal


def no_legal_action() -> BrokenContractError:
    """What is wrong with a match that goes on, and offers nothing to do."""
    return BrokenContractError("no legal action", "at least one while a match goes on", "end the match, or offer one that passes")


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
