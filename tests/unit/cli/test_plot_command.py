from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sparring.cli import plot
from sparring.cli.plot import evenly_spaced, matches_per_pair
from sparring.evaluation.tournament import Tournament, standings
from sparring.games import spec_of


def test_the_payoff_matrix_lists_the_strongest_player_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """b beats a and c, a beats c; rows, columns and ratings are in the same order."""
    shares = np.full((3, 3, 1), np.nan)
    for row, column in ((1, 0), (1, 2), (0, 2)):
        shares[row, column], shares[column, row] = 0.75, 0.25
    played = Tournament(("a", "b", "c"), 2, shares, 2 * shares - 1)
    drawn: list[Any] = []
    monkeypatch.setattr(plot, "save_payoff", lambda *arguments, **_: drawn.append(arguments))
    plot.draw_payoff(Path("payoff.png"), played, played.ratings("a"), "title")
    [(_, names, scores, ratings)] = drawn
    assert names == ["b", "a", "c"]
    assert ratings == sorted(ratings, reverse=True)
    assert np.nan_to_num(scores, nan=-1.0).tolist() == [
        [-1, 0.75, 0.75],
        [0.25, -1, 0.75],
        [0.25, 0.25, -1],
    ]


def test_ratings_are_fitted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fit of resampled tables takes most of the time after the matches."""
    shares = np.full((2, 2, 4), 0.5)
    played = Tournament(("a", "b"), 2, shares, 2 * shares - 1)
    ratings = played.ratings("a")
    monkeypatch.setattr(Tournament, "ratings", lambda *_: pytest.fail("fitted again"))
    assert len(standings(played, ratings)) == 2
    monkeypatch.setattr(plot, "save_payoff", lambda *_, **__: None)
    plot.draw_payoff(Path("payoff.png"), played, ratings, "title")


def test_slow_games_and_many_players_get_fewer_matches() -> None:
    assert matches_per_pair(spec_of("connect_four"), 14, 30.0) == 200  # 91 pairs, 546,000 plies
    assert (
        matches_per_pair(spec_of("connect_four"), 100, 30.0) == 26
    )  # 4,000,000 / (4,950 pairs of 30 plies)
    assert matches_per_pair(spec_of("ludo(num_players=4)"), 10, 300.0) == 148  # 90 ordered pairs
    assert matches_per_pair(spec_of("openspiel:tic_tac_toe"), 14, 1000.0) == 20
    assert matches_per_pair(spec_of("tic_tac_toe"), 1, 0.0) == 200


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
def test_evenly_spaced(number: int, most: int, kept: list[int]) -> None:
    assert evenly_spaced([str(k) for k in range(number)], most) == [str(k) for k in kept]
