"""Openings: matches are begun with some uniformly random legal plies, because deterministic players know few ways to begin.

An opening is nothing but a key and a number of plies. The key decides the game's own chance and the random plies, so the same opening can
be laid out again in any slot, for any arrangement of the players, without storing a move.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sparring.games.random import OPENING, derive_keys, uniforms
from sparring.games.spec import BatchedGame, GameSpec

TRIES: Final = 8


@dataclass(frozen=True)
class Openings:
    """K openings: reset a slot with `keys[k]`, then play `opening_actions` until `plies[k]` have been played."""

    keys: NDArray[np.uint64]  # [K]
    plies: NDArray[np.int64]  # [K]

    def __len__(self) -> int:
        return len(self.keys)


def usual_plies(spec: GameSpec) -> int:
    """The random plies with which judged matches begin: 4, fewer in a short game, which they would decide: an eighth of its ply limit."""
    return min(4, spec.max_plies // 8)


def opening_actions(game: BatchedGame, slots: NDArray[np.int64], keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """[m] uniformly random legal actions in `slots`; they follow from the openings' `keys` [m] and the plies played so far."""
    legal = np.cumsum(game.mask[slots], axis=1)
    draws = uniforms(keys, game.plies[slots], OPENING, 1)
    chosen = np.floor(draws * legal[:, -1:]).astype(np.int64)
    actions: NDArray[np.int64] = np.argmax(legal > chosen, axis=1)
    return actions


def draw_openings(game: BatchedGame, count: int, *, plies: int, base: int) -> Openings:
    """`count` openings of `plies` plies that leave the match open; all follow from the 64-bit key `base`.

    Opening k at attempt a has its key from (base, k, a). One that ends the match is drawn anew, `TRIES` times at full length and then
    once at each shorter one; with no plies at all every match is still open, so this ends.
    """
    keys = np.empty(count, dtype=np.uint64)
    lengths = np.empty(count, dtype=np.int64)
    pending = np.arange(count)
    attempt = 0
    while len(pending):
        lengths[pending] = max(0, plies - max(0, attempt - TRIES + 1))
        drawn = np.empty(len(pending), dtype=np.uint64)
        derive_keys(np.uint64(base), pending, np.full(len(pending), attempt), drawn)
        keys[pending] = drawn
        if lengths[pending[0]] == 0:
            break
        pending = pending[_ended(game, drawn, int(lengths[pending[0]]))]
        attempt += 1
    return Openings(keys, lengths)


def _ended(game: BatchedGame, keys: NDArray[np.uint64], plies: int) -> NDArray[np.bool_]:
    """[K] whether the match is over after `plies` random plies from each of `keys` [K]."""
    ended = np.empty(len(keys), dtype=np.bool_)
    for start in range(0, len(keys), game.num_slots):
        block = keys[start : start + game.num_slots]
        slots = np.arange(len(block))
        game.reset(slots, block)
        for _ in range(plies):
            still_open = slots[~(game.terminated | game.truncated)[slots]]
            actions = np.full(game.num_slots, -1, dtype=np.int64)
            actions[still_open] = opening_actions(game, still_open, block[still_open])
            game.step(actions)
        ended[start : start + len(block)] = (game.terminated | game.truncated)[slots]
    return ended
