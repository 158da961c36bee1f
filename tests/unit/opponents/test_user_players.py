"""Players of users: what they are shown, when they are at fault, and names that make none."""

from __future__ import annotations

import logging
from functools import partial

import numpy as np
import pytest

from sparring.errors import ConfigurationError, GameFault
from sparring.games import BatchedGame, make
from sparring.games.rng import EXPLORATION, uniforms
from sparring.opponents.user_players import is_user_player, make_user_player, try_out

TOE = "plain_games:Toe"
KEYS = np.arange(1, 6, dtype=np.uint64)


def after(game: str, *actions: int) -> BatchedGame:
    """Five matches in the position after these actions."""
    made = make(game, 5)
    made.reset(np.arange(5), KEYS)
    for action in actions:
        made.step(np.where(made.terminated, -1, action))
    return made


def answers(player: str, game: BatchedGame, slots: tuple[int, ...] = (0, 1, 2, 3, 4)) -> list[int]:
    chosen = np.array(slots)
    draws = uniforms(KEYS[chosen], game.plies[chosen], EXPLORATION, 2)
    return make_user_player(f"own_players:{player}").act(game, chosen, draws).tolist()


@pytest.mark.parametrize("game", [TOE, "tic_tac_toe"])
def test_a_player_answers_for_each_slot_from_observation_and_mask(game: str) -> None:
    played = after(game, 8, 2)
    assert answers("Last", played) == answers("LastOfAll", played) == [7] * 5
    assert answers("Favourite(action=2)", played, (3, 1)) == [0, 0]
    assert answers("Favourite(action=5)", played) == [5] * 5


def test_a_player_cannot_spoil_what_the_learner_stores() -> None:
    played = after("tic_tac_toe", 8)
    seen, legal = played.observation.copy(), played.mask.copy()
    assert answers("Scribbler", played) == [7] * 5
    assert (played.observation == seen).all()
    assert (played.mask == legal).all()


def test_choose_sees_the_match_itself() -> None:
    assert answers("Middle", after(TOE)) == [4] * 5
    assert answers("Middle", after(TOE, 4, 0, 1, 2)) == [6] * 5  # two marks of its own


def test_a_player_with_both_methods_plays_games_without_a_match_to_show() -> None:
    assert answers("Either", after(TOE)) == [4] * 5
    assert answers("Either", after("tic_tac_toe")) == [0] * 5
    with pytest.raises(ConfigurationError, match=r"Middle cannot play tic_tac_toe: got choose"):
        answers("Middle", after("tic_tac_toe"))


def test_random_answers_follow_from_the_match_whatever_the_other_slots_are() -> None:
    played = after(TOE, 4)
    all_of_them = answers("Dicing", played)
    assert len(set(all_of_them)) > 1
    assert answers("Dicing", played, (3, 0)) == [all_of_them[3], all_of_them[0]]
    assert answers("Dicing", after(TOE, 4, 0)) != all_of_them


def test_a_forced_move_is_not_asked_for() -> None:
    forced = after(TOE, 4, 0, 1, 7, 6, 2, 5, 3)
    assert forced.mask[0].sum() == 1
    assert answers("Raising", forced) == [8] * 5


FAULTS = """
Raising | raised LookupError in act (own_players.py, line | no idea
Silent | in act (own_players.py, line | got NoneType None | legal action: 0, 1, 2
Fractional | got float 4.0 | an int in every case
TooFar | got action 9 | the mask allows
Cheating | got action 4 | a legal action: 0, 1, 2, 3, 5
BadBatch | in act_batch | bool of shape (5, 9) | 5 integers
RaisingBatch | raised LookupError in act_batch | the last cell is taken
LateReset | raised LookupError in reset | not ready
"""


@pytest.mark.parametrize("line", FAULTS.strip().splitlines())
def test_a_player_that_fails_is_a_fault_that_keeps_the_match(line: str) -> None:
    name, *parts = map(str.strip, line.split("|"))
    played = after(TOE, 4, 8) if name == "RaisingBatch" else after(TOE, 4)
    with pytest.raises(GameFault) as caught:
        answers(name, played)
    message, record = str(caught.value), caught.value.record
    assert message.startswith(f"player own_players:{name} ")
    for part in parts:
        assert part in message
    assert record["player"] == f"own_players:{name}"
    assert (record["game"], record["key"]) == (TOE, 1)
    assert record["actions"] == ([4, 8] if name == "RaisingBatch" else [4])


def test_of_a_batch_the_match_that_fails_is_kept() -> None:
    played = after(TOE)
    played.step(np.array([0, 0, 8, 0, 0]))
    with pytest.raises(GameFault) as caught:
        answers("RaisingBatch", played)
    assert (caught.value.record["key"], caught.value.record["actions"]) == (3, [8])


@pytest.mark.parametrize(
    ("name", "game", "got"),
    [
        ("Passing", TOE, "another seat to move"),
        ("Marking", TOE, "another mask"),
        ("Peeking", "plain_games:Dice", "generator was drawn from"),
    ],
)
def test_a_player_that_changes_the_match_is_found_out(name: str, game: str, got: str) -> None:
    played = after(game, *([] if game == TOE else [0, 0, 0]))
    slots = np.flatnonzero(played.mask.sum(axis=1) > 1)
    assert len(slots)
    with pytest.raises(GameFault, match=rf"{name} breaks .* in choose .*{got}.*deepcopy"):
        answers(name, played, tuple(slots.tolist()))


def test_a_trial_refuses_what_cannot_play_and_warns_of_what_answers_in_two_ways(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in ("Raising", "Cheating", "TooFar", "Marking"):
        with pytest.raises(ConfigurationError, match=f"player own_players:{name}"):
            try_out([make_user_player(f"own_players:{name}")], partial(make, TOE))
    with caplog.at_level(logging.WARNING):
        sound = [make_user_player(f"own_players:{name}") for name in ("Dicing", "Last", "Middle")]
        try_out(sound, partial(make, TOE))
        assert caplog.messages == []
        try_out([make_user_player("own_players:Moody")], partial(make, TOE))
    [warning] = caplog.messages
    assert "own_players:Moody answers differently" in warning


NAMES = """
no_such_module:Bot | no such module for the player | 'no_such_module'
own_players:Lasst | own_players has no such player | did you mean 'Last'
own_players:np | own_players:np is not a player | module
own_players:Nothing | cannot play | Nothing without act, act_batch and choose | a method act
own_players:Unable | cannot be made | LookupError: no engine here
own_players:Favourite(cell=3) | the arguments of own_players:Favourite | unexpected keyword
"""


@pytest.mark.parametrize("line", NAMES.strip().splitlines())
def test_a_name_that_makes_no_player_is_an_error_of_one_line(line: str) -> None:
    name, *parts = map(str.strip, line.split("|"))
    assert is_user_player(name)
    with pytest.raises(ConfigurationError) as caught:
        make_user_player(name)
    assert "\n" not in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


def test_names_of_other_players_are_none_of_users() -> None:
    for name in ("random", "self", "minimax:4", "ludo:gredy", "agent:Run", "snapshot:3", "a:b:c"):
        assert not is_user_player(name)
    assert is_user_player("my.bots:Outer.Inner(depth=2,fast=true)")
