from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sparring.evaluation.score import first_place_shares
from sparring.opponents.ratings import Ratings
from sparring.opponents.records import (
    RecentRecord,
    Record,
    outcomes,
    pairwise_records,
    result_dtype,
)


def results(*matches: tuple[tuple[int, ...], tuple[float, ...]]) -> NDArray[Any]:
    """Rows of (players, returns); player 0 is the agent."""
    rows = np.zeros(len(matches), result_dtype(len(matches[0][0])))
    for row, (players, returns) in zip(rows, matches, strict=True):
        row["players"], row["returns"] = players, returns
    return rows


def test_two_players_by_hand() -> None:
    records = pairwise_records(
        results(
            ((0, 1), (1.0, -1.0)),
            ((1, 0), (1.0, -1.0)),
            ((1, 0), (-1.0, 1.0)),
            ((0, 1), (0.0, 0.0)),
            ((0, 7), (0.25, 0.5)),  # any margin decides
            ((0, 0), (1.0, -1.0)),  # the agent against itself says nothing
        )
    )
    assert records == {1: Record(wins=2, draws=1, losses=1), 7: Record(losses=1)}


TENTHS = float(np.sum(np.full(10, 0.1, np.float32), dtype=np.float32))  # 1.0000001 in float32


@pytest.mark.parametrize(
    ("own", "other", "outcome"),
    [
        (TENTHS, 1.0, 0),
        (1.0, TENTHS, 0),
        (1234.567, np.float32(1234.567), 0),  # 1234.567016...
        (0.001, 0.0, 1),
        (0.0, 0.001, -1),
        (1234.5, 1234.6, -1),
        (-1.0, -0.999, -1),
    ],
)
def test_rounding_decides_no_match_in_training_or_evaluation(
    own: float, other: float, outcome: int
) -> None:
    assert outcomes(own, other) == outcome
    rows = results(((0, 1), (own, other)))
    record = Record(wins=outcome == 1, draws=outcome == 0, losses=outcome == -1)
    assert pairwise_records(rows) == {1: record}
    assert first_place_shares(np.array([[own, other]])) == (outcome + 1) / 2
    ratings = Ratings()
    ratings.update(rows, lambda player: "other")
    assert np.sign(round(ratings.of("self")[0] - ratings.of("other")[0], 6)) == outcome


def test_four_players_by_hand() -> None:
    """Each pair of an agent's seat and an opponent's seat counts once."""
    records = pairwise_records(
        results(((0, 5, 0, 6), (1.0, 0.0, -1.0, 0.0)), ((5, 5, 0, 5), (0.0, 1.0, 0.0, -1.0)))
    )
    assert records == {
        5: Record(wins=1 + 1, draws=1, losses=1 + 1),
        6: Record(wins=1, losses=1),
    }


def test_no_results_no_records() -> None:
    assert pairwise_records(np.zeros(0, result_dtype(3))) == {}
    assert pairwise_records(results(((0, 0), (1.0, -1.0)))) == {}


def test_the_mean_score_counts_a_draw_half() -> None:
    record = Record(wins=3, draws=2, losses=5)
    assert record.matches == 10
    assert record.score == pytest.approx(0.4)


def test_records_add_up() -> None:
    record = Record(1, 2, 3)
    record.add(Record(10, 20, 30))
    assert record == Record(11, 22, 33)


def test_older_matches_count_less() -> None:
    """Half-life 2: four wins, then two losses halve them, then a draw leaves each 1/sqrt(2) of
    itself.
    """
    record = RecentRecord()
    record.add(Record(4, 0, 0), 2)
    assert record == RecentRecord(4.0, 0.0, 0.0)
    record.add(Record(0, 0, 2), 2)
    assert record == RecentRecord(2.0, 0.0, 2.0)
    record.add(Record(0, 1, 0), 2)
    root = 2.0**0.5
    assert (record.wins, record.draws, record.losses) == pytest.approx((root, 1.0, root))
    assert record.matches == pytest.approx(1 + 2 * root)
    assert record.score == pytest.approx(0.5)
    record.add(Record(0, 0, 0), 2)
    assert record.wins == pytest.approx(root)


def test_an_estimate_is_never_certain() -> None:
    assert RecentRecord().estimate == 0.5
    assert RecentRecord(8.0, 0.0, 0.0).estimate == pytest.approx(0.9)
    assert RecentRecord(0.0, 2.0, 4.0).estimate == pytest.approx(0.25)


def test_a_record_forgets_a_world_that_has_changed() -> None:
    """1,000 wins long ago, then as many losses as make ten half-lives: 2^-10 of the wins' weight is
    left.
    """
    record = RecentRecord()
    for _ in range(100):
        record.add(Record(10, 0, 0), 20)
    assert record.matches == pytest.approx(10 / (1 - 0.5**0.5))  # the sum of a geometric series
    for _ in range(20):
        record.add(Record(0, 0, 10), 20)
    assert record.score == pytest.approx(2**-10, rel=1e-6)
