"""A count of up to 300 points, shown as one of an array of int8, which wraps around silently."""

from __future__ import annotations

import numpy as np

from sparring.games.spec import GameSpec

SPEC = GameSpec(
    num_players=1,
    num_actions=2,
    observation_shape=(2,),
    observation_dtype="int8",
    max_plies=400,
)
STATE = np.dtype([("points", np.int16, (2,)), ("seat", np.int8)])


def start(state, rng):
    pass


def legal(state, mask):
    mask[:] = True


def observe(state, observation):
    observation[:] = state["points"]


def play(state, action, rewards, rng):
    state["points"][0] += 1 + action
    state["points"][1] = action
    if state["points"][0] < 300:
        return False
    rewards[0] = 1
    return True
