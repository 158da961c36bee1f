from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparring.evaluation.matches import PlayedMatches
from sparring.evaluation.score import (
    Score,
    bootstrap_interval,
    first_place_shares,
    is_graded,
    score_matches,
    score_solo,
    wilson_interval,
)


def table(returns):
    """A table of matches from returns [openings, P, P]: opening, rotation, player."""
    returns = np.asarray(returns, float)
    K, P, _ = returns.shape
    return PlayedMatches(
        opening=np.repeat(np.arange(K), P),
        seat=np.tile(np.arange(P), K),
        returns=returns.reshape(K * P, P),
        plies=np.ones(K * P, np.int64),
        truncated=np.zeros(K * P, np.bool_),
        sequence=np.arange(K * P, dtype=np.uint64),
    )


WON, DRAWN, LOST = (1, -1), (0, 0), (-1, 1)


def test_a_score_by_hand():
    score = score_matches(table([[WON, LOST], [WON, DRAWN], [DRAWN, DRAWN], [WON, WON]]))
    assert (score.matches, score.wins, score.draws, score.losses) == (8, 4, 3, 1)
    assert score.score == (4 + 3 / 2) / 8
    assert score.seats == (3.5 / 4, 2.0 / 4)
    low, high = score.interval95
    assert 0.5 <= low < score.score < high <= 1


def test_cut_matches_are_counted_apart_from_draws():
    played = table([[WON, LOST], [DRAWN, DRAWN]])
    played.truncated[:] = [False, True, False, True]
    score = score_matches(played)
    assert (score.wins, score.draws, score.losses, score.cut) == (1, 1, 0, 2)
    assert score.matches == 4


@pytest.mark.parametrize(
    ("returns", "graded"),
    [
        ([[1, -1], [-1, 1], [0, 0]], False),
        ([[1, -1], [-2, 2]], True),
        ([[1, -1 / 3, -1 / 3, -1 / 3], [-1 / 3, -1 / 3, 1, -1 / 3], [0, 0, 0, 0]], False),
        ([[1, 0.5], [0.5, 1]], False),
        ([[1, 0.5], [0.25, 1]], True),
        ([[0.1 + 0.2, -0.3], [-0.3, 0.3]], False),  # equal up to rounding
    ],
)
def test_matches_are_graded_where_a_win_or_loss_pays_different_amounts(returns, graded):
    assert is_graded(np.array(returns, float)) == graded


def test_the_mean_return_by_hand():
    """Three small wins and a large loss: a good score, and a bad return."""
    score = score_matches(table([[(1, -1), (1, -1)], [(1, -1), (-9, 9)]]))
    assert score.graded
    assert (score.score, score.mean_return) == (0.75, -1.5)
    assert score.return_seats == (1.0, -4.0)
    low, high = score.return_interval95
    assert (low, high) == (-4.0, 1.0)  # of two openings, with means 1 and -4


def test_the_interval_of_equal_returns_reaches_towards_the_other_players():
    """All matches pay 2 and -2: any other opening may pay -2."""
    score = score_matches(table([[(2, -2), (2, -2)]] * 10))
    assert score.return_interval95 == pytest.approx((2 - 4 * (1 - 0.025**0.1), 2))


def test_one_player_is_scored_by_its_returns():
    played = table([[[1.0]], [[-1.0]], [[-1.0]], [[0.0]]])
    score = score_solo(played)
    assert (score.matches, score.cut, score.mean_return) == (4, 0, -0.25)
    assert score.return_interval95[0] < -0.25 < score.return_interval95[1]
    assert json.loads(json.dumps(score.as_dict())).keys() == {
        "matches",
        "distinct",
        "cut",
        "mean_return",
        "return_interval95",
    }


def test_the_share_of_the_first_place():
    returns = np.array(
        [
            [1.0, -0.5, -0.5],  # first
            [0.5, 0.5, -1.0],  # shared with one
            [0.0, 0.0, 0.0],  # shared with two
            [-0.5, 1.0, -0.5],  # last
            [-1.0, 0.5, 0.5],  # last, others share
            [0.1 + 0.2, 0.3, 0.0],  # equal up to rounding
        ]
    )
    np.testing.assert_allclose(
        first_place_shares(returns), [1, 1 / 2, 1 / 3, 0, 0, 1 / 2], rtol=0, atol=1e-15
    )


def test_three_players():
    score = score_matches(table([[(1, -0.5, -0.5), (-0.5, 1, -0.5), (0, 0, 0)]]))
    assert (score.wins, score.draws, score.losses) == (1, 1, 1)
    assert score.score == pytest.approx((1 + 1 / 3) / 3)
    assert score.seats == pytest.approx((1, 0, 1 / 3))


def test_a_score_is_printed_as_json():
    printed = json.loads(json.dumps(score_matches(table([[WON, LOST], [WON, DRAWN]])).as_dict()))
    assert printed.keys() == {field.name for field in dataclasses.fields(Score)}
    assert printed["matches"] == 4
    assert printed["seats"] == [1.0, 0.25]
    assert len(printed["interval95"]) == 2


def test_the_interval_equals_a_slow_bootstrap():
    clusters = np.random.default_rng(0).choice([0, 0.25, 0.5, 1], size=80, p=[0.1, 0.2, 0.3, 0.4])
    rng = np.random.default_rng(1)
    means = [rng.choice(clusters, size=80).mean() for _ in range(4000)]
    np.testing.assert_allclose(
        bootstrap_interval(clusters), np.quantile(means, [0.025, 0.975]), atol=0.006
    )
    assert bootstrap_interval(clusters) == bootstrap_interval(clusters)


@pytest.mark.parametrize("openings", [1, 20, 500])
def test_the_interval_of_equal_openings_is_clopper_pearson(openings):
    low, high = bootstrap_interval(np.ones(openings))
    assert high == 1.0
    assert low**openings == pytest.approx(
        0.025
    )  # the smallest p at which that many wins in a row still have chance 2.5 %
    assert bootstrap_interval(np.zeros(openings)) == (0.0, pytest.approx(1 - low))
    low_half, high_half = bootstrap_interval(np.full(openings, 0.5))
    assert low_half + high_half == pytest.approx(1.0)
    assert high_half - low_half == pytest.approx(1 - low)


def test_the_interval_of_1000_wins_as_documented():
    low, high = score_matches(table([[WON, WON]] * 500)).interval95
    assert (round(low, 4), high) == (0.9926, 1.0)


@pytest.mark.parametrize(("strength", "floor"), [(0.5, 0.92), (0.8, 0.92), (0.985, 0.88)])
def test_the_interval_covers_the_truth(strength, floor):
    """Openings differ, and both matches from one opening mostly end alike, as with deterministic
    players.

    Counted over matches instead of openings the interval would be too short by up to sqrt(2) and
    cover 84 %. Close to 1 the percentile bootstrap covers somewhat less than 95 %, as it does for
    any share close to its bound.
    """
    rng = np.random.default_rng(int(strength * 1000))
    trials, openings = 500, 250
    covered = naive = 0
    for _ in range(trials):
        first = (rng.random(openings) < strength).astype(float)
        same = rng.random(openings) < 0.9
        second = np.where(same, first, rng.random(openings) < strength)
        low, high = bootstrap_interval((first + second) / 2)
        covered += low <= strength <= high
        low, high = bootstrap_interval(np.concatenate([first, second]))
        naive += low <= strength <= high
    assert floor <= covered / trials <= 0.985
    assert naive < covered


def test_wilson_by_the_book() -> None:
    """Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I, method
    3.
    """
    assert wilson_interval(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(15 / 148, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson_interval(0.0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson_interval(1 / 29, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)
    assert wilson_interval(None, 0) == (0.0, 1.0)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_bounds_are_1_96_standard_errors_of_their_own_away(counted: tuple[int, int]) -> None:
    wins, n = counted
    low, high = wilson_interval(wins / n, n)
    assert 0.0 <= low <= wins / n + 1e-12
    assert wins / n <= high + 1e-12
    for bound in (bound for bound in (low, high) if 1e-9 < bound < 1 - 1e-9):
        assert abs(wins / n - bound) == pytest.approx(
            1.959964 * (bound * (1 - bound) / n) ** 0.5, rel=1e-4, abs=1e-9
        )
