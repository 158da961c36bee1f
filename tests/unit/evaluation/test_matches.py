from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from toy_game import AGAIN, MAX_PLIES, PASS, WIN, Always, AtRandom, ToyGame

from sparring.errors import IllegalAction, InputError
from sparring.evaluation.matches import play_matches
from sparring.evaluation.score import score_matches


def assert_same(one, other):
    for name in ("opening", "seat", "returns", "plies", "truncated", "sequence"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def test_a_player_that_always_wins_does():
    table = play_matches(ToyGame, [Always(WIN), Always(PASS)], matches=40, seed=0)
    score = score_matches(table)
    assert (score.wins, score.draws, score.losses, score.score) == (40, 0, 0, 1.0)
    assert score.seats == (1.0, 1.0)
    turned = score_matches(play_matches(ToyGame, [Always(PASS), Always(WIN)], matches=40, seed=0))
    assert (turned.wins, turned.losses, turned.score) == (0, 40, 0.0)


def test_the_first_mover_wins():
    table = play_matches(ToyGame, [Always(WIN), Always(WIN)], matches=40, seed=0, opening_plies=0)
    np.testing.assert_array_equal(table.returns[:, 0] > 0, table.seat == 0)
    assert score_matches(table).seats == (1.0, 0.0)
    assert table.plies.tolist() == [1] * 40


def test_a_cut_match_is_neither_won_drawn_nor_lost():
    table = play_matches(ToyGame, [Always(AGAIN), Always(PASS)], matches=10, seed=0)
    assert table.truncated.all()
    assert table.plies.tolist() == [MAX_PLIES] * 10
    score = score_matches(table)
    assert (score.wins, score.draws, score.losses, score.cut) == (0, 0, 0, 10)


@pytest.mark.parametrize("num_players", [2, 3, 4])
def test_every_player_gets_every_seat_equally_often(num_players):
    players = [Always(WIN)] + [Always(PASS) for _ in range(num_players - 1)]
    table = play_matches(partial(ToyGame, num_players=num_players), players, matches=21, seed=0)
    assert len(table.seat) == -(-21 // num_players) * num_players
    assert np.bincount(table.seat).tolist() == [len(table.seat) // num_players] * num_players
    np.testing.assert_array_equal(table.opening, np.arange(len(table.seat)) // num_players)
    assert (table.returns[:, 0] > 0).all()


def test_returns_stand_by_player_not_by_seat():
    # The winner is entry 1; whatever its seat, column 1 has the prize and the others share the
    # loss.
    players = [Always(PASS), Always(WIN), Always(PASS)]
    table = play_matches(partial(ToyGame, num_players=3), players, matches=60, seed=0)
    stake = table.returns[:, 1]
    np.testing.assert_array_equal(table.returns, stake[:, None] * np.array([-0.5, 1.0, -0.5]))
    assert set(stake.tolist()) == {1.0, 2.0}
    # The game's chance belongs to the opening: the three rotations of one opening play for the same
    # stake.
    assert (stake.reshape(-1, 3) == stake[::3, None]).all()


def test_rewards_add_up_over_a_match_and_its_opening():
    game = partial(ToyGame, wage=0.125)
    table = play_matches(game, [Always(AGAIN), Always(PASS)], matches=2, seed=0, opening_plies=0)
    # In seat 0 it keeps the turn for all eight plies; in seat 1 it gets the turn after one.
    np.testing.assert_array_equal(table.returns, [[8 / 8, 0], [7 / 8, 0]])
    lines = play_matches(game, [Always(PASS), Always(PASS)], matches=40, seed=0, opening_plies=3)
    # Nobody works after the opening, so both rotations of an opening pay the same to the seats, and
    # so crosswise to the players.
    np.testing.assert_array_equal(lines.returns[::2], lines.returns[1::2, ::-1])
    assert {0.0, 1 / 8, 2 / 8, 3 / 8} >= set(lines.returns.ravel().tolist()) > {0.0, 1 / 8}


@pytest.mark.parametrize("num_slots", [1, 3, 64])
def test_the_result_does_not_depend_on_the_number_of_slots(num_slots):
    def play(slots, seed=7):
        return play_matches(
            partial(ToyGame, num_players=3),
            [AtRandom(), AtRandom(), Always(PASS)],
            matches=60,
            seed=seed,
            num_slots=slots,
        )

    assert_same(play(num_slots), play(256))
    assert not np.array_equal(play(num_slots, seed=8).returns, play(num_slots).returns)


@pytest.mark.parametrize("num_slots", [3, 64])
def test_matches_with_the_same_moves_are_counted_once(num_slots):
    game = ToyGame(num_slots)
    players = [AtRandom(), Always(PASS)]
    table = play_matches(
        lambda _: game, players, matches=60, seed=0, opening_plies=0, num_slots=num_slots
    )
    lines = [tuple(action for _, action in line) for _, line in game.log]
    assert len(lines) == 60
    assert 5 < table.distinct == score_matches(table).distinct == len(set(lines)) < 60
    fixed = [Always(PASS), Always(PASS)]
    assert play_matches(ToyGame, fixed, matches=60, seed=0, opening_plies=0).distinct == 1
    # the moves of openings count
    assert 1 < play_matches(ToyGame, fixed, matches=60, seed=0, opening_plies=3).distinct <= 8
    first = play_matches(ToyGame, [Always(WIN)] * 2, matches=2, seed=0, opening_plies=0)
    other = play_matches(ToyGame, [Always(AGAIN)] * 2, matches=2, seed=0, opening_plies=0)
    assert first.sequence[0] != other.sequence[0]


def test_every_decision_has_its_own_draws():
    player, other = AtRandom(), AtRandom()
    play_matches(ToyGame, [player, other], matches=100, seed=0)
    draws = player.draws + other.draws
    assert len(set(draws)) == len(draws) > 150
    values = np.array(draws)
    assert values.min() >= 0
    assert values.max() < 1
    np.testing.assert_allclose(
        values.mean(axis=0), 0.5, atol=0.08
    )  # standard deviation 0.29 / sqrt(150) = 0.024


def test_one_call_a_tick_for_a_player_with_several_seats():
    crowd = Always(PASS)
    play_matches(
        partial(ToyGame, num_players=4),
        [Always(PASS), crowd, crowd, crowd],
        matches=32,
        seed=0,
        opening_plies=0,
    )
    # Seats move in step in this game: at each of the eight plies the crowd decides in 24 of the 32
    # matches, in one call.
    assert crowd.calls == [24] * MAX_PLIES


def test_free_slots_take_the_next_match():
    game = {}

    def make_game(num_slots):
        game["slots"] = num_slots
        return ToyGame(num_slots)

    slow, fast = Always(PASS), Always(WIN)
    table = play_matches(make_game, [fast, slow], matches=10, seed=0, opening_plies=0, num_slots=4)
    assert game["slots"] == 4
    assert table.plies.tolist() == [1, 2] * 5
    # Fifteen plies on four slots; with the next match begun at once no tick but the last leaves
    # more than one slot idle.
    assert len(fast.calls) <= 5
    play_matches(make_game, [fast, slow], matches=10, seed=0, num_slots=256)
    assert game["slots"] == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"matches": 0}, "matches is too small: got 0, expected at least 1"),
        ({"opening_plies": -1}, "opening_plies is too small: got -1, expected at least 0"),
        ({"num_slots": 0}, "num_slots is too small: got 0, expected at least 1"),
    ],
)
def test_bad_numbers_are_refused(arguments, message):
    with pytest.raises(InputError, match=f"^{message}$"):
        play_matches(
            ToyGame, [Always(WIN), Always(PASS)], **({"matches": 4, "seed": 0} | arguments)
        )


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_player_for_each_seat(count):
    with pytest.raises(
        InputError,
        match=f"^wrong number of players: got {count}, expected one for each of 2 seats$",
    ):
        play_matches(ToyGame, [Always(WIN)] * count, matches=4, seed=0)


def test_a_player_that_does_not_move_is_refused():
    with pytest.raises(IllegalAction, match="'always -1' chose action -1, expected 0 to 2"):
        play_matches(ToyGame, [Always(-1), Always(PASS)], matches=4, seed=0)
