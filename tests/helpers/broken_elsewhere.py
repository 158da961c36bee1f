"""Games in plain Python that are correct in one process and differ in the next."""

from __future__ import annotations

import random

import numpy as np
from broken_matches import Strip, declares

ANIMALS = list({"ant", "bee", "cat", "dog", "elk", "fox"})
FIRST = random.randrange(10**6)


class OrderOfASet(Strip):
    spec = declares(symmetries=())

    def observe(self, seat):
        return np.roll(super().observe(seat), ANIMALS.index("ant"), axis=1)


class DrawnAtImport(Strip):
    spec = declares(observation_shape=(13,), observation_dtype="int64", symmetries=())

    def observe(self, seat):
        return np.append(super().observe(seat), FIRST)


class MakingFails(Strip):
    def __init__(self):
        self.size = len(None)


class NoSpec:
    pass


class NumberForShape(Strip):
    spec = declares(observation_shape=(12), symmetries=())


class Talkative(Strip):
    def step(self, action):
        print("a game may print")
        return super().step(action)
