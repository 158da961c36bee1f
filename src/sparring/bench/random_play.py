"""Random play through the batched protocol."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sparring import games
from sparring.games.random import EXPLORATION, uniforms
from sparring.opponents.scripted import RandomPlayer


def random_play(name: str, num_slots: int) -> Callable[[], int]:
    """One tick of all matches under the scripted random player, and how many plies that is; slots begin anew at once."""
    game, player, slots = games.make(name, num_slots), RandomPlayer(), np.arange(num_slots)
    keys = np.arange(num_slots, dtype=np.uint64)
    game.reset(slots, keys)

    def step() -> int:
        game.step(player.act(game, slots, uniforms(keys, game.plies, EXPLORATION, 2)))
        ended = np.flatnonzero(game.terminated | game.truncated)
        keys[ended] += np.uint64(num_slots)
        game.reset(ended, keys[ended])
        return num_slots

    return step
