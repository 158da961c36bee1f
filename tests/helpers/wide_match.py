"""A game whose transitions take 200 KB each, so that the replay is what takes memory."""

from __future__ import annotations

import numpy as np

from sparring.games import GameSpec

WIDTH = 100_000


class Wide:
    """Five plies of one player; each pays its action."""

    spec = GameSpec(
        num_players=1, num_actions=2, observation_shape=(WIDTH,), observation_dtype="int8",
        max_plies=10,
    )  # fmt: skip

    def reset(self, rng):
        self.ply, self.seat = 0, 0

    def mask(self):
        return [True, True]

    def observe(self, seat):
        shown = np.zeros(WIDTH, np.int8)
        shown[self.ply] = 1
        return shown

    def step(self, action):
        self.ply += 1
        return [float(action)], self.ply >= 5
