"""A game of chance, for `win_or_block`: action 0 wins three times of four, action 1 for sure at odd
levels, action 2 goes up a level.
"""

from __future__ import annotations

import numpy as np

from sparring.games.rng import random_below
from sparring.games.spec import GameSpec

STATE = np.dtype([("seat", np.int8), ("level", np.int8)])
SPEC = GameSpec(
    name="lottery",
    num_players=2,
    num_actions=3,
    observation_shape=(1,),
    observation_dtype="bool",
    max_plies=9,
    chance=True,
)


def start(state, rng):
    state["seat"] = 0


def legal(state, mask):
    mask[:] = True


def observe(state, observation):
    observation[0] = state["seat"] == 1


def play(state, action, rewards, rng):
    seat = state["seat"]
    state["seat"] = 1 - seat
    if action == 2:
        state["level"] += 1
        return False
    if action == 0 and random_below(rng, 4) == 0:
        return False
    if action == 0 or state["level"] % 2 == 1:
        rewards[seat] = 1
        return True
    return False
