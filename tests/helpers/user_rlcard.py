"""A game as users register it for RLCard: the higher card wins 1, for three players who may swap
theirs once.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
from rlcard.envs import Env
from rlcard.envs.registration import register

KEEP, SWAP = range(2)


class _Game:
    def get_num_players(self):
        return 3

    def get_num_actions(self):
        return 2

    def init_game(self):
        self.deck = [int(card) for card in self.np_random.permutation(6)]
        self.hands, self.player = [self.deck.pop() for _ in range(3)], 0
        return self.get_state(0), 0

    def step(self, action):
        if action == SWAP:
            self.hands[self.player] = self.deck.pop()
        self.player += 1
        return self.get_state(self.player % 3), self.player % 3

    def get_state(self, player):
        return self.hands[player]

    def get_player_id(self):
        return self.player % 3

    def is_over(self):
        return self.player == 3


class HighCard(Env):
    def __init__(self, config):
        self.name, self.game = "high-card", _Game()
        super().__init__(config)
        self.state_shape = [[1]] * 3

    def _extract_state(self, card):
        legal = OrderedDict({KEEP: None, SWAP: None} if card < 5 else {KEEP: None})
        return {"obs": np.array([card]), "legal_actions": legal, "raw_legal_actions": [*legal]}

    def _decode_action(self, action_id):
        return action_id

    def get_payoffs(self):
        highest = max(self.game.hands)
        return np.array([1.0 if card == highest else -0.5 for card in self.game.hands])


register("high-card", entry_point="user_rlcard:HighCard")
