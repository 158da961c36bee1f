"""Observations that say whose they are.

Some libraries show all seats the same board, or show each seat what it holds without saying which
seat it is. An agent that plays every seat then cannot know for whom to find a move. `Views` appends
the seat to the first axis of an observation: an entry of a vector, a plane of a board. With two
players it is one, 0 or 1; with more there is one for each seat, of which the observer's is 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Comparison:
    """Observations of the seats of a game, position by position."""

    def __init__(self) -> None:
        self._low: NDArray[Any] | None = None
        self._high: NDArray[Any] | None = None
        self._differ: NDArray[np.bool_] | None = None

    def add(self, seen: NDArray[Any]) -> None:
        """`seen` [P, size]: what each seat observes of one position."""
        unequal = np.any(seen[:, None] != seen[None, :], axis=2)
        if self._low is None or self._high is None or self._differ is None:
            self._low, self._high, self._differ = seen.copy(), seen.copy(), unequal
        else:
            self._low, self._high = np.minimum(self._low, seen), np.maximum(self._high, seen)
            self._differ |= unequal

    def differ(self) -> bool:
        """Return whether each two seats have seen something different at least once."""
        differ = self._differ
        return differ is None or all(differ[a, b] for a, b in combinations(range(len(differ)), 2))

    def name_the_seat(self) -> bool:
        """Return whether for each two seats some entry was always one value for one and always
        another for the other.

        Seats that hold different cards differ, and yet need not know who they are.
        """
        low, high = self._low, self._high
        if low is None or high is None:
            return True
        fixed = low == high
        pairs = combinations(range(len(low)), 2)
        return all(bool(np.any(fixed[a] & fixed[b] & (low[a] != low[b]))) for a, b in pairs)


class Views:
    """An array for each seat's observation: `full[seat]`, of `shape`, of which `own[seat]` is the
    part that the library gives.

    They are made once and written again for each observation. `shape` is the library's, with the
    seat added if `append`.
    """

    def __init__(
        self, shape: Sequence[int], dtype: np.dtype[Any], num_players: int, *, append: bool
    ) -> None:
        rows = shape[0]
        added = 0 if not append else 1 if num_players == 2 else num_players
        self.shape = (rows + added, *shape[1:])
        self.full: list[NDArray[Any]] = [np.zeros(self.shape, dtype) for _ in range(num_players)]
        self.own = [
            view[:rows] for view in self.full
        ]  # lists, which are quicker to look up in than arrays
        for seat, view in enumerate(self.full if append else ()):
            view[rows if added == 1 else rows + seat] = seat if added == 1 else 1
