from __future__ import annotations

import pytest

from sparring.cli.plot import matches_a_pair, spaced
from sparring.games import spec_of


def test_slow_games_and_many_players_get_fewer_matches() -> None:
    assert matches_a_pair(spec_of("connect_four"), 14, 30.0) == 200  # 91 pairs, 546,000 plies
    assert (
        matches_a_pair(spec_of("connect_four"), 100, 30.0) == 26
    )  # 4,000,000 / (4,950 pairs of 30 plies)
    assert matches_a_pair(spec_of("ludo(num_players=4)"), 10, 300.0) == 148  # 90 ordered pairs
    assert matches_a_pair(spec_of("openspiel:tic_tac_toe"), 14, 1000.0) == 20
    assert matches_a_pair(spec_of("tic_tac_toe"), 1, 0.0) == 200


@pytest.mark.parametrize(
    ("number", "most", "kept"),
    [
        (3, 4, [0, 1, 2]),
        (4, 4, [0, 1, 2, 3]),
        (10, 4, [0, 3, 6, 9]),
        (7, 2, [0, 6]),
        (6, 4, [0, 2, 3, 5]),
        (0, 4, []),
    ],
)
def test_spaced(number: int, most: int, kept: list[int]) -> None:
    assert spaced([str(k) for k in range(number)], most) == [str(k) for k in kept]
