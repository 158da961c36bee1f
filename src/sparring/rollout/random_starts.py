"""Random starts: some matches begin with random moves, so that play from positions is learned that
the agent itself does not reach.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sparring.games import BatchedGame
from sparring.games.rng import STARTS, choose, uniforms

_SHARE, _LENGTH = range(2)  # of the draws of a match


class RandomStarts:
    """Random moves at the start of a `share` of the matches: between 1 and `plies`, drawn from the
    match's key. Nothing is learned from them.
    """

    def __init__(self, game: BatchedGame, *, share: float, plies: int) -> None:
        self._game, self._share, self._plies = game, share, plies
        self._length = np.zeros(game.num_slots, np.int64)
        self._learns = np.zeros((game.num_slots, game.spec.num_players), np.bool_)

    def begin(self, slots: NDArray[np.int64], keys: NDArray[np.uint64]) -> None:
        """Draw the starts of the matches in `slots` [m], which have these `keys` [m]."""
        if self._share > 0.0:
            draws = uniforms(keys, np.zeros(len(keys), np.int64), STARTS, 2)
            lengths = 1 + np.int64(draws[:, _LENGTH] * self._plies)
            self._length[slots] = np.where(draws[:, _SHARE] < self._share, lengths, 0)

    def past(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of `slots` [m] that are not at their start any more."""
        if self._share == 0.0:
            return slots
        return slots[self._game.plies[slots] >= self._length[slots]]

    def choose(
        self, slots: NDArray[np.int64], actions: NDArray[np.int64], draws: NDArray[np.float64]
    ) -> None:
        """Overwrite `actions` [n] in those of `slots` [m] that are still at their start; `draws`
        [n] in [0, 1) pick among the legal ones.
        """
        if self._share == 0.0:
            return
        starting = slots[self._game.plies[slots] < self._length[slots]]
        chosen = np.empty(len(starting), np.int64)
        choose(self._game.mask[starting], draws[starting], chosen)
        actions[starting] = chosen

    def learns(self, learns: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """`learns` [n, P] without the slots that are still at their start; a view."""
        if self._share == 0.0:
            return learns
        np.logical_and(learns, (self._game.plies >= self._length)[:, None], out=self._learns)
        return self._learns
