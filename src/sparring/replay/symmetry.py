"""Relabels the rows of a minibatch by the declared symmetries of the game: more positions from the same matches."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sparring.errors import GameError
from sparring.games.spec import GameSpec
from sparring.replay.transitions import transition_dtype


class RandomSymmetry:
    """Gives each row of a minibatch one of the game's relabellings, or leaves it as it is, all equally likely.

    Both observations, both masks and the action of a row are relabelled alike, so the row stays a transition of the game. S counts
    the identity and the declared symmetries, O is the size of an observation, A the number of actions.
    """

    def __init__(self, spec: GameSpec) -> None:
        for symmetry in spec.symmetries:
            _require_permutation(spec, "observation", symmetry.observation, spec.observation_size)
            _require_permutation(spec, "action", symmetry.action, spec.num_actions)
        identity = (range(spec.observation_size), range(spec.num_actions))
        tables = [identity, *((symmetry.observation, symmetry.action) for symmetry in spec.symmetries)]
        self._observation = np.array([observation for observation, _ in tables], np.int64)  # [S, O]
        self._action = np.array([action for _, action in tables], np.int64)  # [S, A]
        self._new_name = np.argsort(self._action, axis=1).astype(np.int32)  # [S, A] of the action that was called so
        self._layout = transition_dtype(spec)
        self._flat_layout = _with_flat_observations(self._layout, spec.observation_size)

    def apply(self, rows: NDArray[Any], rng: np.random.Generator) -> None:
        """Relabel `rows` [B] of the game's transition layout in place; draws B numbers, none if the game declares no symmetry."""
        if len(self._action) > 1:
            self.relabel(rows, rng.integers(0, len(self._action), len(rows)))

    def relabel(self, rows: NDArray[Any], choices: NDArray[np.int64]) -> None:
        """Relabel `rows[i]` in place by symmetry `choices[i]` in [0, S): 0 is the identity, i the i-th declared one."""
        flat = rows.view(self._flat_layout)
        _permute(flat["observation"], choices, self._observation)
        _permute(flat["next_observation"], choices, self._observation)
        _permute(flat["mask"], choices, self._action)
        _permute(flat["next_mask"], choices, self._action)
        flat["action"] = self._new_name[choices, flat["action"]]


def _require_permutation(spec: GameSpec, what: str, table: tuple[int, ...], size: int) -> None:
    # Compiled code reads through these tables without looking at bounds.
    if sorted(table) != list(range(size)):
        raise GameError(
            f"a symmetry of {spec.name} is no relabelling: got {len(table)} entries for {what}, expected each of 0 to {size - 1} once"
        )


def _with_flat_observations(layout: np.dtype[Any], observation_size: int) -> np.dtype[Any]:
    """The same bytes, with observations as [O]: reshaping a field of a structured array could silently make a copy of it."""
    names = layout.names or ()
    formats: list[Any] = [
        (layout[name].base, (observation_size,)) if name in ("observation", "next_observation") else layout[name] for name in names
    ]
    offsets = [layout.fields[name][1] for name in names] if layout.fields else []
    return np.dtype({"names": list(names), "formats": formats, "offsets": offsets, "itemsize": layout.itemsize})


@njit(cache=True, nogil=True)
def _permute(values: Any, choices: Any, tables: Any) -> None:
    """In place, `new[i, j] = old[i, tables[choices[i], j]]`; choice 0 is the identity."""
    width = values.shape[1]
    old = np.empty(width, values.dtype)
    for i in range(values.shape[0]):
        if choices[i] == 0:
            continue
        table = tables[choices[i]]
        for j in range(width):
            old[j] = values[i, j]
        for j in range(width):
            values[i, j] = old[table[j]]
