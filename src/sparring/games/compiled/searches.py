"""Searches of compiled rules: a copy of `search.py` for them, and its working memory."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.games.arrays import Slots, allocate_slots
from sparring.games.compiled.cache import load_driver
from sparring.games.compiled.jit import interpreted as in_plain_python
from sparring.games.lookahead import MAX_PLAYOUT


class CompiledSearch:
    """Searches in rows of the STATE of `rules`; `interpreted` runs them in plain Python.

    A search returns None if the rules broke their contract. Then, and after an exception of theirs,
    `line` has the moves that led there.
    """

    def __init__(self, rules: ModuleType, *, interpreted: bool) -> None:
        driver = load_driver(rules, "search.py")
        link: Callable[[Any], Any] = in_plain_python if interpreted else lambda function: function
        self._best_moves, self._most_visited = link(driver.best_moves), link(driver.most_visited)
        self._broken: int = driver.BROKEN
        self._rules = rules
        self._stack = allocate_slots(rules.SPEC, rules.STATE, 1)
        self._rows = _bytes_of(self._stack)
        self._line = np.full(1, -1, np.int64)

    @property
    def line(self) -> list[int]:
        """The moves of the line at which the last search stopped."""
        actions: list[int] = self._line[self._line >= 0].tolist()
        return actions

    def best_moves(self, slots: Slots, slot: int, depth: int) -> NDArray[np.bool_] | None:
        """See `SearchableGame`; [A]."""
        self._allocate(depth + 1, depth + 1)
        best = np.zeros(slots.mask.shape[1], np.bool_)
        return (
            None
            if self._best_moves(slots, slot, self._stack, self._rows, depth, best, self._line)
            == self._broken
            else best
        )

    def most_visited(self, slots: Slots, slot: int, playouts: int, key: np.uint64) -> int | None:
        """See `SearchableGame`; a move must be legal, and the ply limit not be reached."""
        self._allocate(1, min(MAX_PLAYOUT, self._rules.SPEC.max_plies))
        chosen = int(self._most_visited(slots, slot, self._stack, playouts, key, self._line))
        return None if chosen == self._broken else chosen

    def _allocate(self, positions: int, plies: int) -> None:
        if len(self._stack.states) < positions:
            self._stack = allocate_slots(self._rules.SPEC, self._rules.STATE, positions)
            self._rows = _bytes_of(self._stack)
        if len(self._line) < plies:
            self._line = np.empty(plies, np.int64)
        self._line[:] = -1


def _bytes_of(stack: Slots) -> NDArray[np.uint8]:
    """Return the memory of the states as [n, bytes of a row]."""
    return stack.states.view(np.uint8).reshape(len(stack.states), -1)
