"""The whole of evaluation on the built-in games, with figures that are known from elsewhere."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest

from sparring import games
from sparring.errors import ConfigurationError, InputError
from sparring.evaluation import evaluate, play_matches, score_matches
from sparring.opponents.scripted import RandomPlayer, scripted_player

TIC_TAC_TOE = partial(games.make, "tic_tac_toe")


@pytest.mark.parametrize("opening_plies", [0, 4])
def test_random_against_random_in_tic_tac_toe(opening_plies):
    # All 9! orders counted: the first player wins 0.5849, the second 0.2881, 0.1270 are drawn.
    # 20,000 matches: standard deviations up to 0.0035; within four of them. Random opening plies
    # change nothing, as no player wins within four plies.
    players = [scripted_player("random"), scripted_player("random")]
    table = play_matches(
        TIC_TAC_TOE, players, matches=20_000, seed=1, opening_plies=opening_plies, num_slots=1024
    )
    first = np.where(table.seat == 0, table.returns[:, 0], table.returns[:, 1])
    assert (first == 1).mean() == pytest.approx(0.5849, abs=0.014)
    assert (first == -1).mean() == pytest.approx(0.2881, abs=0.013)
    assert (first == 0).mean() == pytest.approx(0.1270, abs=0.010)
    low, high = score_matches(table).interval95
    assert low < 0.5 < high
    assert not table.truncated.any()


@pytest.mark.parametrize("game", ["tic_tac_toe", "connect_four"])
def test_the_shape_of_the_figures(game):
    figures = evaluate(scripted_player("one_ply"), game, ["random", "one_ply"], matches=101, seed=0)
    figures = json.loads(json.dumps(figures))
    assert list(figures["opponents"]) == ["random", "one_ply"]
    for result in figures["opponents"].values():
        assert result["matches"] == result["wins"] + result["draws"] + result["losses"] == 102
        assert result["score"] == (result["wins"] + result["draws"] / 2) / 102
        assert result["score"] == pytest.approx(sum(result["seats"]) / 2)
        assert result["interval95"][0] <= result["score"] <= result["interval95"][1]
    assert figures["opponents"]["random"]["score"] > 0.7
    assert 0.3 < figures["opponents"]["one_ply"]["score"] < 0.7


def test_openings_have_as_many_plies_as_asked_for_or_the_usual_ones():
    def figures(**asked):
        return evaluate(
            scripted_player("one_ply"), "connect_four", ["random"], matches=60, seed=1, **asked
        )

    assert figures() == figures(opening_plies=4)
    assert figures() != figures(opening_plies=0)
    with pytest.raises(InputError, match="opening_plies"):
        figures(opening_plies=-1)


def test_the_seed_decides():
    def figures(seed):
        return evaluate(
            scripted_player("random"), "connect_four", ["random"], matches=100, seed=seed
        )

    assert figures(1) == figures(1)
    assert figures(1) != figures(2)


@pytest.mark.parametrize("num_slots", [1, 7, 64])
def test_real_games_do_not_depend_on_the_number_of_slots(num_slots):
    players = [scripted_player("one_ply"), scripted_player("random")]
    make_game = partial(games.make, "connect_four")
    few = play_matches(make_game, players, matches=60, seed=4, num_slots=num_slots)
    many = play_matches(make_game, players, matches=60, seed=4)
    np.testing.assert_array_equal(few.returns, many.returns)
    np.testing.assert_array_equal(few.plies, many.plies)


def test_an_unknown_opponent_is_refused_before_any_match():
    with pytest.raises(ConfigurationError, match="did you mean 'random'"):
        evaluate(
            scripted_player("random"), "tic_tac_toe", ["one_ply", "randon"], matches=10**9, seed=0
        )


@pytest.mark.parametrize(("game", "plies"), [("tic_tac_toe", 1), ("connect_four", 4)])
def test_openings_are_shorter_in_a_short_game(game, plies):
    seen = []

    class Spy(RandomPlayer):
        def act(self, game, slots, uniforms):
            seen.append(int(game.plies[slots].min()))
            return super().act(game, slots, uniforms)

    evaluate(Spy(), game, ["one_ply"], matches=20, seed=0)
    assert min(seen) == plies
