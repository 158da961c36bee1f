from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from strips import MIRROR, TURN, make_row, make_spec, random_strips, relabelled

from sparring.games.spec import Symmetry
from sparring.replay import RandomSymmetry
from sparring.replay.gather import Columns, Gatherer

IDENTITY = Symmetry(observation=(0, 1, 2, 3, 4, 5), action=(0, 1, 2))


def read(gatherer: Gatherer, indices: list[int], choices: list[int] | None, size: int) -> Columns:
    columns = gatherer.allocate(len(indices))
    drawn = None if choices is None else np.array(choices, np.int64)
    gatherer.gather(np.array(indices, np.int64), drawn, gatherer.views(columns), size=size)
    return columns


def assert_columns(columns: Columns, expected: NDArray[Any]) -> None:
    assert set(columns) == set(expected.dtype.names or ()) - {"mask"}
    for name, column in columns.items():
        np.testing.assert_array_equal(column, expected[name], err_msg=name)
        assert column.flags.c_contiguous


def test_relabelling_by_hand() -> None:
    spec = make_spec(MIRROR, TURN)
    columns = read(Gatherer(make_row(spec), RandomSymmetry(spec)), [0, 0, 0], [2, 0, 1], size=1)
    assert columns["observation"].tolist() == [
        [[11, 12, 10], [21, 22, 20]],
        [[10, 11, 12], [20, 21, 22]],
        [[12, 11, 10], [22, 21, 20]],
    ]
    assert columns["next_observation"].tolist() == [
        [[31, 32, 30], [41, 42, 40]], [[30, 31, 32], [40, 41, 42]], [[32, 31, 30], [42, 41, 40]]
    ]  # fmt: skip
    assert columns["next_mask"].tolist() == [
        [True, True, False],
        [False, True, True],
        [True, True, False],
    ]
    assert columns["action"].tolist() == [2, 0, 2]
    for name in ("R", "discount", "sign", "version"):
        assert columns[name].tolist() == make_row(spec)[name].tolist() * 3


def test_dtypes_are_those_of_the_game_and_of_torch() -> None:
    columns = Gatherer(random_strips(make_spec(dtype="bool"), 1)).allocate(2)
    assert {name: str(column.dtype) for name, column in columns.items()} == {
        "observation": "bool",
        "next_observation": "bool",
        "next_mask": "bool",
        "sign": "float32",
        "action": "int64",
        "version": "int32",
        "R": "float32",
        "discount": "float32",
    }


@settings(max_examples=60, deadline=None)
@given(data=st.data(), dtype=st.sampled_from(["int8", "bool", "uint16", "float32", "float64"]))
def test_against_the_definition(data: st.DataObject, dtype: str) -> None:
    drawn = Symmetry(
        tuple(data.draw(st.permutations(range(6)))), tuple(data.draw(st.permutations(range(3))))
    )
    spec = make_spec(MIRROR, drawn, dtype=dtype)
    rows = random_strips(spec, 7, seed=data.draw(st.integers(0, 999)))
    indices = data.draw(st.lists(st.integers(0, 6), min_size=1, max_size=9))
    choices = data.draw(st.lists(st.integers(0, 2), min_size=len(indices), max_size=len(indices)))
    symmetries = [(IDENTITY, MIRROR, drawn)[choice] for choice in choices]
    assert_columns(
        read(Gatherer(rows, RandomSymmetry(spec)), indices, choices, size=7),
        relabelled(rows[indices], symmetries),
    )
    assert_columns(read(Gatherer(rows), indices, None, size=7), rows[indices])


def test_reads_what_the_rows_are_now() -> None:
    rows = random_strips(make_spec(), 5)
    gatherer = Gatherer(rows)
    assert_columns(read(gatherer, [1, 4], None, size=5), rows[[1, 4]])
    rows["R"], rows["observation"] = 7.0, 3
    assert_columns(read(gatherer, [1, 4], None, size=5), rows[[1, 4]])


@pytest.mark.parametrize("index", [-1, 3, 4, 2**40])
def test_an_index_without_a_row_is_refused(index: int) -> None:
    gatherer = Gatherer(random_strips(make_spec(), 5))
    with pytest.raises(IndexError, match="expected 0 to 2"):
        read(gatherer, [0, index, 1], None, size=3)
