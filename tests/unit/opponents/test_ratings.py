from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sparring.opponents.ratings import EVERY, MAX_RATED, Ratings
from sparring.opponents.records import result_dtype

MU, SIGMA = 25.0, 25.0 / 3.0
BETA, TAU = 25.0 / 6.0, 25.0 / 300.0


def name_of(player: int) -> str:
    return f"player {player}"


def results(count: int, players: tuple[int, ...], returns: tuple[float, ...]) -> NDArray[Any]:
    rows = np.zeros(count, result_dtype(len(players)))
    rows["players"], rows["returns"] = players, returns
    return rows


def weng_and_lin(
    mine: tuple[float, float], other: tuple[float, float], won: bool
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Algorithm 4 of the paper (Plackett-Luce) for two teams of one, with gamma = sigma / c."""
    variances = mine[1] ** 2, other[1] ** 2
    c = math.sqrt(sum(variances) + 2 * BETA**2)
    p = 1 / (1 + math.exp((other[0] - mine[0]) / c))
    mus = [
        mine[0] + variances[0] / c * ((1 - p) if won else -p),
        other[0] + variances[1] / c * (-(1 - p) if won else p),
    ]
    sigmas = [math.sqrt(v * (1 - math.sqrt(v) / c * v / c**2 * p * (1 - p))) for v in variances]
    return (mus[0], sigmas[0]), (mus[1], sigmas[1])


@pytest.mark.parametrize("won", [True, False])
def test_one_match_by_the_formula(won: bool) -> None:
    ratings = Ratings()
    assert ratings.of("self") == ratings.of("player 1") == pytest.approx((MU, SIGMA))
    ratings.update(results(1, (1, 0), (-1, 1) if won else (1, -1)), name_of)
    mine, other = weng_and_lin(
        (MU, math.hypot(SIGMA, TAU)), (MU, SIGMA), won
    )  # tau for the agent alone
    assert ratings.of("self") == pytest.approx(mine, rel=1e-9)
    assert ratings.of("player 1") == pytest.approx(other, rel=1e-9)


def test_a_draw_moves_two_unequals_together() -> None:
    ratings = Ratings()
    ratings.update(results(1, (0, 1), (1, -1)), name_of)
    before = ratings.of("self")[0], ratings.of("player 1")[0]
    ratings.update(results(EVERY, (0, 1), (0, 0)), name_of)
    assert before[1] < ratings.of("player 1")[0] < ratings.of("self")[0] < before[0]


def test_one_match_in_sixteen_against_others_is_rated_whatever_the_rounds() -> None:
    """Matches of the agent against itself are not counted."""
    rng = np.random.default_rng(0)
    rows = results(400, (0, 1), (1, -1))
    rows["players"][:, 1] = rng.integers(0, 4, 400)
    whole, parts = Ratings(), Ratings()
    whole.update(rows, name_of)
    for start in range(0, 400, 7):
        parts.update(rows[start : start + 7], name_of)
    assert whole.get_state() == parts.get_state()
    others = rows[rows["players"][:, 1] != 0]
    by_hand = Ratings()
    for row in others[::EVERY]:
        by_hand._rate(name_of(int(row["players"][1])), 2.0)
    assert whole.get_state()["ratings"] == by_hand.get_state()["ratings"]
    assert whole.get_state()["counted"] == len(others)


def test_a_large_round_is_rated_from_all_its_parts() -> None:
    """10,240 matches: 640 would be due, 32 are rated, and not the first ones, which are all against
    player 1.
    """
    rows = results(10_240, (0, 1), (1, -1))
    rows["players"][5_120:, 1] = 2
    ratings, calls = Ratings(), []
    ratings._rate = lambda name, margin: calls.append(name)  # type: ignore[method-assign]
    ratings.update(rows, name_of)
    assert calls == ["player 1"] * (MAX_RATED // 2) + ["player 2"] * (MAX_RATED // 2)


def test_more_than_two_players_are_rated_in_pairs() -> None:
    """The agent has two seats of four: it won against both others with one, and lost to both with
    the other.
    """
    ratings, calls = Ratings(), []
    ratings._rate = lambda name, outcome: calls.append((name, outcome))  # type: ignore[method-assign]
    ratings.update(results(1, (0, 5, 0, 6), (3, 1, -2, 1)), name_of)
    assert calls == [("player 5", 1), ("player 6", 1), ("player 5", -1), ("player 6", -1)]


def test_the_agent_stays_movable_and_those_who_do_not_change_do_not() -> None:
    """Against an equal for 4,000 rated matches: the other's sigma falls below where tau keeps the
    agent's.
    """
    won, lost = results(1, (0, 1), (1, -1)), results(1, (0, 1), (-1, 1))
    ratings = Ratings()
    for turn in range(4_000):
        ratings.update(won if turn % 2 else lost, name_of)
        ratings.update(results(EVERY - 1, (0, 1), (1, -1)), name_of)  # not rated
    assert ratings.of("self")[1] > 1.3
    assert ratings.of("player 1")[1] < 0.6
    assert abs(ratings.of("self")[0] - ratings.of("player 1")[0]) < 1.0


def test_ratings_are_saved() -> None:
    ratings, restored = Ratings(), Ratings()
    ratings.update(results(21, (0, 1), (1, -1)), name_of)
    ratings.add_snapshot("snapshot:1")
    restored.set_state(ratings.get_state())
    for each in (ratings, restored):
        each.update(results(40, (0, 1), (1, -1)), name_of)
    assert restored.get_state() == ratings.get_state()
    assert restored.of("snapshot:1") == ratings.of("snapshot:1") != ratings.of("self")
