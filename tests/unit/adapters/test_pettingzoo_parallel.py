"""PettingZoo's environments in which agents act at the same time: choices that nobody sees, agents
that die or leave, masks, cuts.
"""

from __future__ import annotations

import numpy as np
import pytest

from sparring.errors import ConfigurationError
from sparring.games import make, spec_of

pytest.importorskip("pettingzoo")

import user_environments

DIG, LEAVE, PUSH = range(3)
ANN, BOB, CID = range(3)
NAMES = [
    "user_environments:Rooms",
    "user_environments:made_rooms",
    "pettingzoo:user_environments:own/rooms-v0",
]


def begun(name=NAMES[0], key=1):
    game = make(name, 1)
    game.reset(np.array([0]), np.array([key], np.uint64))
    return game


def play(game, *actions):
    """[P] rewards of the last of these plies; the others pay nothing."""
    for action in actions:
        assert not game.terminated[0]
        game.step(np.array([action]))
        if action is not actions[-1]:
            assert not game.rewards.any()
    return game.rewards[0].tolist()


def seen_by_all(game):
    return game.observe_as(np.zeros(3, np.int64), np.arange(3)).tolist()


@pytest.mark.parametrize("name", NAMES)
def test_an_environment_of_ones_own(name):
    game = make(f"{name}(max_plies=5)", 1)
    assert game.spec.name == f"{name}(max_plies=5)"
    assert (game.spec.num_players, game.spec.num_actions, game.spec.max_plies) == (3, 3, 5)
    assert game.spec.hidden_information
    assert make(user_environments.Rooms, 1).spec.max_plies == 3000


def test_nobody_sees_a_choice_and_all_are_played_with_the_last():
    game = begun()
    before = seen_by_all(game)
    for seat in (ANN, BOB):
        assert game.seat[0] == seat
        game.step(np.array([DIG]))
        assert seen_by_all(game) == before
        assert not game.rewards.any()
    assert game.seat[0] == CID
    game.step(np.array([LEAVE]))
    assert game.rewards[0].tolist() == [1, 1, 3]
    assert game.plies[0] == 3
    assert seen_by_all(game) != before


def test_short_vectors_are_filled_up_and_the_seat_is_shown():
    game = begun()
    own = [[0, 3, 7], [0, 3, 0], [0, 3, 7]]
    assert seen_by_all(game) == [
        [*seen, *(float(seat == other) for other in range(3))] for seat, seen in enumerate(own)
    ]


def test_masks_leave_each_agent_its_own_actions():
    game = begun()
    masks = []
    for _ in range(6):
        masks.append(game.mask[0].tolist())
        game.step(np.array([DIG]))
    pushing = [True, True, False], [True, True, True]
    assert masks == [pushing[0]] * 5 + [pushing[1]]


def test_those_that_left_or_died_make_no_more_plies():
    game = begun()
    assert play(game, LEAVE, DIG, DIG) == [3, 1, 1]
    assert game.seat[0] == BOB
    assert play(game, DIG, PUSH) == [0, 1 - 5, 0]
    assert game.seat[0] == CID
    assert seen_by_all(game)[ANN][:2] == [1, 3]  # what ann saw last
    assert play(game, LEAVE) == [0, 0, 3]
    assert game.terminated[0]
    assert game.plies[0] == 6


def test_a_cut_shows_what_the_first_that_was_cut_sees():
    game = begun()
    play(game, LEAVE, DIG, DIG)
    for _ in range(3):
        assert not game.truncated[0]
        play(game, DIG, DIG)
    assert game.truncated[0]
    assert not game.terminated[0]
    assert game.seat[0] == BOB
    assert game.observation[0].tolist() == [4, 2, 0, *(0, 1, 0)]
    assert game.mask[0].tolist() == [True, True, False]


def test_an_end_for_all_in_the_last_turn_is_an_end():
    game = begun()
    for _ in range(3):
        play(game, DIG, DIG, DIG)
    assert play(game, LEAVE, LEAVE, LEAVE) == [3, 3, 3]
    assert game.terminated[0]


def test_a_state_and_a_copy_keep_the_choices():
    game = begun()
    game.step(np.array([LEAVE]))
    state, (match, _) = game.get_state(), game.lent(0)
    twin = match.copy()
    twin.step(DIG)
    assert twin.step(DIG) == ([3, 1, 1], False)
    play(game, LEAVE, LEAVE)
    game.set_state(state)
    assert play(game, DIG, DIG) == [3, 1, 1]


def test_rock_paper_scissors():
    game = begun("pettingzoo:classic/rps-v2")
    rock, paper = range(2)
    assert play(game, rock, paper) == [-1, 1]
    assert play(game, paper, paper) == [0, 0]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pettingzoo:sisl/multiwalker-v9", "multiwalker"),  # continuous, or without Box2D
        ("pettingzoo:classic/rps-v2(hidden_information=false)", "hidden choices of the other"),
        ("pettingzoo:classic/rsp-v2", "did you mean 'classic/rps-v2'?"),
    ],
)
def test_what_is_refused(name, message):
    with pytest.raises(ConfigurationError) as caught:
        make(name, 1)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_own_limits_are_counted_in_plies():
    assert spec_of("pettingzoo:classic/rps-v2").max_plies == 2000
