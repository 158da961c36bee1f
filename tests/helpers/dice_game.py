"""A user's game for runs that find it by name in every process: Pig, the first to bank 20 wins."""

from __future__ import annotations

import numpy as np

from sparring.games import GameSpec


class Pig:
    """Action 0 rolls on, 1 holds."""

    spec = GameSpec(
        num_players=2, num_actions=2, observation_shape=(3,), observation_dtype="int8",
        max_plies=60, chance=True, zero_sum=True, returns=(-1.0, 1.0),
    )  # fmt: skip

    def reset(self, rng):
        self.rng, self.banked, self.turn, self.seat = rng, [0, 0], 0, 0

    def mask(self):
        return [True, self.turn > 0]

    def observe(self, seat):
        return np.array([self.banked[seat], self.banked[1 - seat], self.turn], np.int8)

    def step(self, action):
        if action == 0 and (face := int(self.rng.integers(1, 7))) > 1:
            self.turn = min(100, self.turn + face)
            return None, False
        if action == 1:
            self.banked[self.seat] += self.turn
            if self.banked[self.seat] >= 20:
                return ([1, -1] if self.seat == 0 else [-1, 1]), True
        self.turn, self.seat = 0, 1 - self.seat
        return None, False
