"""A made-up game: the next seat, the rewards and the end follow from a hash of the moves so far.

A seat may move several times in a row, rewards come in the middle and differ in size, and some
matches are cut.
"""

from __future__ import annotations

import numpy as np

from sparring.games.rng import mix
from sparring.games.spec import GameSpec

STATE = np.dtype([("seat", np.int8), ("number", np.uint64), ("alarm", np.int8)], align=True)
SPEC = GameSpec(
    num_players=2,
    num_actions=3,
    observation_shape=(1,),
    observation_dtype="int8",
    max_plies=7,
    zero_sum=True,
)


def start(state, rng):
    state["number"] = rng[0]
    state["seat"] = rng[0] & np.uint64(1)


def legal(state, mask):
    bits = state["number"] >> np.uint64(8)
    for action in range(3):
        mask[action] = action == 0 or (bits >> np.uint64(action)) & np.uint64(1) == np.uint64(1)


def observe(state, observation):
    observation[0] = state["seat"]


def play(state, action, rewards, rng):
    number = mix(state["number"] + np.uint64(action + 1))
    state["number"] = number
    state["seat"] = (number >> np.uint64(20)) & np.uint64(1)
    pays = np.int64((number >> np.uint64(30)) & np.uint64(15))
    if pays < 5:
        rewards[0] += 0.5 * (pays - 2)
        rewards[1] -= 0.5 * (pays - 2)
    return (number >> np.uint64(40)) & np.uint64(7) == np.uint64(0)
