"""Rules that fail at the fifth ply if the third action was not 0; the first action decides how."""

from __future__ import annotations

import numpy as np

from sparring.games.spec import GameSpec

STATE = np.dtype([("seat", np.int8), ("plies", np.int8), ("way", np.int8), ("third", np.int8)])
SPEC = GameSpec(
    num_players=2,
    num_actions=4,
    observation_shape=(1,),
    observation_dtype="int8",
    max_plies=9,
    zero_sum=True,
)

WRONG = {  # what the first action leads to, and what the fault says of it
    "raises": "raised ValueError in (play|step)",
    "no such seat": "breaks the contract of games in .*seat 2",
    "no number": "breaks the contract of games in .*rewards",
    "no move": "breaks the contract of games in (legal|mask).*no legal action",
}


def start(state, rng):
    pass


def legal(state, mask):
    mask[:] = not (state["plies"] == 5 and state["third"] > 0 and state["way"] == 3)


def observe(state, observation):
    pass


def play(state, action, rewards, rng):
    state["plies"] += 1
    state["seat"] = 1 - state["seat"]
    if state["plies"] == 1:
        state["way"] = action
    if state["plies"] == 3:
        state["third"] = action
    if state["plies"] == 5 and state["third"] > 0:
        if state["way"] == 0:
            raise ValueError("the fifth")
        if state["way"] == 1:
            state["seat"] = 2
        if state["way"] == 2:
            rewards[0] = np.nan
    return False
