from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sparring.opponents.records import Record, pairwise_records, result_dtype


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


def test_four_players_by_hand() -> None:
    """Each pair of an agent's seat and an opponent's seat counts once."""
    records = pairwise_records(results(((0, 5, 0, 6), (1.0, 0.0, -1.0, 0.0)), ((5, 5, 0, 5), (0.0, 1.0, 0.0, -1.0))))
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
