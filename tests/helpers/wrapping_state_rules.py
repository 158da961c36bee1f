"""The count of `wrapping_rules`, halved, in an array of int8 that wraps around at 128."""

from __future__ import annotations

import numpy as np
from wrapping_rules import SPEC, legal, start

__all__ = ["SPEC", "STATE", "legal", "observe", "play", "start"]

STATE = np.dtype([("points", np.int8, (2,)), ("turns", np.int16), ("seat", np.int8)])


def observe(state, observation):
    observation[0] = state["points"][0] // 2


def play(state, action, rewards, rng):
    state["points"] += np.int8(1 + action)
    state["turns"] += 1
    if state["turns"] < 140:
        return False
    rewards[0] = 1
    return True
