"""Games that raise what would end a process, errors without text, and 0-dimensional values."""

from __future__ import annotations

import os
import signal

import numpy as np
import torch

from sparring.games import GameSpec


class UnprintableError(Exception):
    def __str__(self):
        raise TypeError("no text")


RAISED = {
    "SystemExit": SystemExit,
    "KeyboardInterrupt": KeyboardInterrupt,
    "GeneratorExit": GeneratorExit,
    "UnprintableError": UnprintableError,
}


class Stubborn:
    """Five plies; `where` (a method, or "init") raises `what` in the third of them."""

    spec = GameSpec(
        num_players=2, num_actions=2, observation_shape=(1,), observation_dtype="int8", max_plies=9
    )

    def __init__(self, where="", what="SystemExit"):
        self.where, self.what = where, what
        self.plies = self.seat = 0
        if where == "init":
            raise RAISED[what]

    def fail(self, where):
        if where == self.where and self.plies >= 2:
            raise RAISED[self.what]

    def reset(self, rng):
        self.plies = self.seat = 0

    def mask(self):
        self.fail("mask")
        return [True, True]

    def observe(self, seat):
        self.fail("observe")
        return [self.plies]

    def step(self, action):
        self.plies += 1
        self.seat = 1 - self.seat
        self.fail("step")
        return None, self.plies == 5

    def __str__(self):
        self.fail("__str__")
        return "stubborn"


class Interrupted(Stubborn):
    """Ctrl-C is pressed in the third ply."""

    def fail(self, where):
        if where == "step" and self.plies == 3:
            os.kill(os.getpid(), signal.SIGINT)


class ZeroDimensional(Stubborn):
    """`where` gives a 0-dimensional tensor or array."""

    def zero(self, where, value):
        if where != self.where:
            return value
        return torch.tensor(1.0) if self.what == "tensor" else np.array(1.0)

    def mask(self):
        return self.zero("mask", [True, True])

    def observe(self, seat):
        return self.zero("observe", [self.plies])

    def step(self, action):
        _, ended = super().step(action)
        outcome = self.zero("rewards", None), self.zero("ended", ended)
        self.seat = self.zero("seat", self.seat)
        return self.zero("step", outcome)
