"""A race of three seats with all that the built-in games lack: chance, extra turns, more than two
seats, matches that are cut.

Action 0 walks one field, from odd fields only; action 1 rolls 0 to 3, and a 2 gives another turn.
The first past field 5 wins.
"""

from __future__ import annotations

import numpy as np

from sparring.games.rng import random_below
from sparring.games.spec import GameSpec

SEATS = 3
GOAL = 6
STATE = np.dtype([("field", np.int8, (SEATS,)), ("seat", np.int8)])
SPEC = GameSpec(
    name="race",
    num_players=SEATS,
    num_actions=2,
    observation_shape=(SEATS,),
    observation_dtype="float32",
    max_plies=10,
    chance=True,
    zero_sum=True,
    returns=(-0.5, 1.0),
)


def start(state, rng):
    state["seat"] = random_below(rng, SEATS)


def legal(state, mask):
    mask[0] = state["field"][state["seat"]] % 2 == 1
    mask[1] = True


def observe(state, observation):
    for i in range(SEATS):
        observation[i] = state["field"][(state["seat"] + i) % SEATS] / GOAL


def play(state, action, rewards, rng):
    seat = state["seat"]
    distance = random_below(rng, 4) if action == 1 else 1
    state["field"][seat] += distance
    if state["field"][seat] >= GOAL:
        rewards[:] = -0.5
        rewards[seat] = 1
        return True
    if distance != 2:
        state["seat"] = (seat + 1) % SEATS
    return False
