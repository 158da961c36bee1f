"""A counter of up to 300 points, shown in int8 as points and in a negative half."""

from __future__ import annotations

import numpy as np

from sparring.games import GameSpec

SPEC = GameSpec(
    num_players=1, num_actions=2, observation_shape=(2,), observation_dtype="int8", max_plies=400
)
STATE = np.dtype([("points", np.int16), ("seat", np.int8)])


def start(state, rng):
    pass


def legal(state, mask):
    mask[:] = True


def observe(state, observation):
    observation[0] = state["points"]
    observation[1] = -state["points"] // 2


def play(state, action, rewards, rng):
    state["points"] += 1 + action
    return state["points"] >= 300
