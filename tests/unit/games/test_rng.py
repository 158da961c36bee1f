from __future__ import annotations

import numpy as np
import pytest

from sparring.games.rng import choose, nth_true

MASK = np.array([False, True, False, True, True])


@pytest.mark.parametrize(("n", "index"), [(0, 1), (1, 3), (2, 4), (3, -1)])
def test_the_nth_true_entry_of_a_mask(n, index):
    assert nth_true(MASK, n) == nth_true.py_func(MASK, n) == index


def test_a_draw_chooses_one_of_the_candidates_uniformly():
    draws = (np.arange(300) + 0.5) / 300
    actions = np.empty(300, np.int64)
    choose(np.tile(MASK, (300, 1)), draws, actions)
    assert np.unique(actions, return_counts=True)[1].tolist() == [100, 100, 100]
    assert set(actions.tolist()) == {1, 3, 4}
    choose(np.zeros((300, 5), np.bool_), draws, actions)
    assert set(actions.tolist()) == {-1}
