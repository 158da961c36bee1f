"""Games of other libraries keep the contract: every check, on a few random matches of each."""

from __future__ import annotations

from functools import partial

import pytest

from sparring.conformance import check
from sparring.games import make

OPENSPIEL = [
    # boards
    "tic_tac_toe", "connect_four", "othello", "hex(board_size=4)", "breakthrough(rows=5,columns=4)",
    "go(board_size=5)", "backgammon", "pig(players=3,winscore=15)",  # dice
    # hidden cards; euchre has information states only
    "kuhn_poker", "kuhn_poker(players=3)", "leduc_poker", "liars_dice", "euchre",
    "goofspiel(num_cards=4)", "oshi_zumo(coins=10)", "matching_pennies_3p", "snake",  # at once
    "dark_hex", "hanabi", "turn_based_simultaneous_game(game=goofspiel(num_cards=4))",
]  # fmt: skip
PETTINGZOO = [
    "tictactoe-v3", "connect_four-v3", "go-v5(board_size=3,max_plies=60)", "leduc_holdem-v4",
    "texas_holdem-v4", "texas_holdem-v4(num_players=3)", "texas_holdem_no_limit-v6",
    "hanabi-v5(colors=2,ranks=2,hand_size=2)",
]  # fmt: skip
RLCARD = ["blackjack", "leduc-holdem", "limit-holdem(game_num_players=3)", "no-limit-holdem", "uno"]
GYMNASIUM = [
    "CartPole-v1", "FrozenLake-v1", "Taxi-v4(max_episode_steps=20)", "Blackjack-v1",
    "MountainCar-v0(max_episode_steps=20)",
]  # fmt: skip


@pytest.mark.parametrize("name", RLCARD)
def test_games_of_rlcard(name):
    pytest.importorskip("rlcard")
    report = check(partial(make, f"rlcard:{name}"), matches=8, batched=True)
    assert report.passed, str(report)


@pytest.mark.parametrize("name", GYMNASIUM)
def test_environments_of_gymnasium(name):
    pytest.importorskip("gymnasium")
    report = check(partial(make, f"gymnasium:{name}"), matches=8, batched=True)
    assert report.passed, str(report)


@pytest.mark.parametrize("name", OPENSPIEL)
def test_games_of_openspiel(name):
    pytest.importorskip("pyspiel")
    report = check(partial(make, f"openspiel:{name}"), matches=16, batched=True)
    assert report.passed, str(report)


PARALLEL = ["pettingzoo:classic/rps-v2", "user_environments:Rooms"]


@pytest.mark.parametrize("name", PARALLEL)
def test_games_of_agents_that_act_at_once(name):
    pytest.importorskip("pettingzoo")
    report = check(partial(make, name), matches=8, batched=True)
    assert report.passed, str(report)


@pytest.mark.parametrize("name", PETTINGZOO)
def test_games_of_pettingzoo(name):
    pytest.importorskip("pettingzoo")
    report = check(partial(make, f"pettingzoo:classic/{name}"), matches=8, batched=True)
    assert report.passed, str(report)
