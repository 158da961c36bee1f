"""A game of two planes of a strip of three cells, where an action is a cell, and made-up rows of
it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.games.spec import GameSpec, Symmetry
from sparring.replay import transition_dtype

# The turn is not a symmetry of a strip, but unlike the mirror it is not its own inverse: the old
# action 0 is called 2 afterwards, because new[2] = old[0].
MIRROR = Symmetry(observation=(2, 1, 0, 5, 4, 3), action=(2, 1, 0))
TURN = Symmetry(observation=(1, 2, 0, 4, 5, 3), action=(1, 2, 0))


def make_spec(*symmetries: Symmetry, dtype: str = "int8") -> GameSpec:
    return GameSpec(
        name="strip",
        num_players=2,
        num_actions=3,
        observation_shape=(2, 3),
        observation_dtype=dtype,
        max_plies=9,
        symmetries=symmetries,
    )


def make_row(spec: GameSpec) -> NDArray[Any]:
    row = np.zeros(1, transition_dtype(spec))
    row["observation"] = [[10, 11, 12], [20, 21, 22]]
    row["mask"] = [True, False, False]
    row["action"] = 0
    row["R"], row["discount"], row["sign"], row["version"] = 0.5, 0.9, -1, 7
    row["next_observation"] = [[30, 31, 32], [40, 41, 42]]
    row["next_mask"] = [False, True, True]
    return row


def random_strips(spec: GameSpec, count: int, seed: int = 0) -> NDArray[Any]:
    """Rows in which every field is random."""
    rng = np.random.default_rng(seed)
    rows = np.zeros(count, transition_dtype(spec))
    for name in ("observation", "next_observation"):
        rows[name] = rng.integers(
            0, 2 if spec.observation_dtype == "bool" else 100, rows[name].shape
        )
    for name in ("mask", "next_mask"):
        rows[name] = rng.integers(0, 2, rows[name].shape)
    rows["action"] = rng.integers(0, 3, count)
    rows["R"], rows["discount"] = rng.normal(size=count), rng.random(count)
    rows["sign"], rows["version"] = rng.choice([-1, 1], count), rng.integers(0, 1000, count)
    return rows


def relabelled(rows: NDArray[Any], symmetries: list[Symmetry]) -> NDArray[Any]:
    """`rows[i]` as `symmetries[i]` has it, straight from the definition."""
    new = rows.copy()
    for i, symmetry in enumerate(symmetries):
        for name in ("observation", "next_observation"):
            new[name][i].flat = [rows[name][i].flat[place] for place in symmetry.observation]
        for name in ("mask", "next_mask"):
            new[name][i] = [rows[name][i][place] for place in symmetry.action]
        new["action"][i] = symmetry.action.index(rows["action"][i])
    return new
