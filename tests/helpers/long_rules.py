"""Matches of 200 plies in a game that declares a million; the actions are 0 and 1, the observation
is the number of plies.
"""

from __future__ import annotations

import numpy as np

from sparring.games.spec import GameSpec

STATE = np.dtype([("seat", np.int8), ("count", np.int64)])
SPEC = GameSpec(
    num_players=2,
    num_actions=2,
    observation_shape=(1,),
    observation_dtype="int16",
    max_plies=1_000_000,
)


def start(state, rng):
    pass


def legal(state, mask):
    mask[:] = True


def observe(state, observation):
    observation[0] = state["count"]


def play(state, action, rewards, rng):
    state["seat"] = 1 - state["seat"]
    state["count"] += 1
    rewards[0] = action
    return state["count"] == 200
