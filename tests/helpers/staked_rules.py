"""Rules whose position after a move shows 200, which int8 cannot represent; later ones do not."""

from __future__ import annotations

import numpy as np

from sparring.games.rng import random_below
from sparring.games.spec import GameSpec

STATE = np.dtype([("stake", np.int16), ("seat", np.int8)])
SPEC = GameSpec(
    num_players=1,
    num_actions=1,
    observation_shape=(1,),
    observation_dtype="int8",
    max_plies=5,
    chance=True,
)


def start(state, rng):
    pass


def legal(state, mask):
    mask[0] = True


def observe(state, observation):
    observation[0] = state["stake"]


def move(state, action, rewards, rng):
    state["stake"] = 200
    return False


def play(state, action, rewards, rng):
    move(state, action, rewards, rng)
    state["stake"] = random_below(rng, 6)
    return False
