"""Games that never return from a step: they hang in C, with the lock of Python held."""

from __future__ import annotations

import ctypes
import os
from typing import Any

import numpy as np

from sparring.games import GameSpec


class Hanging:
    """Every match hangs at its third ply, and leaves a file `hangs-<process>` that says so."""

    spec = GameSpec(
        num_players=2, num_actions=2, observation_shape=(1,), observation_dtype="int8", max_plies=9
    )

    def reset(self, rng: np.random.Generator) -> None:
        self.plies, self.seat = 0, 0

    def mask(self) -> list[bool]:
        return [True, True]

    def observe(self, seat: int) -> Any:
        return np.zeros(1, np.int8)

    def step(self, action: int) -> tuple[None, bool]:
        self.plies += 1
        self.seat = 1 - self.seat
        if self.plies == 3:
            self.third_ply()
        return None, self.plies == 6

    def third_ply(self) -> None:
        open(f"hangs-{os.getpid()}", "w").close()
        hang()


class HangsOnce(Hanging):
    """The first process that finds a file `hang` renames it to `hangs`, and hangs."""

    def third_ply(self) -> None:
        try:
            os.rename("hang", "hangs")
        except FileNotFoundError:  # none yet, or another process was faster
            return
        hang()


def hang() -> None:
    ctypes.PyDLL(None).sleep(100_000)
