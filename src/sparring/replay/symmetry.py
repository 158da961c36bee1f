"""Relabels the rows of a minibatch by the declared symmetries of the game: more positions from the same matches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sparring.errors import GameError
from sparring.games.spec import GameSpec
from sparring.replay.samplers import below


class RandomSymmetry:
    """Gives each row of a minibatch one of the game's relabellings, or leaves it as it is, all equally likely.

    Both observations, both masks and the action of a row are relabelled alike, so the row stays a transition of the game. S counts
    the identity, which is number 0, and the declared symmetries, O is the size of an observation, A the number of actions. The tables
    gather: `new[j] = old[table[choice, j]]`.
    """

    observation: NDArray[np.int64]  # [S, O]
    action: NDArray[np.int64]  # [S, A]
    new_name: NDArray[np.int64]  # [S, A] of the action that was called so

    def __init__(self, spec: GameSpec) -> None:
        for symmetry in spec.symmetries:
            _require_permutation(spec, "observation", symmetry.observation, spec.observation_size)
            _require_permutation(spec, "action", symmetry.action, spec.num_actions)
        identity = (range(spec.observation_size), range(spec.num_actions))
        tables = [identity, *((symmetry.observation, symmetry.action) for symmetry in spec.symmetries)]
        self.observation = np.array([observation for observation, _ in tables], np.int64)
        self.action = np.array([action for _, action in tables], np.int64)
        self.new_name = np.argsort(self.action, axis=1)

    def draw(self, count: int, rng: np.random.Generator) -> NDArray[np.int64] | None:
        """The relabelling of each of `count` rows, in [0, S); None, and nothing drawn, if the game declares no symmetry."""
        return below(len(self.action), count, rng) if len(self.action) > 1 else None


def _require_permutation(spec: GameSpec, what: str, table: tuple[int, ...], size: int) -> None:
    # Compiled code reads through these tables without looking at bounds.
    if sorted(table) != list(range(size)):
        raise GameError(
            f"a symmetry of {spec.name} is no relabelling: got {len(table)} entries for {what}, expected each of 0 to {size - 1} once"
        )
