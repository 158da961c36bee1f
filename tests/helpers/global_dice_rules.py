"""The race of `race_rules` with a start drawn from the module `random`."""

from __future__ import annotations

import random

from race_rules import SEATS, SPEC, STATE, legal, observe, play

__all__ = ["SPEC", "STATE", "legal", "observe", "play", "start"]


def start(state, rng):
    state["seat"] = random.randrange(SEATS)
