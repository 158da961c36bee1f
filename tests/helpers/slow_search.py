"""Slow reference of the searches: every line to the given depth, with rules in plain Python."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

Worth = tuple[float, float]
"""Return of a line for a seat, and the plies of the search that were left at its end, with the sign
of the return.
"""


class SlowSearch:
    """Full search in the rules of a module, with a table of positions."""

    def __init__(self, rules: ModuleType) -> None:
        self._rules = rules
        self._known: dict[tuple[object, ...], Worth] = {}

    def best_moves(self, state: Any, plies: int, depth: int) -> list[int]:
        """The best legal moves after so many `plies`."""
        seat = int(state["seat"])
        worth = {
            action: self._worth_of_move(state, action, seat, plies, depth, 0.0)
            for action in moves(self._rules, state)
        }
        return [action for action, value in worth.items() if value == max(worth.values())]

    def _worth_of_move(
        self, state: Any, action: int, seat: int, plies: int, ahead: int, paid: float
    ) -> Worth:
        """Worth of a move for `seat`, which has been paid `paid`; `ahead` plies are searched, this
        one included.

        Of lines with equal returns, a won one is better if it ends sooner, a lost one if later.
        """
        after, rewards = state.copy(), np.zeros(2, np.float32)
        ended = self._rules.play(after, action, rewards, np.zeros(2, np.uint64))
        paid += float(rewards[seat])
        if ended:
            return paid, ahead * np.sign(paid)
        if ahead == 1 or plies + 1 == self._rules.SPEC.max_plies:
            return paid, 0.0
        key = after.tobytes(), seat, plies, ahead, paid
        if key not in self._known:
            worths = [
                self._worth_of_move(after, other, seat, plies + 1, ahead - 1, paid)
                for other in moves(self._rules, after)
            ]
            self._known[key] = max(worths) if after["seat"] == seat else min(worths)
        return self._known[key]


def moves(rules: ModuleType, state: Any) -> list[int]:
    """The legal actions."""
    mask = np.zeros(rules.SPEC.num_actions, np.bool_)
    rules.legal(state, mask)
    return [int(action) for action in np.flatnonzero(mask)]
