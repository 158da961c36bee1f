"""Two games as users write them: tic-tac-toe without chance, and a race with dice, extra turns and
three seats.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sparring.games.spec import Board, GameSpec

LINES = [(0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6)]


class Toe:
    """Tic-tac-toe; cells are numbered by rows from the top."""

    spec = GameSpec(
        num_players=2,
        num_actions=9,
        observation_shape=(2, 3, 3),
        observation_dtype="int8",
        max_plies=9,
        zero_sum=True,
    )

    def reset(self, rng):
        self.seat = 0
        self.board = np.full(9, -1)

    def mask(self):
        return self.board == -1

    def observe(self, seat):
        return (
            np.stack([self.board == seat, self.board == 1 - seat]).reshape(2, 3, 3).astype(np.int8)
        )

    def step(self, action):
        seat = self.seat
        self.board[action] = seat
        self.seat = 1 - seat
        if any((self.board[list(line)] == seat).all() for line in LINES):
            return ((1, -1), (-1, 1))[seat], True
        return None, bool((self.board >= 0).all())


class DrawnToe(Toe):
    """The same with its board declared."""

    spec = replace(Toe.spec, board=Board())


class Dice:
    """Roll a die (action 0), or walk one field (action 1, from odd fields only). A 6 gives another
    turn; the first past field 9 wins.
    """

    spec = GameSpec(
        num_players=3,
        num_actions=2,
        observation_shape=(3,),
        observation_dtype="float32",
        max_plies=8,
        chance=True,
    )

    def reset(self, rng):
        self.rng = rng
        self.fields = [0, 0, 0]
        self.seat = int(rng.integers(3))

    def mask(self):
        return [True, self.fields[self.seat] % 2 == 1]

    def observe(self, seat):
        return [self.fields[(seat + i) % 3] / 9 for i in range(3)]

    def step(self, action):
        seat, distance = self.seat, 1 if action == 1 else int(self.rng.integers(1, 7))
        self.fields[seat] += distance
        if self.fields[seat] > 9:
            return [1 if other == seat else -0.5 for other in range(3)], True
        if distance != 6:
            self.seat = (seat + 1) % 3
        return None, False

    def __str__(self):
        return f"fields {self.fields}, seat {self.seat} to move\n"

    def action_text(self, action):
        return ("roll", "walk")[action]
