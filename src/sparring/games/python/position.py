"""The position of one Match in progress, as a game of one slot that cannot be played."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.errors import ConfigurationError, GameError
from sparring.games.afterstates import Afterstates
from sparring.games.faults import BrokenContractError
from sparring.games.python.afterstates import AfterMoves, declared
from sparring.games.python.coerce import as_mask, as_observation, as_seat
from sparring.games.spec import Match


class MatchPosition:
    """Seat, observation and mask of a `match` in progress, wherever it is played, and its positions
    after moves, with the names and shapes of `BatchedGame`; `name` is that of its game.

    Raises `ConfigurationError` for a match that has ended, and `GameError` for values that the
    contract does not allow.
    """

    num_slots = 1

    def __init__(self, match: Match, name: str) -> None:
        self.spec = spec = declared(match.spec, name, match)
        self._match = match
        try:
            seat = as_seat(match.seat, spec.num_players)
            self.seat = np.array([seat])
            self.mask: NDArray[np.bool_] = np.array([as_mask(match.mask(), (spec.num_actions,))])
            if not self.mask.any():
                raise ConfigurationError(
                    f"match of {name}", got="no legal action", expected="a match that goes on"
                )
            dtype, shape = np.dtype(spec.observation_dtype), spec.observation_shape
            self.observation: NDArray[Any] = np.array(
                [as_observation(match.observe(seat), dtype, shape)]
            )
        except BrokenContractError as error:
            raise _breach(name, error) from None

    def afterstates(self, slots: NDArray[np.int64]) -> Afterstates:
        """See `AfterstateGame`; `slots` are [0], or empty where no values are needed."""
        finder = AfterMoves(self.spec, self.mask[slots])
        try:
            for j, action in np.argwhere(self.mask[slots]).tolist():
                finder.find(j, self._match, int(self.seat[0]), action)
        except BrokenContractError as error:
            raise _breach(self.spec.name, error) from None
        return finder.found()


def _breach(name: str, error: BrokenContractError) -> GameError:
    return GameError(f"match of {name} breaks the contract of games: {error}; {error.remedy}")
