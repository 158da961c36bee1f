"""The row layout of a transition, the same from the worker to the minibatch.

A transition is one row of a structured array: a block of rows moves with a single copy through
shared memory, staging and replay, and observations keep the game's own dtype until a minibatch is
cast.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.games.spec import GameSpec


def transition_dtype(spec: GameSpec) -> np.dtype[Any]:
    """Fields of one transition; A = actions of the game.

    Its target is `R + discount * sign * Q(next_observation, best legal action)`.
    """
    observation = (spec.observation_dtype, spec.observation_shape)
    return np.dtype(
        [
            ("observation", *observation),  # from the point of view of the seat that decided
            ("mask", np.bool_, (spec.num_actions,)),
            ("action", np.int32),
            ("R", np.float32),  # discounted rewards of that seat up to the next state
            ("next_observation", *observation),  # zeros when terminated
            ("next_mask", np.bool_, (spec.num_actions,)),  # all False when terminated
            ("discount", np.float32),  # gamma ** (steps bridged); 0 when terminated
            ("sign", np.int8),  # +1: the next state is the same seat's; -1: the opponent's
            ("version", np.int32),  # of the weights that chose the action
        ],
        align=True,
    )


def offset_of(layout: np.dtype[Any], name: str) -> int:
    """Offset of a field in a row of `layout`, in bytes."""
    assert layout.fields is not None
    return layout.fields[name][1]


def join_rows(blocks: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Blocks of one structured dtype, copied end to end, padding included.

    NumPy would copy field by field, which takes ten times as long and leaves the padding undefined.
    """
    dtype = blocks[0].dtype
    opaque = np.dtype((np.void, dtype.itemsize))
    joined: NDArray[Any] = np.concatenate([block.view(opaque) for block in blocks]).view(dtype)
    return joined
