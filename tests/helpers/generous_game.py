"""Games whose payments are unusual: beyond what is declared, or never near 0."""

from __future__ import annotations

import numpy as np

from sparring.games import GameSpec


class Generous:
    """Pays three times what it declares."""

    spec = GameSpec(
        num_players=2,
        num_actions=2,
        observation_shape=(1,),
        observation_dtype="int8",
        max_plies=4,
        zero_sum=True,
        returns=(-1.0, 1.0),
    )

    def reset(self, rng):
        self.plies, self.seat = 0, 0

    def mask(self):
        return [True, True]

    def observe(self, seat):
        return np.array([self.plies], np.int8)

    def step(self, action):
        self.plies += 1
        self.seat = 1 - self.seat
        return ((3.0, -3.0), True) if self.plies == 3 else (None, False)


class AlwaysMuch(Generous):
    """Pays both seats 10 at the end, as declared: discounted returns are less."""

    spec = GameSpec(
        num_players=2,
        num_actions=2,
        observation_shape=(1,),
        observation_dtype="int8",
        max_plies=20,
        returns=(10.0, 10.0),
    )

    def step(self, action):
        self.plies += 1
        self.seat = 1 - self.seat
        return ((10.0, 10.0), True) if self.plies == 12 else (None, False)
