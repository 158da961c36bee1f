"""Round robins of players whose results are known in advance."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from toy_game import PASS, WIN, Always, AtRandom, ToyGame

from sparring.errors import InputError
from sparring.evaluation.matches import play_matches
from sparring.evaluation.score import bootstrap_interval, first_place_shares, is_graded
from sparring.evaluation.tournament import Tournament, play_tournament, standings


def table_of(names, shares):
    """A tournament of two seats whose pairs i < j have the given shares by opening."""
    E = len(next(iter(shares.values())))
    full = np.full((len(names), len(names), E), np.nan)
    for (i, j), by_opening in shares.items():
        full[i, j], full[j, i] = by_opening, 1.0 - np.array(by_opening)
    return Tournament(tuple(names), 2, full, 2.0 * full - 1.0)


def test_a_player_that_always_wins_and_one_that_never_does():
    players = {"wins": Always(WIN), "passes": Always(PASS), "too": Always(PASS)}
    played = play_tournament(ToyGame, players, matches=20, seed=0, opening_plies=0)
    assert (played.names, played.matches) == (("wins", "passes", "too"), 20)
    nan = np.nan
    np.testing.assert_array_equal(
        played.scores(), [[nan, 1.0, 1.0], [0.0, nan, 0.5], [0.0, 0.5, nan]]
    )
    bounds = played.intervals95()
    assert bounds[0, 1].tolist() == pytest.approx([0.025 ** (1 / 10), 1.0])
    assert bounds[1, 0].tolist() == pytest.approx([0.0, 1 - 0.025 ** (1 / 10)])
    assert np.isnan(bounds[2, 2]).all()


def test_all_pairings_share_their_openings_and_are_ordinary_matches():
    """The cell is what `play_matches` gives for the two; the toy's stake of an opening is that of
    the opening in each pairing.
    """
    players = {"one": AtRandom(), "two": AtRandom(), "three": Always(WIN)}
    played = play_tournament(ToyGame, players, matches=30, seed=5, opening_plies=2)
    for row, column in ((0, 1), (0, 2), (1, 2)):
        both = list(players.values())
        table = play_matches(
            ToyGame, [both[row], both[column]], matches=30, seed=5, opening_plies=2
        )
        shares = first_place_shares(table.returns).reshape(-1, 2).mean(axis=1)
        np.testing.assert_array_equal(played.shares[row, column], shares)
        np.testing.assert_array_equal(played.shares[column, row], 1.0 - shares)
        assert played.intervals95()[row, column].tolist() == list(bootstrap_interval(shares))


def test_more_seats_are_played_both_ways():
    """In three seats one winner against two passers, and one passer between two winners of whom one
    moves before the other.
    """
    players = {"wins": Always(WIN), "passes": Always(PASS)}
    played = play_tournament(
        partial(ToyGame, num_players=3), players, matches=30, seed=0, opening_plies=0
    )
    assert played.matches == 30
    np.testing.assert_array_equal(played.scores(), [[np.nan, 1.0], [0.0, np.nan]])
    equals = {"one": Always(WIN), "two": Always(WIN)}
    played = play_tournament(
        partial(ToyGame, num_players=3), equals, matches=30, seed=0, opening_plies=0
    )
    np.testing.assert_allclose(played.scores(), [[np.nan, 1 / 3], [1 / 3, np.nan]])
    assert played.ratings("one").values == pytest.approx([0, 0], abs=1e-6)


def test_ratings_of_two_with_the_virtual_match():
    """Score 0.75 in 8 matches and half of one virtual match each: 400 log10(6.5 / 2.5)."""
    played = table_of(["a", "b"], {(0, 1): [1.0, 0.5, 1.0, 0.5]})
    rated = played.ratings("b")
    assert rated.values == pytest.approx([400 * math.log10(6.5 / 2.5), 0])
    assert rated.settled.all()
    # All four openings can come out as 0.5 or as 1 in one resample of 16: beyond 2.5 % on both
    # sides.
    assert rated.interval95[0] == pytest.approx([0, 400 * math.log10(8.5 / 0.5)], abs=1e-6)
    assert rated.interval95[1].tolist() == [0, 0]
    assert played.ratings("a").values == pytest.approx([0, -rated.values[0]])


def test_openings_are_drawn_with_all_that_was_played_from_them():
    """a and b have equal results against c, opening by opening, so they are equal in each resample,
    while c's rating has a wide interval.
    """
    alike = [1.0, 0.0, 1.0, 0.5, 1.0, 0.0, 0.5, 0.5]
    rated = table_of(["a", "b", "c"], {(0, 1): [0.5] * 8, (0, 2): alike, (1, 2): alike}).ratings(
        "a"
    )
    assert rated.interval95[1] == pytest.approx([0, 0], abs=1e-6)
    assert rated.interval95[2, 1] - rated.interval95[2, 0] > 100


def test_standings():
    played = table_of(
        ["random", "strong", "weak"], {(0, 1): [0.25, 0.0], (0, 2): [1.0, 1.0], (1, 2): [1.0, 1.0]}
    )
    table = standings(played, played.ratings("random"))
    assert [row["name"] for row in table] == ["strong", "random", "weak"]
    assert [row["score"] for row in table] == [0.9375, 0.5625, 0.0]
    assert [row["settled"] for row in table] == [True, True, False]
    assert table[1]["rating"] == 0.0
    assert table[0]["interval95"][0] < table[0]["rating"] < table[0]["interval95"][1]
    assert table == standings(played, played.ratings("random"))


def test_graded_matches_rank_players_by_their_mean_returns():
    """`often` wins 3 of 4 openings by 1 and loses one by 6."""
    shares, returns = np.full((2, 2, 2, 4), np.nan)
    shares[0, 1], returns[0, 1] = [1, 1, 1, 0], [1, 1, 1, -6]
    shares[1, 0], returns[1, 0] = 1 - shares[0, 1], -returns[0, 1]
    first, second = standings(Tournament(("often", "much"), 2, shares, returns, graded=True), None)
    assert (first["name"], first["mean_return"], first["score"]) == ("much", 0.75, 0.25)
    assert (second["name"], second["mean_return"]) == ("often", -0.75)
    assert "rating" not in first
    low, high = first["return_interval95"]
    assert -1.0 == low < 0.75 < high <= 6.0


def test_the_toy_game_with_stakes_is_graded_and_pays_what_its_matches_pay():
    players = {"wins": Always(WIN), "passes": Always(PASS)}
    played = play_tournament(ToyGame, players, matches=40, seed=0, opening_plies=0)
    table = play_matches(ToyGame, list(players.values()), matches=40, seed=0, opening_plies=0)
    assert played.graded == is_graded(table.returns)
    assert played.mean_returns()[0, 1] == pytest.approx(table.returns[:, 0].mean())
    assert played.mean_returns()[1, 0] == pytest.approx(table.returns[:, 1].mean())
    assert played.cut == int(table.truncated.sum())


def test_a_tournament_needs_two_players():
    with pytest.raises(
        InputError, match=r"needs opponents: got one, expected at least two players"
    ):
        play_tournament(ToyGame, {"one": AtRandom()}, matches=2, seed=0, opening_plies=0)
