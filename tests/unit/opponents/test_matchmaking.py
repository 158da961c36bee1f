from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparring.opponents.matchmaking import Matchmaking, plan_shares, snapshot_shares

SCORES = np.array([0.9, 0.5, 0.2, 0.8])


def test_self_and_uniform() -> None:
    assert snapshot_shares("self", SCORES, "hard").tolist() == [0.0, 0.0, 0.0, 1.0]
    assert snapshot_shares("uniform", SCORES, "hard").tolist() == [0.25] * 4
    assert snapshot_shares("uniform", SCORES[:1], "hard").tolist() == [1.0]


def test_recent_halves_with_every_three() -> None:
    shares = snapshot_shares("recent", np.full(7, 0.5), "hard")
    assert shares[6] == pytest.approx(2 * shares[3])
    assert shares[3] == pytest.approx(2 * shares[0])
    assert np.diff(np.log2(shares)) == pytest.approx([1 / 3] * 6)
    assert shares.sum() == pytest.approx(1.0)


def test_hard_pfsp_by_hand() -> None:
    """(1 - p)^2: 0.01 0.25 0.64 0.04, together 0.94; nine tenths by them, one tenth evenly."""
    expected = [0.9 * weight / 0.94 + 0.025 for weight in (0.01, 0.25, 0.64, 0.04)]
    assert snapshot_shares("pfsp", SCORES, "hard") == pytest.approx(expected)


def test_variance_pfsp_by_hand() -> None:
    """p (1 - p): 0.09 0.25 0.16 0.16, together 0.66."""
    expected = [0.9 * weight / 0.66 + 0.025 for weight in (0.09, 0.25, 0.16, 0.16)]
    assert snapshot_shares("pfsp", SCORES, "variance") == pytest.approx(expected)


def test_where_all_fit_a_plan_has_the_shares_themselves() -> None:
    generator = np.random.default_rng(0)
    shares = np.array([0.7, 0.2, 0.1])
    assert plan_shares(shares, 3, generator) is shares
    newest = np.array([0.0, 0.0, 0.0, 1.0])
    assert plan_shares(newest, 1, generator) is newest


@pytest.mark.parametrize("most", [1, 2, 3])
def test_over_many_plans_everyone_is_met_by_their_share(most: int) -> None:
    """Whoever is above 1 / most is named in every plan. 20,000 plans: the standard error of a mean
    is at most 0.5 / sqrt(20,000).
    """
    shares = np.array([0.55, 0.05, 0.25, 0.15])
    generator = np.random.default_rng(5)
    plans = np.array([plan_shares(shares, most, generator) for _ in range(20_000)])
    assert plans.mean(axis=0) == pytest.approx(shares, abs=4 * 0.0036)
    if most > 1:
        assert (plans[:, 0] > 0).all()


@given(
    st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12),
    st.integers(1, 12),
    st.integers(0, 2**32),
)
def test_a_plan_never_names_too_many_nor_leaves_a_part_over(
    scores: list[float], most: int, seed: int
) -> None:
    kinds: tuple[Matchmaking, ...] = ("self", "uniform", "recent")
    for kind in kinds:
        parts = plan_shares(
            snapshot_shares(kind, np.array(scores), "hard"), most, np.random.default_rng(seed)
        )
        assert np.count_nonzero(parts) <= most
        assert parts.sum() == pytest.approx(1.0)
    inner = 0.01 + 0.98 * np.array(scores)
    parts = plan_shares(snapshot_shares("pfsp", inner, "hard"), most, np.random.default_rng(seed))
    assert 1 <= np.count_nonzero(parts) <= most
    assert parts.sum() == pytest.approx(1.0)
