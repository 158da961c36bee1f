"""Hexapawn (Gardner, 1962): three pawns each on a board of 3 x 3, as a class whose moves lead from
a cell to another.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.games.spec import Board, GameSpec

SIDE = 3


class Hexapawn:
    spec = GameSpec(
        num_players=2,
        num_actions=2 * SIDE * SIDE * SIDE,  # seat, cell, and column of arrival
        observation_shape=(2, SIDE, SIDE),
        observation_dtype="int8",
        max_plies=20,
        zero_sum=True,
        returns=(-1.0, 1.0),
        board=Board(),
    )

    def reset(self, rng: np.random.Generator) -> None:
        self.cells = np.array([2] * SIDE + [0] * SIDE + [1] * SIDE).reshape(SIDE, SIDE)
        self.seat = 0

    def mask(self) -> NDArray[np.bool_]:
        mask = np.zeros((2, SIDE, SIDE, SIDE), np.bool_)
        for row, column in np.argwhere(self.cells == 1 + self.seat):
            ahead = self.cells[row - 1 + 2 * self.seat]
            for to in range(SIDE):
                taken = 0 if to == column else 2 - self.seat if abs(to - column) == 1 else -1
                mask[self.seat, row, column, to] = ahead[to] == taken
        return mask.reshape(-1)

    def observe(self, seat: int) -> NDArray[np.int8]:
        return np.stack([self.cells == 1 + seat, self.cells == 2 - seat]).astype(np.int8)

    def step(self, action: int) -> tuple[Any, bool]:
        seat, row, column, to = np.unravel_index(action, (2, SIDE, SIDE, SIDE))
        reached = row - 1 + 2 * seat
        self.cells[row, column], self.cells[reached, to] = 0, 1 + seat
        self.seat = 1 - int(seat)
        if reached in (0, SIDE - 1) or not self.mask().any():
            return ([1, -1] if seat == 0 else [-1, 1]), True
        return None, False

    def action_text(self, action: int) -> str:
        seat, row, column, to = np.unravel_index(action, (2, SIDE, SIDE, SIDE))
        return f"{'abc'[column]}{SIDE - row}{'abc'[to]}{SIDE - row + 1 - 2 * seat}"
