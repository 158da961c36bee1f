"""Made-up transitions of tic-tac-toe: every field is random, within the contract."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.games import spec_of
from sparring.replay import Replay, ReplayBuffer, UniformSampler, transition_dtype

DTYPE = transition_dtype(spec_of("tic_tac_toe"))


def random_rows(count: int, seed: int = 0) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    rows = np.zeros(count, DTYPE)
    rows["observation"] = rng.integers(0, 2, rows["observation"].shape)
    rows["mask"] = rng.random(rows["mask"].shape) < 0.5
    rows["action"] = rng.integers(0, 9, count)
    rows["mask"][np.arange(count), rows["action"]] = True
    rows["R"] = rng.choice([-1.0, -0.25, 0.0, 0.5, 1.0], count)
    rows["discount"] = rng.choice([0.0, 0.81, 0.9], count)
    rows["sign"] = rng.choice([-1, 1], count)
    rows["version"] = rng.integers(0, 5, count)
    going_on = rows["discount"] > 0
    rows["next_observation"][going_on] = rng.integers(0, 2, rows["observation"].shape)[going_on]
    rows["next_mask"][going_on] = rng.random(rows["mask"].shape)[going_on] < 0.4
    return rows


def filled_replay(count: int = 40, seed: int = 0) -> Replay:
    replay = Replay(ReplayBuffer(DTYPE, 100), UniformSampler())
    replay.extend(random_rows(count, seed))
    return replay
