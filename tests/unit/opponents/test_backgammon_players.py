"""The pip-count player that backgammon agents are measured against."""

from __future__ import annotations

import backgammon_players
import numpy as np

from sparring.evaluation import evaluate
from sparring.games.backgammon import rules
from sparring.opponents.scripted import RandomPlayer


def chosen(state, player):
    observation, mask = np.zeros((1, 210), np.int8), np.zeros((1, 50), np.bool_)
    rules.observe(state, observation[0])
    rules.legal(state, mask[0])
    return int(player.act_batch(observation, mask)[0])


def test_it_hits_and_otherwise_leaves_few_single_checkers():
    state = np.zeros(1, rules.STATE)[0]
    state["checkers"][0, [20, 8, 6]] = 1, 2, 2
    state["checkers"][1, 8] = 1  # on point 17
    state["dice"][0] = 3
    assert chosen(state, backgammon_players.PipCount()) == 20 - 1
    state["checkers"][1, 8] = 0
    state["dice"][0] = 2
    assert chosen(state, backgammon_players.PipCount()) == 20 - 1  # 8/6 would leave one on 8


def test_it_beats_the_random_player():
    players = ["backgammon_players:PipCount"]
    answer = evaluate(RandomPlayer(), "backgammon", players, matches=100, seed=0)
    assert answer["opponents"][players[0]]["wins"] < 10
