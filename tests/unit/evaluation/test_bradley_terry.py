"""Ratings against numbers worked out by hand, and against a slow ascent of the likelihood as the
formula has it.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sparring.evaluation.tournament import bradley_terry_ratings, settled


def table(
    players: int, results: dict[tuple[int, int], tuple[float, float]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    wins, losses = np.zeros((2, players, players))
    for pair, (won, lost) in results.items():
        wins[pair], losses[pair] = won, lost
    return wins, losses


def slow(
    wins: NDArray[np.float64], losses: NDArray[np.float64], others: int, steps: int = 20_000
) -> NDArray[np.float64]:
    """Minorise and maximise the likelihood (Hunter, "MM algorithms for generalized Bradley-Terry
    models", 2004), player by player.

    With strengths s, the row player is expected to be first with s_i / (s_i + m s_j).
    """
    K, m = len(wins), others
    s = [1.0] * K
    for _ in range(steps):
        for i in range(K):
            taken = sum(wins[i][j] + losses[j][i] for j in range(K))
            spread = sum(
                (wins[i][j] + losses[i][j]) / (s[i] + m * s[j]) for j in range(K) if j != i
            )
            spread += sum(
                m * (wins[j][i] + losses[j][i]) / (s[j] + m * s[i]) for j in range(K) if j != i
            )
            s[i] = taken / spread
        s = [strength / s[0] for strength in s]
    return np.array([400 * math.log10(strength) for strength in s])


@pytest.mark.parametrize("p", [0.1, 0.5, 0.75, 10 / 11])
def test_two_players(p: float) -> None:
    """A score of 10/11 is 400 points."""
    wins, losses = table(2, {(1, 0): (100 * p, 100 - 100 * p)})
    assert bradley_terry_ratings(wins, losses, zero=0, virtual_matches=0) == pytest.approx(
        [0, 400 * math.log10(p / (1 - p))]
    )
    assert bradley_terry_ratings(wins, losses, zero=1, virtual_matches=0) == pytest.approx(
        [-400 * math.log10(p / (1 - p)), 0]
    )


def test_the_virtual_match_bounds_a_player_that_never_loses() -> None:
    wins, losses = table(2, {(0, 1): (0.0, 100.0)})
    assert bradley_terry_ratings(wins, losses, zero=0) == pytest.approx(
        [0, 400 * math.log10(100.5 / 0.5)]
    )
    wins, losses = table(
        2, {(0, 1): (100.0, 0.0)}
    )  # one seat against three: of equals the row takes a quarter, the virtual match too
    assert bradley_terry_ratings(wins, losses, zero=1, others=3) == pytest.approx(
        [400 * math.log10(3 * 100.25 / 0.75), 0]
    )


def test_equals_of_four_are_first_in_a_quarter() -> None:
    wins, losses = table(2, {(0, 1): (25.0, 75.0), (1, 0): (25.0, 75.0)})
    assert bradley_terry_ratings(wins, losses, zero=0, others=3) == pytest.approx([0, 0], abs=1e-6)
    wins, losses = table(2, {(0, 1): (50.0, 50.0)})  # s / (s + 3) = 1/2: three times as strong
    assert bradley_terry_ratings(
        wins, losses, zero=1, others=3, virtual_matches=0
    ) == pytest.approx([400 * math.log10(3), 0])


def test_a_chain_adds_up() -> None:
    """0 and 2 never played: 10/11 and 10/11 are 800 points."""
    wins, losses = table(3, {(2, 1): (10.0, 1.0), (1, 0): (10.0, 1.0)})
    assert bradley_terry_ratings(wins, losses, zero=0, virtual_matches=0) == pytest.approx(
        [0, 400, 800]
    )


@settings(max_examples=10)
@given(st.integers(1, 3), st.lists(st.floats(1, 60), min_size=12, max_size=12))
def test_three_players_against_a_slow_ascent(others: int, counts: list[float]) -> None:
    pairs = [(0, 1), (0, 2), (1, 2), (1, 0), (2, 0), (2, 1)]
    wins, losses = table(
        3, {pair: (counts[2 * i], counts[2 * i + 1]) for i, pair in enumerate(pairs)}
    )
    expected = slow(wins, losses, others, steps=400)
    assert bradley_terry_ratings(
        wins, losses, zero=0, others=others, virtual_matches=0
    ) == pytest.approx(expected, abs=1e-4)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 500), min_size=20, max_size=20))
def test_the_fit_expects_the_points_that_were_taken(counts: list[int]) -> None:
    """At the greatest likelihood each player's expected points are its points, virtual ones too:
    here for one-sided results as well.
    """
    pairs = [(i, j) for i in range(5) for j in range(i + 1, 5)]
    wins, losses = table(
        5, {pair: (counts[2 * i], counts[2 * i + 1] or 1) for i, pair in enumerate(pairs)}
    )
    met = np.triu(np.ones((5, 5)), 1)
    fitted = bradley_terry_ratings(wins, losses, zero=0)
    wins, losses = wins + 0.5 * met, losses + 0.5 * met
    matches = wins + losses + (wins + losses).T
    for i in range(5):
        taken = wins[i].sum() + losses[:, i].sum()
        expected = sum(
            matches[i, j] / (1 + 10 ** ((fitted[j] - fitted[i]) / 400)) for j in range(5)
        )
        assert taken == pytest.approx(expected, abs=1e-4)


def test_tables_are_fitted_one_by_one() -> None:
    generator = np.random.default_rng(0)
    wins, losses = np.triu(generator.integers(0, 50, (2, 4, 6, 6)), 1).astype(float)
    together = bradley_terry_ratings(wins, losses, zero=2)
    for b in range(4):
        assert together[b] == pytest.approx(
            bradley_terry_ratings(wins[b], losses[b], zero=2), abs=1e-6
        )


def test_settled_by_chains_of_points_both_ways() -> None:
    """1 and 0 took points from each other; 2 only lost to 1; 3 beat everybody and 4 took a point
    from it, and none from others.
    """
    wins, losses = table(
        5,
        {
            (0, 1): (9.0, 1.0),
            (1, 2): (5.0, 0.0),
            (3, 0): (5.0, 0.0),
            (3, 4): (4.0, 1.0),
            (4, 1): (3.0, 0.0),
        },
    )
    assert settled(wins, losses, zero=0).tolist() == [True, True, False, False, False]
    assert settled(wins, losses, zero=3).tolist() == [False, False, False, True, True]
    ring = {(i, (i + 1) % 7): (1.0, 0.0) for i in range(7)}
    assert settled(*table(7, ring), zero=3).all()
