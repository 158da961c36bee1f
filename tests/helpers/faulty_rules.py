"""Rules that fail with the action after action 9, each action in another way; and in `start` with
some keys.
"""

from __future__ import annotations

import numpy as np

from sparring.games.spec import GameSpec

STATE = np.dtype([("seat", np.int8), ("count", np.int64)])
SPEC = GameSpec(
    num_players=2,
    num_actions=10,
    observation_shape=(2, 1),
    observation_dtype="float32",
    max_plies=9,
)


def start(state, rng):
    if rng[0] % np.uint64(64) == 1:
        state["seat"] = 5
    assert rng[0] % np.uint64(64) != 2


def legal(state, mask):
    mask[:] = state["count"] != 107


def observe(state, observation):
    observation[0, 0] = 1.0 / (105 - state["count"]) if state["count"] != 106 else np.inf


def play(state, action, rewards, rng):
    state["seat"] = 1 - state["seat"]
    if state["count"] != 9:
        state["count"] = action
        return False
    state["count"] = 100 + action
    if action == 1:
        state["count"] = divide(60, action)
    if action == 2:
        raise ValueError("two at once")
    if action == 3:
        state["seat"] = 2
    if action == 4:
        rewards[1] = np.nan
    return action == 8


def divide(total, part):
    return total // (part - 1)


def text(state):
    return ["nothing"][state["count"]] + "\n"


def action_text(state, action):
    return f"{action} after {state['count']}"
