"""A fixed player of backgammon that knows pips and single checkers only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class PipCount:
    """The move after which the other seat's pips minus its own are highest; `blot` is what each
    single checker that it leaves costs.
    """

    def __init__(self, blot: float = 0.1) -> None:
        self._blot = blot

    def act_batch(self, observations: NDArray[Any], masks: NDArray[np.bool_]) -> NDArray[Any]:
        rows = np.arange(len(masks))
        units = observations[:, :192].reshape(-1, 2, 24, 4).astype(np.int64) @ [1, 2, 1, 1]
        own, other = (np.pad(units[:, seat], ((0, 0), (1, 1))) for seat in (0, 1))
        own[:, 25] = observations[:, 192]
        dice = observations[:, 204:210] > 0
        dies = 6 - dice[:, ::-1].argmax(axis=1), 1 + dice.argmax(axis=1)  # higher, lower
        worth = np.full(masks.shape, -np.inf)
        for action in range(50):
            source = action % 25 + 1
            target = np.maximum(source - dies[action // 25], 0)
            at_target, on_board = own[rows, target], target > 0
            pips = source - target + target * (on_board & (other[rows, target] == 1))
            left = 1 * (own[:, source] == 2) - (own[:, source] == 1)
            blots = left * (source < 25) + on_board * (1 * (at_target == 0) - (at_target == 1))
            worth[:, action] = pips - self._blot * blots
        worth[~masks] = -np.inf
        return worth.argmax(axis=1)
