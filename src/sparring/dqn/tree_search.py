"""Look-ahead at the board: moves are compared some plies ahead, with the network's values at the
leaves.

The tree is searched in full width and level by level, so that the network values all leaves of many
positions at once. Deterministic; for two-player zero-sum games of compiled rules without chance and
hidden information. A sooner win counts for a little more than a later one.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sparring.dqn.policy import InferencePolicy
from sparring.errors import ConfigurationError
from sparring.games import BatchedGame
from sparring.games.compiled.game import CompiledGame
from sparring.games.lookahead import SOONER, refuse_search
from sparring.games.spec import GameSpec
from sparring.opponents.names import MAX_LOOKAHEAD

_MAX_POSITIONS: Final = 2**16  # that are looked at together


def check_lookahead(spec: GameSpec, depth: int) -> None:
    """Raise `ConfigurationError` if agents cannot look so far ahead in games with these facts."""
    if not 0 <= depth <= MAX_LOOKAHEAD:
        raise ConfigurationError(
            "lookahead", got=depth, expected=f"a number of plies from 0 to {MAX_LOOKAHEAD}"
        )
    if depth:
        refuse_search(f"lookahead {depth}", spec)


def refuse_python(game: BatchedGame) -> CompiledGame:
    """Return `game`; raise `ConfigurationError` unless its rules are compiled."""
    if not isinstance(game, CompiledGame):
        raise ConfigurationError(
            f"lookahead in {game.spec.name}", got="a game in Python", expected="compiled rules"
        )
    return game


def best_moves(
    policy: InferencePolicy, game: BatchedGame, slots: NDArray[np.int64], depth: int
) -> NDArray[np.int64]:
    """[m] the best moves in `slots` [m], the first of equals; -1 where none is legal."""
    values = move_values(policy, game, slots, depth)
    best: NDArray[np.int64] = np.where(np.isfinite(values).any(axis=1), values.argmax(axis=1), -1)
    return best


def move_values(
    policy: InferencePolicy, game: BatchedGame, slots: NDArray[np.int64], depth: int
) -> NDArray[np.float64]:
    """[m, A] values of the moves in `slots` [m] for the seats to move, `depth` plies ahead; -inf
    for illegal moves.
    """
    if not len(slots):
        return np.empty((0, game.spec.num_actions))
    if depth == 0:
        found = policy.action_values(game, slots).astype(np.float64)
        return np.where(game.mask[slots], found, -np.inf)
    game = refuse_python(game)
    legal = game.mask[slots]
    if len(slots) > 1 and np.count_nonzero(legal) > _MAX_POSITIONS:
        halves = np.array_split(slots, 2)
        return np.concatenate([move_values(policy, game, half, depth) for half in halves])
    parents, actions = np.nonzero(legal)
    after = game.copied(slots[parents])
    after.step(actions)
    movers = game.seat[slots[parents]]
    values = np.full(legal.shape, -np.inf)
    values[parents, actions] = _values_after(policy, after, movers, depth - 1)
    return values


def _values_after(
    policy: InferencePolicy, after: CompiledGame, movers: NDArray[np.int64], depth: int
) -> NDArray[np.float64]:
    """[k] what the moves that led to these positions are worth to the `movers` [k]."""
    positions = np.arange(after.num_slots)
    values: NDArray[np.float64] = after.rewards[positions, movers].astype(np.float64)
    for going_on, plies in ((~after.terminated & ~after.truncated, depth), (after.truncated, 0)):
        # a match that is cut has the value that the network gives it
        slots = np.flatnonzero(going_on & after.mask.any(axis=1))
        if len(slots):
            best = move_values(policy, after, slots, plies).max(axis=1)
            signs = np.where(after.seat[slots] == movers[slots], 1.0, -1.0)
            values[slots] += (1.0 - SOONER) * signs * best
    return values
