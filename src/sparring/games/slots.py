"""The arrays of a batch of matches, as the driver takes them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparring.games import history
from sparring.games.spec import GameSpec


class Slots(NamedTuple):
    """One row for each of n slots, each with one match; see `BatchedGame` for the views."""

    states: NDArray[Any]  # [n] of the rules' STATE
    keys: NDArray[np.uint64]  # [n] of the matches, as `reset` was given them
    history: NDArray[np.int32]  # [n, w] actions, see `history.py`; `step` needs room for one more in each row
    rng: NDArray[np.uint64]  # [n, 2] key and counter of the stream from which the match's chance is drawn
    seat: NDArray[np.int64]
    observation: NDArray[Any]
    mask: NDArray[np.bool_]
    rewards: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    plies: NDArray[np.int64]
    cursor: NDArray[np.int64]  # [4] slot and rules function at work, and up to two actions that are only tried, else -1


STORED = ("states", "keys", "rng", "rewards", "terminated", "truncated", "plies")  # with the history; the rest follows from these


def allocate(spec: GameSpec, state: np.dtype[Any], num_slots: int) -> Slots:
    """Empty slots: all are terminated, and so take no action before they are reset."""
    n = num_slots
    return Slots(
        states=np.zeros(n, state),
        keys=np.zeros(n, np.uint64),
        history=history.allocate(n, spec.max_plies),
        rng=np.zeros((n, 2), np.uint64),
        seat=np.zeros(n, np.int64),
        observation=np.zeros((n, *spec.observation_shape), spec.observation_dtype),
        mask=np.zeros((n, spec.num_actions), np.bool_),
        rewards=np.zeros((n, spec.num_players), np.float32),
        terminated=np.ones(n, np.bool_),
        truncated=np.zeros(n, np.bool_),
        plies=np.zeros(n, np.int64),
        cursor=np.full(4, -1, np.int64),
    )
