from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from sparring.dqn.exploration import (
    epsilon_greedy,
    geometric_epsilon,
    linear_epsilon,
    per_worker_epsilon,
)


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (0.0, 1.0),
        (0.1, 0.7625),
        (0.2, 0.525),
        (0.3, 0.2875),
        (0.4, 0.05),
        (0.41, 0.05),
        (1.0, 0.05),
    ],
)
def test_linear_epsilon_by_hand(progress: float, expected: float) -> None:
    """1 - 0.95 * progress / 0.4, down to 0.05."""
    assert linear_epsilon(progress, initial=1.0, final=0.05, fraction=0.4) == pytest.approx(
        expected
    )


def test_linear_epsilon_at_the_edges() -> None:
    assert linear_epsilon(0.0, initial=1.0, final=0.1, fraction=0.0) == 0.1
    assert linear_epsilon(0.5, initial=0.3, final=0.3, fraction=1.0) == pytest.approx(0.3)
    assert linear_epsilon(0.5, initial=0.0, final=1.0, fraction=1.0) == pytest.approx(
        0.5
    )  # it may rise, too


def test_geometric_epsilon_multiplies_after_each_round_down_to_the_last() -> None:
    found = [geometric_epsilon(k, initial=0.8, final=0.15, decay=0.5) for k in (0, 1, 2, 3, 10**6)]
    assert found == pytest.approx([0.8, 0.4, 0.2, 0.15, 0.15])
    assert geometric_epsilon(7, initial=0.3, final=0.0, decay=1.0) == 0.3


@pytest.mark.parametrize(
    ("worker", "num_workers", "expected"),
    [
        (0, 8, 0.4),
        (1, 8, 0.16),
        (7, 8, 0.4**8),
        (0, 2, 0.4),
        (1, 2, 0.4**8),
        (1, 3, 0.4**4.5),
        (0, 1, 0.4),
        (45, 46, 0.4**8),
    ],
)
def test_per_worker_epsilon_by_hand(worker: int, num_workers: int, expected: float) -> None:
    """0.4 to the power of 1 + 7 * worker / (num_workers - 1)."""
    assert per_worker_epsilon(worker, num_workers, eps=0.4, alpha=7.0) == pytest.approx(expected)


def test_per_worker_epsilon_at_the_edges() -> None:
    assert {per_worker_epsilon(worker, 5, eps=0.25, alpha=0.0) for worker in range(5)} == {0.25}, (
        "the same epsilon for all"
    )
    assert {per_worker_epsilon(worker, 5, eps=1.0, alpha=7.0) for worker in range(5)} == {1.0}


def choose(
    q: list[list[float]], mask: list[list[int]], uniforms: NDArray[np.float64], epsilon: float
) -> list[int]:
    actions = np.full(len(q), -7, np.int64)
    epsilon_greedy(np.array(q, np.float32), np.array(mask, np.bool_), uniforms, epsilon, actions)
    return actions.tolist()


def test_greedy_is_the_best_legal_action() -> None:
    q = [[1.0, 3.0, 2.0], [1.0, 3.0, 2.0], [-5.0, -1.0, -3.0], [2.0, 2.0, 2.0], [9.0, 9.0, 9.0]]
    mask = [[1, 1, 1], [1, 0, 1], [1, 0, 1], [0, 1, 1], [0, 0, 0]]
    for uniforms in (np.zeros((5, 2)), np.full((5, 2), 0.999)):
        assert choose(q, mask, uniforms, 0.0) == [1, 2, 2, 1, -1]


NAN, INF = np.nan, np.inf


@pytest.mark.parametrize("junk", [NAN, INF, -INF])
def test_a_masked_value_counts_for_nothing(junk: float) -> None:
    q = [[junk, 1.0, 2.0], [1.0, junk, -2.0], [-1.0, junk, junk]]
    mask = [[0, 1, 1], [1, 0, 1], [1, 0, 0]]
    assert choose(q, mask, np.zeros((3, 2)), 0.0) == [2, 0, 0]


def test_whatever_the_values_are_the_action_is_legal() -> None:
    values = [NAN, INF, -INF, 0.0]
    for row in itertools.product(values, repeat=3):
        for mask in itertools.product([0, 1], repeat=3):
            for epsilon in (0.0, 1.0):
                (action,) = choose([list(row)], [list(mask)], np.array([[0.5, 0.5]]), epsilon)
                assert action == -1 if not any(mask) else mask[action] == 1


def test_random_actions_are_legal_ones_equally_often() -> None:
    """Over evenly spaced second draws each of the three legal actions gets a third, the greedy one
    included.
    """
    n = 3000
    uniforms = np.stack([np.zeros(n), (np.arange(n) + 0.5) / n], axis=1)
    actions = choose([[5.0, 0.0, 9.0, 1.0, 2.0]] * n, [[1, 0, 0, 1, 1]] * n, uniforms, 0.3)
    assert np.bincount(actions).tolist() == [1000, 0, 0, 1000, 1000]


@pytest.mark.parametrize("epsilon", [0.0, 0.05, 0.3, 1.0])
def test_epsilon_is_the_share_of_random_actions(epsilon: float) -> None:
    n = 1000
    uniforms = np.stack(
        [(np.arange(n) + 0.5) / n, np.zeros(n)], axis=1
    )  # the second draw picks the first legal action
    actions = choose([[0.0, 1.0]] * n, [[1, 1]] * n, uniforms, epsilon)
    assert actions.count(0) == round(epsilon * n)


def test_the_largest_draw_is_still_an_action() -> None:
    largest = np.nextafter(1.0, 0.0)
    for legal in range(1, 40):
        mask = [[0] * 3 + [1] * legal]
        assert choose([[0.0] * (3 + legal)], mask, np.array([[0.0, largest]]), 1.0) == [2 + legal]
        assert choose([[0.0] * (3 + legal)], mask, np.array([[largest, 0.0]]), 1.0) == [3]
