"""Hand-made positions for each rule of backgammon, in words of `action_text`."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from sparring.games import make, spec_of
from sparring.games.backgammon import full, rules, winloss

MATCHES = 200


def position(own, other, *dice, seat=0):
    """A state; `own` and `other` map places to checkers, each in its seat's own numbers, and the
    rest is borne off. Four equal dice are a double.
    """
    state = np.zeros(1, rules.STATE)[0]
    for of_seat, places in ((seat, own), (1 - seat, other)):
        for place, count in places.items():
            state["checkers"][of_seat, place] = count
        state["checkers"][of_seat, rules.OFF] += 15 - sum(places.values())
    state["seat"] = seat
    if len(set(dice)) == 2:
        state["dice"] = sorted(dice, reverse=True)
    else:
        state["dice"], state["repeats"] = (dice[0], 0), len(dice) - 1
    return state


def actions(state):
    mask = np.zeros(50, np.bool_)
    rules.legal(state, mask)
    return {winloss.action_text(state, action): action for action in np.flatnonzero(mask).tolist()}


def moves(state):
    return set(actions(state))


def moved(state, *texts, by=winloss):
    """The state after these moves, what the last one paid seat 0, and whether it won."""
    state, rewards, won = state.copy(), np.zeros(2), False
    for text in texts:
        assert not won
        won = by.move(state, actions(state)[text], rewards, None)
    return state, rewards.tolist(), won


def pips(state, seat):
    return int(np.arange(26) @ state["checkers"][seat])


def started(name="backgammon", slots=MATCHES):
    game = make(name, slots)
    game.reset(np.arange(slots), np.arange(slots, dtype=np.uint64))
    return game


def states_of(game):
    return game.get_state()["states"]


def test_the_opening_position_is_that_of_backgammon():
    states = states_of(started())
    assert (states["checkers"] == states["checkers"][0, 0]).all()
    assert states["checkers"][0, 0].nonzero()[0].tolist() == [6, 8, 13, 24]
    assert pips(states[0], 0) == pips(states[0], 1) == 167


def test_the_higher_of_two_different_dice_begins_and_both_are_played():
    states = states_of(started(slots=3000))
    assert (states["dice"][:, 0] > states["dice"][:, 1]).all()
    assert (states["dice"][:, 1] > 0).all()
    assert 1350 < states["seat"].sum() < 1650
    rolls = Counter(map(tuple, states["dice"].tolist()))
    assert len(rolls) == 15
    assert 140 < min(rolls.values()) <= max(rolls.values()) < 260


def test_later_throws_are_those_of_two_dice():
    begun = position({24: 1}, {24: 1}, 1)
    rolls = Counter()
    for key in range(3600):
        state = begun.copy()
        winloss.play(state, actions(state)["1: 24/23"], np.zeros(2), np.array([key, 0], np.uint64))
        assert state["seat"] == 1
        rolls[int(state["dice"][0]), int(state["dice"][1]), int(state["repeats"])] += 1
    doubles = [count for (_, low, repeats), count in rolls.items() if not low and repeats == 3]
    others = [count for (_, low, repeats), count in rolls.items() if low and not repeats]
    assert len(doubles) == 6
    assert len(others) == 15
    assert 60 < min(doubles) <= max(doubles) < 140
    assert 150 < min(others) <= max(others) < 250


@pytest.mark.parametrize("seat", [0, 1])
def test_both_dice_are_played_in_either_order_and_then_the_turn_passes(seat):
    state = position({13: 2, 8: 13}, {24: 15}, 3, 1, seat=seat)
    assert moves(state) == {"3: 13/10", "3: 8/5", "1: 13/12", "1: 8/7"}
    state, _, _ = moved(state, "1: 13/12")
    assert state["seat"] == seat
    assert moves(state) == {"3: 13/10", "3: 12/9", "3: 8/5"}
    state, _, _ = moved(state, "3: 12/9")
    assert state["seat"] == 1 - seat
    assert state["dice"].tolist() == [0, 0]
    assert state["checkers"][seat].nonzero()[0].tolist() == [8, 9, 13]


def test_a_double_is_played_four_times():
    state = position({24: 15}, {24: 15}, 2, 2, 2, 2)
    for left in (3, 2, 1, 0):
        assert state["seat"] == 0
        assert all(text.startswith("2: ") for text in moves(state))
        state, _, _ = moved(state, "2: 24/22")
        assert state["repeats"] == max(left - 1, 0)
    assert state["seat"] == 1
    assert state["checkers"][0, 22] == 4


def test_a_double_ends_where_it_cannot_be_played_on():
    state = position({20: 1}, {11: 2, 8: 2}, 3, 3, 3, 3)  # points 14 and 17 are held
    assert moves(state) == set()
    state = position({20: 1}, {11: 2}, 3, 3, 3, 3)  # point 14
    state, _, _ = moved(state, "3: 20/17")
    assert state["seat"] == 1


def test_two_checkers_hold_a_point_and_one_does_not():
    assert moves(position({20: 2}, {10: 2, 8: 1}, 5, 3)) == {"3: 20/17*"}


def test_a_hit_checker_goes_to_the_bar_and_enters_first():
    state, _, _ = moved(position({20: 1, 6: 2}, {8: 1, 24: 14}, 3), "3: 20/17*")
    assert state["checkers"][1].nonzero()[0].tolist() == [24, 25]
    assert state["checkers"][1, 25] == 1
    state["dice"] = 4, 2
    assert moves(state) == {"4: bar/21", "2: bar/23"}
    state, _, _ = moved(state, "2: bar/23")
    assert moves(state) == {"4: 24/20"}  # 19 is held


def test_two_on_the_bar_enter_with_both_dice_before_anything_else():
    state = position({25: 2, 13: 5}, {24: 2}, 6, 3)
    assert moves(state) == {"6: bar/19", "3: bar/22"}
    assert moves(moved(state, "6: bar/19")[0]) == {"3: bar/22"}


def test_a_die_that_does_not_enter_is_lost_while_one_waits_on_the_bar():
    state = position({25: 2, 13: 5}, {6: 2}, 6, 3)  # point 19 is held
    assert moves(state) == {"3: bar/22"}
    assert moved(state, "3: bar/22")[0]["seat"] == 1


def test_after_the_last_one_has_entered_any_checker_plays_the_other_die():
    state = position({25: 1, 13: 2}, {3: 2}, 6, 3)  # point 22 is held
    assert moves(state) == {"6: bar/19"}
    assert moves(moved(state, "6: bar/19")[0]) == {"3: 19/16", "3: 13/10"}


def test_a_move_that_spoils_the_other_die_is_illegal():
    state = position({20: 1, 10: 1}, {11: 2, 21: 2, 22: 2}, 6, 1)  # points 14, 4 and 3 are held
    assert moves(state) == {"1: 20/19"}
    state, _, _ = moved(state, "1: 20/19")
    assert moves(state) == {"6: 19/13"}


def test_of_two_dice_that_exclude_each_other_the_higher_is_played():
    state = position({20: 1}, {12: 2}, 6, 1)  # point 13 is held
    assert moves(state) == {"6: 20/14"}
    assert moved(state, "6: 20/14")[0]["seat"] == 1


def test_the_lower_die_is_played_where_the_higher_cannot_be():
    state = position({20: 1}, {12: 2, 11: 2}, 6, 1)  # points 13 and 14
    assert moves(state) == {"1: 20/19"}
    assert moved(state, "1: 20/19")[0]["seat"] == 1


def test_nothing_is_borne_off_while_a_checker_is_outside_the_home_board():
    assert moves(position({7: 1, 6: 1, 2: 1}, {13: 1}, 6)) == {"6: 7/1"}
    assert moves(position({25: 1, 2: 1}, {13: 1}, 2)) == {"2: bar/23"}


def test_a_checker_that_comes_home_opens_bearing_off_for_the_other_die():
    state = position({7: 1, 6: 1}, {13: 1}, 6, 1)
    assert moves(state) == {"6: 7/1", "1: 7/6", "1: 6/5"}
    assert moves(moved(state, "1: 7/6")[0]) == {"6: 6/off"}


def test_a_die_bears_off_exactly_or_from_the_highest_point_below_it():
    assert moves(position({5: 1, 3: 2}, {13: 1}, 3)) == {"3: 5/2", "3: 3/off"}
    assert moves(position({5: 1, 3: 2}, {13: 1}, 6)) == {"6: 5/off"}
    assert moves(position({5: 1, 2: 2}, {13: 1}, 4)) == {"4: 5/1"}  # not from 2
    assert moves(position({3: 1, 2: 2}, {13: 1}, 4)) == {"4: 3/off"}


def test_a_die_bears_off_once_the_other_has_lowered_the_highest_point():
    state = position({6: 1, 3: 1}, {13: 1}, 5, 1)
    assert moves(state) == {"5: 6/1", "1: 6/5", "1: 3/2"}
    assert moves(moved(state, "1: 6/5")[0]) == {"5: 5/off"}


@pytest.mark.parametrize("seat", [0, 1])
@pytest.mark.parametrize(
    ("loser", "points"),
    [
        ({24: 14}, 1),  # one is borne off
        ({18: 15}, 2),  # a gammon
        ({18: 14, 19: 1}, 3),  # in the winner's home board
        ({6: 14, 25: 1}, 3),  # on the bar
        ({6: 13, 25: 1}, 1),
    ],
)
def test_the_last_checker_wins_at_once_with_dice_left(seat, loser, points):
    state = position({1: 1}, loser, 2, 1, seat=seat)
    after, paid, won = moved(state, "2: 1/off")
    assert won
    assert paid == ([1, -1] if seat == 0 else [-1, 1])
    assert after["seat"] == seat
    _, paid, _ = moved(state, "2: 1/off", by=full)
    assert paid == ([points, -points] if seat == 0 else [-points, points])


def test_a_seat_that_cannot_move_passes_without_a_ply():
    closed = dict.fromkeys(range(1, 7), 2) | {20: 3}
    for key in range(50):
        state = position(closed, {25: 1, 8: 14}, 1)
        stream = np.array([key, 0], np.uint64)
        assert not winloss.play(state, actions(state)["1: 20/19"], np.zeros(2), stream)
        assert state["seat"] == 0
        assert state["dice"][0] > 0
        assert moves(state)


def test_the_observation_shows_points_bars_borne_off_and_dice_of_the_mover():
    state = position({24: 2, 13: 5, 1: 1, 25: 2}, {24: 3, 2: 1, 25: 1}, 4, 4, 4, seat=1)
    observation = np.zeros(210, np.int8)
    rules.observe(state, observation)
    shown = {int(k): int(observation[k]) for k in observation.nonzero()[0]}
    mine = {0: 1, 12 * 4 + 1: 1, 12 * 4 + 2: 1, 12 * 4 + 3: 2, 23 * 4 + 1: 1}
    theirs = {96 + 0 + 1: 1, 96 + 2: 1, 96 + 22 * 4: 1}  # their 24 is my 1, their 2 my 23
    bars = {192: 2, 193: 1}
    off = {194: 3, 195: 2} | {199: 3, 200: 3, 201: 3, 202: 1}  # five and ten
    assert shown == {**mine, **theirs, **bars, **off, 204 + 3: 3}


def test_positions_are_found_from_what_they_show():
    game, rng = started(slots=64), np.random.default_rng(3)
    for _ in range(150):
        live = game.mask & ~game.truncated[:, None]
        draws = np.where(live, rng.random(live.shape), -1)
        game.step(np.where(live.any(axis=1), draws.argmax(axis=1), -1))
        for state, observation, over in zip(
            states_of(game), game.observation, game.terminated, strict=True
        ):
            if not over:
                found = np.zeros(1, rules.STATE)[0]
                found["seat"] = state["seat"]
                rules.place(found, observation)
                assert found == state


@pytest.mark.parametrize(("name", "highest"), [("backgammon", 1), ("backgammon(scoring=full)", 3)])
def test_what_the_game_declares(name, highest):
    spec = spec_of(name)
    assert (spec.num_players, spec.num_actions, spec.observation_shape) == (2, 50, (210,))
    assert (spec.observation_dtype, spec.returns) == ("int8", (-highest, highest))
    assert spec.chance
    assert spec.zero_sum
    assert spec.afterstates == "next"


def test_the_board_shows_both_seats_as_the_mover_numbers_the_points():
    state = position({24: 2, 6: 7, 25: 1}, {24: 1, 13: 2, 8: 3}, 5, 2)
    assert winloss.text(state).splitlines() == [
        "13 14 15 16 17 18 | 19 20 21 22 23 24",
        " .  .  .  .  O  . |  .  .  .  .  .  X",
        "             O    |                 X",
        "             O    |",
        "                  |",
        "                  |",
        "",
        "                  |  7",
        "                  |  X",
        "                  |  X",
        " O                |  X",
        " O  .  .  .  .  . |  X  .  .  .  .  O",
        "12 11 10  9  8  7 |  6  5  4  3  2  1",
        "bar: X 1, O 0",
        "borne off: X 5, O 9",
        "X moves from 24 to 1 and has to play 5 2.",
    ]
    state, _, _ = moved(position({1: 1}, {24: 1}, 1), "1: 1/off")
    assert winloss.text(state).splitlines()[-1] == "X has borne off all checkers."
