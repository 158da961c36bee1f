"""The actions of the matches of a batch: int32 [n, w], a row for each slot; what is beyond a match's plies is left from earlier ones.

The width w follows the longest match there has been, and not what the game declares: most matches end long before `max_plies`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FIRST_WIDTH = 64


def allocate(num_slots: int, max_plies: int) -> NDArray[np.int32]:
    """A history in which nothing was played yet."""
    return np.zeros((num_slots, min(_FIRST_WIDTH, max_plies)), np.int32)


def with_room(history: NDArray[np.int32], longest: int, max_plies: int) -> NDArray[np.int32]:
    """`history` itself if it has room after `longest` plies, or for all `max_plies`; else a copy at least twice as wide."""
    n, width = history.shape
    if longest < width or width >= max_plies:
        return history
    wider = np.zeros((n, min(max(2 * width, longest + 1), max_plies)), np.int32)
    wider[:, :width] = history
    return wider


def played(history: NDArray[np.int32], plies: NDArray[np.int64]) -> NDArray[np.int32]:
    """[n, longest], a copy: the actions of the current matches, each of so many `plies` [n], and 0 after them."""
    width = int(plies.max())
    return np.where(np.arange(width) < plies[:, None], history[:, :width], np.int32(0))
