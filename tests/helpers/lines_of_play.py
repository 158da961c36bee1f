"""Games in the middle of given lines of play."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sparring.games.compiled.game import CompiledGame
from sparring.games.spec import BatchedGame


def played(game: BatchedGame, lines: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Begin match j, of key j, in each slot j and play line j there; return the slots."""
    slots = np.arange(len(lines))
    game.reset(slots, slots.astype(np.uint64))
    for ply in range(max(map(len, lines))):
        game.step(np.array([line[ply] if ply < len(line) else -1 for line in lines]))
    return slots


def random_lines(rules: str, count: int, plies: int) -> list[list[int]]:
    """Random legal moves in the match of key j for each line j, up to its end at most."""
    game, rng = CompiledGame(rules, count), np.random.default_rng(plies)
    game.reset(np.arange(count), np.arange(count, dtype=np.uint64))
    lines: list[list[int]] = [[] for _ in range(count)]
    for _ in range(plies):
        actions = np.array(
            [rng.choice(np.flatnonzero(row)) if row.any() else -1 for row in game.mask]
        )
        game.step(actions)
        for line, action in zip(lines, actions.tolist(), strict=True):
            line.extend([action] if action >= 0 else [])
    return lines
