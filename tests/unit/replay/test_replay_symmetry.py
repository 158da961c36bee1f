from __future__ import annotations

import numpy as np
import pytest
from strips import MIRROR, TURN, make_spec

from sparring.errors import GameError
from sparring.games.spec import Symmetry
from sparring.replay import RandomSymmetry


def test_tables_by_hand() -> None:
    symmetry = RandomSymmetry(make_spec(MIRROR, TURN))
    assert symmetry.observation.tolist() == [
        [0, 1, 2, 3, 4, 5],
        [2, 1, 0, 5, 4, 3],
        [1, 2, 0, 4, 5, 3],
    ]
    assert symmetry.action.tolist() == [[0, 1, 2], [2, 1, 0], [1, 2, 0]]
    assert symmetry.new_action.tolist() == [[0, 1, 2], [2, 1, 0], [2, 0, 1]]


def test_identity_and_symmetries_are_equally_likely() -> None:
    choices = RandomSymmetry(make_spec(MIRROR, TURN)).draw(9000, np.random.default_rng(4))
    assert choices is not None
    counts = np.bincount(choices, minlength=3)
    assert len(counts) == 3
    # 2 degrees of freedom, once in a thousand: 13.8.
    assert ((counts - 3000) ** 2 / 3000).sum() < 13.8


def test_the_same_generator_draws_the_same() -> None:
    symmetry = RandomSymmetry(make_spec(MIRROR))
    drawn = [symmetry.draw(100, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    results = [choices.tolist() for choices in drawn if choices is not None]
    assert results[0] == results[1]
    assert results[0] != results[2]


def test_a_game_without_symmetries_is_left_alone() -> None:
    rng = np.random.default_rng(0)
    assert RandomSymmetry(make_spec()).draw(100, rng) is None
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
    with pytest.raises(GameError, match="not a permutation"):
        RandomSymmetry(make_spec(symmetry))
