"""The observing seat, appended to observations that do not contain it.

Some libraries show all seats the same board, or show each seat its own cards without its number. An
agent that plays every seat then cannot know for which seat to move. `Views` appends the seat to the
first axis of an observation: an entry of a vector, a plane of a board. With two players it is one
entry, 0 or 1; with more there is one for each seat, of which the observer's is 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Comparison:
    """Statistics of all seats' observations over the positions of a game."""

    def __init__(self) -> None:
        self._low: NDArray[Any] | None = None
        self._high: NDArray[Any] | None = None
        self._differ: NDArray[np.bool_] | None = None

    def add(self, seen: NDArray[Any]) -> None:
        """Add one position; `seen` [P, size] holds the observation of each seat."""
        unequal = np.any(seen[:, None] != seen[None, :], axis=2)
        if self._low is None or self._high is None or self._differ is None:
            self._low, self._high, self._differ = seen.copy(), seen.copy(), unequal
        else:
            self._low, self._high = np.minimum(self._low, seen), np.maximum(self._high, seen)
            self._differ |= unequal

    def differ(self) -> bool:
        """Return whether every two seats have observed something different at least once."""
        differ = self._differ
        return differ is None or all(differ[a, b] for a, b in combinations(range(len(differ)), 2))

    def name_the_seat(self) -> bool:
        """Return whether for every two seats some entry has always had one value for the first and
        another value for the second.

        Observations that only differ, such as hands of cards, do not name the seat.
        """
        low, high = self._low, self._high
        if low is None or high is None:
            return True
        fixed = low == high
        pairs = combinations(range(len(low)), 2)
        return all(bool(np.any(fixed[a] & fixed[b] & (low[a] != low[b]))) for a, b in pairs)


class Views:
    """One array for each seat's observation: `full[seat]`, of `shape`; `own[seat]` is the part that
    the library fills.

    The arrays are allocated once and overwritten by each observation. `shape` is the library's,
    with the seat appended if `append`, and after that one more entry or plane if `marked`, which
    the caller fills.
    """

    def __init__(
        self,
        shape: Sequence[int],
        dtype: np.dtype[Any],
        num_players: int,
        *,
        append: bool,
        marked: bool = False,
    ) -> None:
        rows = shape[0]
        added = 0 if not append else 1 if num_players == 2 else num_players
        self.shape = (rows + added + marked, *shape[1:])
        self.full: list[NDArray[Any]] = [np.zeros(self.shape, dtype) for _ in range(num_players)]
        # lists: indexing them is faster than indexing an array
        self.own = [view[:rows] for view in self.full]
        for seat, view in enumerate(self.full if append else ()):
            view[rows if added == 1 else rows + seat] = seat if added == 1 else 1
