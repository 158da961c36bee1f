"""Environments as users write them for Gymnasium, each with something that its own do not have."""

from __future__ import annotations

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Sequence, Tuple


class Strip(gymnasium.Env):
    """A walk on places 0 to 4 that starts in the middle: +1 and the end at 4, -1 and the end at 0.
    After six steps it is truncated. Actions are -1 and 1.
    """

    observation_space = Discrete(5, start=10)
    action_space = Discrete(2, start=-1)
    metadata = {"render_modes": ["ansi"]}  # noqa: RUF012 -- Gymnasium's way
    limit = 6

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.steps = 2, 0
        return self.seen(), self.info()

    def step(self, action):
        self.place += 1 if action == 0 else -1
        self.steps += 1
        ended = self.place in (0, 4)
        reward = (self.place == 4) - float(self.place == 0)
        return self.seen(), reward, ended, self.steps == self.limit, self.info()

    def render(self):
        return "".join("o" if place == self.place else "." for place in range(5))

    def seen(self):
        return 10 + self.place

    def info(self):
        return {}


class Masked(Strip):
    """A dict with the legal actions: no step back to the middle from its right."""

    observation_space = Dict(observation=Box(0, 4, (1,), np.float64), action_mask=MultiBinary(2))

    def seen(self):
        legal = np.array([self.place != 3, True])
        return {"observation": np.array([self.place], np.float64), "action_mask": legal}


class Parts(Strip):
    """A dict of several entries beside the mask."""

    observation_space = Dict(
        bits=MultiBinary(3),
        pair=Tuple((Discrete(2), MultiDiscrete([2, 3]))),
        action_mask=MultiBinary(2),
    )

    def seen(self):
        bits = np.array([0, 1, self.place > 2], np.int8)
        pair = (self.place % 2, np.array([1, self.steps % 3]))
        return {"bits": bits, "pair": pair, "action_mask": np.ones(2, np.int8)}


class InInfo(Strip):
    """Masks in the infos, as in Taxi."""

    def info(self):
        return {"action_mask": np.array([self.place != 3, True], np.int8)}


class Pixels(Strip):
    """A picture of rows x columns x colours."""

    observation_space = Box(0, 255, (4, 5, 3), np.uint8)

    def seen(self):
        picture = np.zeros((4, 5, 3), np.uint8)
        picture[1, self.place, 2] = 255
        return picture


class Grey(Strip):
    """A picture of one plane."""

    observation_space = Box(0, 255, (4, 5), np.uint8)

    def seen(self):
        return np.full((4, 5), 51, np.uint8)


class Liar(Strip):
    """Declares small integers and shows fractions."""

    observation_space = Box(0, 4, (1,), np.int64)

    def seen(self):
        return np.array([self.place + 0.5])


class Growing(Strip):
    """Shows a sequence."""

    observation_space = Sequence(Discrete(5))


class Throttle(Strip):
    """Continuous actions."""

    action_space = Box(-1, 1, (1,), np.float32)


class Levers(Strip):
    """Two choices at once."""

    action_space = MultiDiscrete([2, 3])


class Broken(Strip):
    """`reset` raises an error."""

    def seen(self):
        raise KeyError("no such field")


def made_strip():
    """A function that makes an environment."""
    return Strip()


gymnasium.register("own/strip-v0", entry_point=Strip, max_episode_steps=4)
