"""N-tuple networks: a position's value is read from lookup tables over groups of cells.

    value = scale * tanh(sum over the groups, and over the board's symmetric images, of
                         table[codes of the group's cells])

A code is 0 for an empty cell, 1 + p for one that plane p shows, and one more for an empty cell that
can be occupied next, where the game declares which (`Board.support`). A table has an entry only for
codes that can occur: in a column of Connect Four, stones from below up to some cell. That is a
tenth of all. A position and its images read the same entries. There are two sets of tables: which
one is read follows from the number of occupied cells, which says in most games who has moved.

Sources: Bledsoe and Browning (1959); Lucas (2008) for Othello; Thill, Koch and Konen (2012) for
Connect Four. The network values positions after moves; `table_learner.py` trains it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sparring.dqn.ntuple_kernels import SETS, Lookup, fill_values
from sparring.errors import ConfigurationError
from sparring.games.rng import TRIALS, stream_key, uniforms
from sparring.games.spec import GameSpec

Cells = tuple[int, ...]

_MAX_WEIGHTS: Final = 2**30  # places are 32-bit numbers
_GROUPS: Final = 0x4E54_5550  # part of the key of the draws of groups
_FRUITLESS: Final = 1_000  # known groups in a row after which the board is taken to have no more
_STEPS: Final = ((0, 1), (1, 0), (1, 1), (1, -1), (0, -1), (-1, 0), (-1, -1), (-1, 1))


def ntuples(
    spec: GameSpec,
    *,
    tuples: int = 70,
    tuple_size: int = 8,
    tuple_kind: Literal["walk", "lines"] = "walk",
) -> nn.Module:
    """Tables over `tuples` groups of `tuple_size` cells, fewer if the board has no more.

    walk: cells that a random walk over neighbours meets, diagonals included; the same for the same
    arguments. lines: straight lines.
    """
    _check(spec, tuples, tuple_size, tuple_kind)
    _, rows, columns = spec.observation_shape
    images = _images(spec, rows * columns)
    find = _lines if tuple_kind == "lines" else _walks
    groups: dict[Cells, None] = {}
    fruitless = 0  # groups in a row that were known
    for group in find(rows, columns, tuple_size):
        before = len(groups)
        alike = [tuple(sorted(image[list(group)].tolist())) for image in images]
        groups[min(alike)] = None
        fruitless = 0 if len(groups) > before else fruitless + 1
        if len(groups) == tuples or fruitless == _FRUITLESS:
            break
    if not groups:
        raise ConfigurationError(
            "tuple_size of network ntuples",
            got=tuple_size,
            expected=f"at most the longest line of a board of {rows} x {columns}",
        )
    return NTupleNetwork(spec, images[:, np.array(list(groups))])


class NTupleNetwork(nn.Module):
    """Tables over `groups` [K, T, L]: cells of T groups of L cells in K symmetric images.

    `tables` [2, W] are the weights: in each set those of one group after another. Works on the CPU
    only, without gradients.
    """

    tables: nn.Parameter

    def __init__(self, spec: GameSpec, groups: NDArray[np.int64]) -> None:
        super().__init__()
        assert spec.value_range is not None
        self.scale = max(map(abs, spec.value_range))
        self.groups = groups
        numberings = _numberings(spec, groups)
        size = sum(numbering.size for numbering in numberings)
        if SETS * size > _MAX_WEIGHTS:
            raise ConfigurationError(
                "weights of network ntuples",
                got=f"{SETS * size:,}",
                expected=f"at most {_MAX_WEIGHTS:,} weights",
                remedy="lower tuples or tuple_size",
            )
        self.lookup, places = _lookup(spec, groups, numberings)
        # NumPy asks for huge pages, torch does not: lookups are a half faster
        zeros = torch.from_numpy(np.zeros((SETS, places), np.float32))
        self.tables = nn.Parameter(zeros, requires_grad=False)

    @property
    def array(self) -> NDArray[np.float32]:
        """The tables in place."""
        array: NDArray[np.float32] = self.tables.detach().numpy()
        return array

    def forward(self, observation: Tensor) -> Tensor:
        """[n, planes, rows, columns] -> [n, 1]."""
        if observation.is_meta:  # of a network that is only counted
            return torch.empty((len(observation), 1), device="meta")
        positions = observation.reshape(len(observation), -1).numpy()
        values = np.empty((len(positions), 1), np.float32)
        fill_values(positions, self.lookup, self.array, self.scale, values.reshape(-1))
        return torch.from_numpy(values)


class _Numbering(NamedTuple):
    """Numbers from 0 to `size` - 1 of the codes that a group's cells can have: the sum of the
    `parts` [L, codes of a cell]. Codes that cannot occur have numbers up to `largest`, too.
    """

    parts: NDArray[np.int64]
    size: int
    largest: int


def _numberings(spec: GameSpec, groups: NDArray[np.int64]) -> list[_Numbering]:
    """The numberings of `groups` [K, T, L]."""
    assert spec.board is not None
    support = np.array(spec.board.support, np.int64)
    planes = spec.observation_shape[0]
    return [_numbering(groups[:, t], support, planes) for t in range(groups.shape[1])]


def _numbering(cells: NDArray[np.int64], support: NDArray[np.int64], planes: int) -> _Numbering:
    """The numbering of one group, `cells` [K, L].

    Its cells form runs, in which each supports the next. In a run there are k = 0, 1, ... occupied
    cells and then empty ones, of which the first can be occupied next; with k = 0 only if what
    supports it is occupied. The colours of the k cells are the digits 1 to P of a number in
    bijective base P, so that the numbers of all k fill a range; one more is for k = 0 where the
    first cell can be occupied next. The numbers of the runs are the digits of the whole.
    """
    parts = np.zeros((cells.shape[1], planes + 1 + bool(len(support))), np.int64)
    size, largest = 1, 0
    for run in reversed(_runs(cells, support)):
        on_ground = not len(support) or (support[cells[:, run[0]]] < 0).all()
        for height, j in enumerate(run):
            parts[j, 1 : planes + 1] = size * planes**height * np.arange(1, planes + 1)
        count = sum(planes**k for k in range(len(run) + 1))
        if not on_ground:
            parts[run[0], -1] = size * count
            count += 1
        largest += int(parts[run].max(axis=1).sum())
        size *= count
    return _Numbering(parts, size, largest)


def _runs(cells: NDArray[np.int64], support: NDArray[np.int64]) -> list[list[int]]:
    """Places in a group, `cells` [K, L], of cells that support one another in all images."""
    above: dict[int, int] = {}
    begins = []
    for j in range(cells.shape[1]):
        below = support[cells[:, j]] if len(support) else np.full(len(cells), -1)
        found = np.flatnonzero((cells == below[:, None]).all(axis=0)).tolist()
        if found and found[0] not in above:
            above[found[0]] = j
        else:
            begins.append(j)
    runs = []
    for j in begins:
        run = [j]
        while run[-1] in above:
            run.append(above[run[-1]])
        runs.append(run)
    return runs


def _lookup(
    spec: GameSpec, groups: NDArray[np.int64], numberings: list[_Numbering]
) -> tuple[Lookup, int]:
    """The lookup for `groups` [K, T, L], and the number of places in a set of tables, some of them
    behind the last table for positions that cannot occur.
    """
    assert spec.board is not None
    images, tables, _ = groups.shape
    ends = np.cumsum([numbering.size for numbering in numberings])
    starts = np.concatenate(([0], ends[:-1]))
    codes = numberings[0].parts.shape[1]
    parts = np.zeros((math.prod(spec.observation_shape[1:]), codes, images * tables), np.uint32)
    for number, cells in enumerate(groups.reshape(images * tables, -1)):
        parts[cells, :, number] = numberings[number % tables].parts
    largest = starts + np.array([numbering.largest for numbering in numberings])
    places = max(int(ends[-1]), int(largest.max()) + 1)
    support = np.array(spec.board.support, np.int64)
    return Lookup(
        spec.observation_shape[0], support, np.tile(starts, images).astype(np.uint32), parts
    ), places


def _check(spec: GameSpec, tuples: Any, tuple_size: Any, tuple_kind: Any) -> None:
    if spec.num_actions != 1:
        raise ConfigurationError(
            "network ntuples values positions after moves", expected="afterstates = on"
        )
    if spec.board is None or spec.value_range is None:
        raise ConfigurationError(
            f"network ntuples does not fit {spec.name}",
            expected="a game that declares its board and the range of its returns",
            remedy="choose another policy_kwargs.network, or declare them in the game's spec",
        )
    cells = math.prod(spec.observation_shape[1:])
    for name, value, limit in (("tuples", tuples, 100_000), ("tuple_size", tuple_size, cells)):
        if not isinstance(value, int) or not 1 <= value <= limit:
            raise ConfigurationError(
                f"{name} of network ntuples", got=value, expected=f"an integer from 1 to {limit:,}"
            )
    if tuple_kind not in ("walk", "lines"):
        raise ConfigurationError(
            "tuple_kind of network ntuples", got=tuple_kind, expected="walk or lines"
        )


def _images(spec: GameSpec, cells: int) -> NDArray[np.int64]:
    """[K, cells] the cell that lies in each cell of the board's images, the board itself first."""
    relabelled = [symmetry.observation[:cells] for symmetry in spec.symmetries]
    return np.array([range(cells), *relabelled], np.int64)


def _walks(rows: int, columns: int, length: int) -> Iterator[Cells]:
    """Groups that random walks meet; many are alike."""
    draws = _draws(stream_key(_GROUPS, rows, columns, length))
    while True:
        row, column = int(next(draws) * rows), int(next(draws) * columns)
        group = {row * columns + column}
        while len(group) < length:
            down, right = _STEPS[int(next(draws) * len(_STEPS))]
            if 0 <= row + down < rows and 0 <= column + right < columns:
                row, column = row + down, column + right
                group.add(row * columns + column)
        yield tuple(group)


def _lines(rows: int, columns: int, length: int) -> Iterator[Cells]:
    """All straight lines."""
    for row in range(rows):
        for column in range(columns):
            for down, right in _STEPS[:4]:
                last = row + (length - 1) * down, column + (length - 1) * right
                if last[0] < rows and 0 <= last[1] < columns:
                    yield tuple(
                        (row + i * down) * columns + column + i * right for i in range(length)
                    )


def _draws(key: int) -> Iterator[float]:
    counter = 0
    while True:
        yield from uniforms(np.array([key], np.uint64), np.array([counter]), TRIALS, 256)[0]
        counter += 1
