"""A game whose results are known in advance, and players for it.

Every seat has three actions: PASS (0) hands the turn on, AGAIN (1) keeps it, WIN (2) ends the
match: the seat that plays it gets +1 and the others share -1, all of it doubled if a coin tossed at
the start (the game's chance) fell so. AGAIN pays `wage` at once. A match is cut after eight plies.
"""

from __future__ import annotations

import numpy as np

from sparring.games.rng import mix
from sparring.games.spec import GameSpec

PASS, AGAIN, WIN = 0, 1, 2
MAX_PLIES = 8


class ToyGame:
    def __init__(self, num_slots, num_players=2, chance=True, wage=0.0):
        self.wage = wage
        self.spec = GameSpec(
            name="toy",
            num_players=num_players,
            num_actions=3,
            observation_shape=(1,),
            observation_dtype="int8",
            max_plies=MAX_PLIES,
            chance=chance,
        )
        self.num_slots = num_slots
        self.seat = np.zeros(num_slots, np.int64)
        self.observation = np.zeros((num_slots, 1), np.int8)
        self.mask = np.zeros((num_slots, 3), np.bool_)
        self.rewards = np.zeros((num_slots, num_players), np.float32)
        self.terminated = np.zeros(num_slots, np.bool_)
        self.truncated = np.zeros(num_slots, np.bool_)
        self.plies = np.zeros(num_slots, np.int64)
        self.stake = np.zeros(num_slots)
        self.keys = np.zeros(num_slots, np.uint64)
        self.lines = [[] for _ in range(num_slots)]
        self.log = []  # (key, line) of every match that ended or was abandoned

    def reset(self, slots, keys):
        for slot, key in zip(slots, keys, strict=True):
            self.lines[slot] = []
            self.keys[slot] = key
            self.stake[slot] = 1 + (int(mix(np.uint64(key))) & 1) if self.spec.chance else 1
        self.seat[slots] = self.plies[slots] = 0
        self.mask[slots] = True
        self.terminated[slots] = self.truncated[slots] = False
        self.rewards[slots] = 0

    def step(self, actions):
        self.rewards[:] = 0
        for slot in np.flatnonzero(actions >= 0):
            assert not self.terminated[slot]
            assert not self.truncated[slot]
            self._play(slot, int(actions[slot]))

    def _play(self, slot, action):
        P, seat = self.spec.num_players, self.seat[slot]
        self.lines[slot].append((int(seat), action))
        self.plies[slot] += 1
        if action == WIN:
            self.rewards[slot] = -self.stake[slot] / (P - 1)
            self.rewards[slot, seat] = self.stake[slot]
            self.terminated[slot], self.mask[slot] = True, False
        elif action == PASS:
            self.seat[slot] = (seat + 1) % P
        else:
            self.rewards[slot, seat] = self.wage
        self.truncated[slot] = not self.terminated[slot] and self.plies[slot] == MAX_PLIES
        if self.terminated[slot] or self.truncated[slot]:
            self.log.append((int(self.keys[slot]), tuple(self.lines[slot])))


class Always:
    """Plays one action, whatever happens; counts how often it is asked, and for how many slots."""

    def __init__(self, action):
        self.name = f"always {action}"
        self.action = action
        self.calls = []

    def act(self, game, slots, uniforms):
        self.calls.append(len(slots))
        return np.full(len(slots), self.action)


class AtRandom:
    name = "at random"

    def __init__(self):
        self.draws = []

    def act(self, game, slots, uniforms):
        self.draws += [tuple(row) for row in uniforms.tolist()]
        return (uniforms[:, 1] * 3).astype(np.int64)
