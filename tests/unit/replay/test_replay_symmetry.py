from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sparring.errors import GameError
from sparring.games.spec import GameSpec, Symmetry
from sparring.replay import RandomSymmetry, transition_dtype

# Two planes of a strip of three cells, where an action is a cell. The turn is no symmetry of a strip, but unlike the mirror
# it is not its own inverse: old action 0 is called 2 afterwards, because new[2] = old[0].
MIRROR = Symmetry(observation=(2, 1, 0, 5, 4, 3), action=(2, 1, 0))
TURN = Symmetry(observation=(1, 2, 0, 4, 5, 3), action=(1, 2, 0))


def make_spec(*symmetries: Symmetry, dtype: str = "int8") -> GameSpec:
    return GameSpec(
        name="strip", num_players=2, num_actions=3, observation_shape=(2, 3), observation_dtype=dtype, max_plies=9, symmetries=symmetries
    )


def make_row(spec: GameSpec) -> NDArray[Any]:
    row = np.zeros(1, transition_dtype(spec))
    row["observation"] = [[10, 11, 12], [20, 21, 22]]
    row["mask"] = [True, False, False]
    row["action"] = 0
    row["R"], row["discount"], row["sign"], row["version"] = 0.5, 0.9, -1, 7
    row["next_observation"] = [[30, 31, 32], [40, 41, 42]]
    row["next_mask"] = [False, True, True]
    return row


def test_relabelling_by_hand() -> None:
    spec = make_spec(MIRROR, TURN)
    rows = np.concatenate([make_row(spec)] * 3)
    RandomSymmetry(spec).relabel(rows, np.array([2, 0, 1]))
    assert rows["observation"].tolist() == [[[11, 12, 10], [21, 22, 20]], [[10, 11, 12], [20, 21, 22]], [[12, 11, 10], [22, 21, 20]]]
    assert rows["next_observation"].tolist() == [[[31, 32, 30], [41, 42, 40]], [[30, 31, 32], [40, 41, 42]], [[32, 31, 30], [42, 41, 40]]]
    assert rows["mask"].tolist() == [[False, False, True], [True, False, False], [False, False, True]]
    assert rows["next_mask"].tolist() == [[True, True, False], [False, True, True], [True, True, False]]
    assert rows["action"].tolist() == [2, 0, 2]
    for name in ("R", "discount", "sign", "version"):
        assert rows[name].tolist() == make_row(spec)[name].tolist() * 3


@settings(max_examples=60, deadline=None)
@given(data=st.data(), dtype=st.sampled_from(["int8", "bool", "float32"]))
def test_against_the_definition(data: st.DataObject, dtype: str) -> None:
    symmetry = Symmetry(tuple(data.draw(st.permutations(range(6)))), tuple(data.draw(st.permutations(range(3)))))
    spec = make_spec(symmetry, dtype=dtype)
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    rows = np.zeros(5, transition_dtype(spec))
    for name in ("observation", "next_observation", "mask", "next_mask"):
        rows[name] = rng.integers(0, 2, rows[name].shape)
    rows["action"] = rng.integers(0, 3, 5)
    old = rows.copy()
    RandomSymmetry(spec).relabel(rows, np.ones(5, np.int64))
    for i in range(5):
        for name in ("observation", "next_observation"):
            assert [rows[name][i].flat[k] for k in range(6)] == [old[name][i].flat[symmetry.observation[k]] for k in range(6)]
        for name in ("mask", "next_mask"):
            assert rows[name][i].tolist() == [old[name][i][symmetry.action[k]] for k in range(3)]
        assert rows["action"][i] == symmetry.action.index(old["action"][i])


def test_identity_and_symmetries_are_equally_likely() -> None:
    spec = make_spec(MIRROR, TURN)
    rows = np.concatenate([make_row(spec)] * 9000)
    RandomSymmetry(spec).apply(rows, np.random.default_rng(4))
    first_cells = np.bincount(rows["observation"][:, 0, 0], minlength=13)[10:]
    assert first_cells.sum() == 9000
    # Identity leaves 10 in the first cell, the mirror puts 12 there, the turn 11. 2 degrees of freedom, once in a thousand: 13.8.
    assert ((first_cells - 3000) ** 2 / 3000).sum() < 13.8


def test_the_same_generator_gives_the_same_minibatch() -> None:
    spec = make_spec(MIRROR)
    results = []
    for seed in (1, 1, 2):
        rows = np.concatenate([make_row(spec)] * 100)
        RandomSymmetry(spec).apply(rows, np.random.default_rng(seed))
        results.append([rows["observation"].tolist(), rows["action"].tolist()])
    assert results[0] == results[1]
    assert results[0] != results[2]


def test_a_game_without_symmetries_is_left_alone() -> None:
    spec = make_spec()
    rows, rng = make_row(spec), np.random.default_rng(0)
    RandomSymmetry(spec).apply(rows, rng)
    assert rows["observation"].tolist() == make_row(spec)["observation"].tolist()
    assert rng.random() == np.random.default_rng(0).random()


@pytest.mark.parametrize(
    "symmetry",
    [
        Symmetry((0, 1, 2, 3, 4, 4), (0, 1, 2)),
        Symmetry((0, 1, 2), (0, 1, 2)),
        Symmetry((0, 1, 2, 3, 4, 5), (0, 1, 3)),
    ],
)
def test_refuses_a_symmetry_that_is_no_permutation(symmetry: Symmetry) -> None:
    with pytest.raises(GameError, match="no relabelling"):
        RandomSymmetry(make_spec(symmetry))
