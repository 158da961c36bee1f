"""From stored rows to the columns of a minibatch: one pass that gathers the rows, applies
symmetries and stores each field contiguously.

An update reads each field as one tensor, several times.

The compiled functions call nothing outside of this file, because Numba's cache on disk does not
notice a change elsewhere.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sparring.errors import GameError
from sparring.games.spec import GameSpec
from sparring.replay.samplers import random_indices
from sparring.replay.transitions import offset_of

Columns = dict[str, NDArray[Any]]
Views = tuple[NDArray[Any], ...]

_BYTES, _INTS, _FLOATS = (np.dtype(kind) for kind in (np.uint8, np.int32, np.float32))
_READ_AS: Final = {
    "next_mask": _BYTES,
    "sign": _BYTES,
    "action": _INTS,
    "version": _INTS,
    "R": _FLOATS,
    "discount": _FLOATS,
}


class Gatherer:
    """Gathers minibatches from `rows`, an array of the transition layout, with the relabellings of
    `symmetry`.
    """

    def __init__(self, rows: NDArray[Any], symmetry: RandomSymmetry | None = None) -> None:
        layout = rows.dtype
        self._observation = layout["observation"]
        # Elements of observations are copied as unsigned integers of their size: four variants are
        # compiled, whatever the games' dtypes.
        element = np.dtype(f"u{self._observation.base.itemsize}")
        # The layout is aligned: the offset of each field and the size of a row are multiples of the
        # field's element size.
        self._views = [
            rows.view(dtype).reshape(len(rows), -1) for dtype in (element, _BYTES, _INTS, _FLOATS)
        ]
        read_as = {"observation": element, "next_observation": element, **_READ_AS}
        self._offsets = np.array(
            [offset_of(layout, name) // dtype.itemsize for name, dtype in read_as.items()],
            np.uint64,
        )
        size, num_actions = int(np.prod(self._observation.shape)), layout["next_mask"].shape[0]
        none = np.arange(size)[None], np.arange(num_actions)[None], np.arange(num_actions)[None]
        self._tables = (
            none
            if symmetry is None
            else (symmetry.observation, symmetry.action, symmetry.new_action)
        )

    def allocate(self, batch_size: int) -> Columns:
        """Buffers for minibatches of `batch_size`: each field that an update needs, action as int64
        and sign as float32, as torch needs them.
        """
        observations = batch_size, *self._observation.shape
        return {
            "observation": np.zeros(observations, self._observation.base),
            "next_observation": np.zeros(observations, self._observation.base),
            "next_mask": np.zeros((batch_size, self._tables[1].shape[1]), np.bool_),
            "sign": np.zeros(batch_size, np.float32),
            "action": np.zeros(batch_size, np.int64),
            "version": np.zeros(batch_size, np.int32),
            "R": np.zeros(batch_size, np.float32),
            "discount": np.zeros(batch_size, np.float32),
        }

    def views(self, columns: Columns) -> Views:
        """`columns` in the form that `gather` writes to; make them once."""
        B, size, element = len(columns["action"]), self._tables[0].shape[1], self._views[0].dtype
        as_elements = (
            columns[name].view(element).reshape(B, size)
            for name in ("observation", "next_observation")
        )
        others = (columns[name] for name in ("sign", "action", "version", "R", "discount"))
        return *as_elements, columns["next_mask"].view(np.uint8), *others

    def gather(
        self,
        indices: NDArray[np.int64],
        choices: NDArray[np.int64] | None,
        views: Views,
        *,
        size: int,
    ) -> None:
        """Fill `views` from the rows at `indices` [B], relabelled by `choices` [B] if given.

        Raises IndexError for an index that is not below `size`.
        """
        if choices is None:
            choices = np.zeros(len(indices), np.int64)
        arguments: tuple[Any, ...] = (
            size,
            indices,
            choices,
            self._offsets,
            *self._views,
            *self._tables,
            *views,
        )
        if not _gather(*arguments):
            got = f"{indices.min()} to {indices.max()}"
            raise IndexError(
                f"row not in the replay buffer: got indices {got}, expected 0 to {size - 1}"
            )


@njit(cache=True, nogil=True)
def _gather(
    size: Any, indices: Any, choices: Any, offsets: Any,
    elements: Any, bytes_: Any, ints: Any, floats: Any,
    observation_table: Any, action_table: Any, new_action: Any,
    observation: Any, next_observation: Any, next_mask: Any,
    sign: Any, action: Any, version: Any, R: Any, discount: Any,
) -> Any:  # fmt: skip
    """False, and nothing done, if an index is out of range."""
    for index in indices:
        if index < 0 or index >= size:
            return False
    # The result is used, as the compiler would leave out the call otherwise.
    version[0] = _touch(indices, bytes_)
    _relabel(indices, choices, elements, offsets[0], observation_table, observation)
    _relabel(indices, choices, elements, offsets[1], observation_table, next_observation)
    _relabel(indices, choices, bytes_, offsets[2], action_table, next_mask)
    for i in range(indices.shape[0]):
        row = indices[i]
        sign[i] = np.int8(bytes_[row, offsets[3]])
        action[i] = new_action[choices[i], ints[row, offsets[4]]]
        version[i] = ints[row, offsets[5]]
        R[i] = floats[row, offsets[6]]
        discount[i] = floats[row, offsets[7]]
    return True


@njit(cache=True, nogil=True)
def _touch(indices: Any, bytes_: Any) -> Any:
    """Read a byte of every cache line of the rows: independent fetches from memory overlap, those
    of copies hardly do.
    """
    total = np.int32(0)
    for index in indices:
        row = np.uint64(index)
        for offset in range(0, bytes_.shape[1], 64):
            total += bytes_[row, np.uint64(offset)]
        total += bytes_[row, np.uint64(bytes_.shape[1] - 1)]
    return total


@njit(cache=True, nogil=True)
def _relabel(indices: Any, choices: Any, rows: Any, first: Any, tables: Any, new: Any) -> None:
    """`new[i, j] = rows[indices[i], first + tables[choices[i], j]]`, where choice 0 is the
    identity.

    Indices are unsigned: signed ones could count from an array's end, and that check triples the
    cost.
    """
    for number in range(indices.shape[0]):
        i, row, choice = np.uint64(number), np.uint64(indices[number]), np.uint64(choices[number])
        if choice == 0:
            for column in range(new.shape[1]):
                j = np.uint64(column)
                new[i, j] = rows[row, first + j]
        else:
            for column in range(new.shape[1]):
                j = np.uint64(column)
                new[i, j] = rows[row, first + np.uint64(tables[choice, j])]


class RandomSymmetry:
    """Applies a random symmetry of the game, or the identity, to each row of a minibatch, all with
    equal probability.

    Both observations, both masks and the action of a row are relabelled alike, so the row stays a
    transition of the game. S is the number of declared symmetries plus the identity, which is
    number 0; O is the size of an observation, A the number of actions. The tables gather: `new[j] =
    old[table[choice, j]]`.
    """

    observation: NDArray[np.int64]  # [S, O]
    action: NDArray[np.int64]  # [S, A]
    new_action: NDArray[np.int64]  # [S, A] the number of each action afterwards

    def __init__(self, spec: GameSpec) -> None:
        for symmetry in spec.symmetries:
            _require_permutation(spec, "observation", symmetry.observation, spec.observation_size)
            _require_permutation(spec, "action", symmetry.action, spec.num_actions)
        identity = (range(spec.observation_size), range(spec.num_actions))
        tables = [
            identity,
            *((symmetry.observation, symmetry.action) for symmetry in spec.symmetries),
        ]
        self.observation = np.array([observation for observation, _ in tables], np.int64)
        self.action = np.array([action for _, action in tables], np.int64)
        self.new_action = np.argsort(self.action, axis=1)

    def draw(self, count: int, rng: np.random.Generator) -> NDArray[np.int64] | None:
        """A symmetry for each of `count` rows, in [0, S); None, and nothing drawn, if the game
        declares none.
        """
        return random_indices(len(self.action), count, rng) if len(self.action) > 1 else None


def _require_permutation(spec: GameSpec, what: str, table: tuple[int, ...], size: int) -> None:
    # Compiled code indexes with these tables without checking bounds.
    if sorted(table) != list(range(size)):
        raise GameError(
            f"a symmetry of {spec.name} is not a permutation: got {len(table)} entries for {what}, "
            f"expected each of 0 to {size - 1} once"
        )
