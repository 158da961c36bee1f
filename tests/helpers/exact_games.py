"""Small games whose action values are known exactly."""

from __future__ import annotations

import numpy as np

from sparring.games import GameSpec


class ExtraTurns:
    """A pile of 1 to 11; take 1, 2 or 3; if a multiple of 3 is left the same seat moves again. The
    last taker wins.
    """

    spec = GameSpec(
        num_players=2,
        num_actions=3,
        observation_shape=(12,),
        observation_dtype="int8",
        max_plies=20,
        chance=True,
        zero_sum=True,
        impartial=True,
        returns=(-1.0, 1.0),
    )

    def reset(self, rng):
        self.pile, self.seat = 1 + int(rng.integers(11)), 0

    def mask(self):
        return [self.pile >= taken for taken in (1, 2, 3)]

    def observe(self, seat):
        return np.eye(12, dtype=np.int8)[self.pile]

    def step(self, action):
        self.pile -= action + 1
        if self.pile == 0:
            return ([1, -1] if self.seat == 0 else [-1, 1]), True
        if self.pile % 3:
            self.seat = 1 - self.seat
        return None, False


class Echo:
    """Answer with the action before, plus 3 modulo 10; a right answer is paid 1, at once or during
    the ply of the other.
    """

    spec = GameSpec(
        num_players=2,
        num_actions=10,
        observation_shape=(10,),
        observation_dtype="float32",
        max_plies=21,
    )
    late = False

    def reset(self, rng):
        self.shown, self.ply, self.seat, self.owed = int(rng.integers(10)), 0, 0, [0.0, 0.0]

    def mask(self):
        return [True] * 10

    def observe(self, seat):
        return np.eye(10, dtype=np.float32)[self.shown]

    def step(self, action):
        right = float(action == (self.shown + 3) % 10)
        pay = [0.0, 0.0]
        if self.late:
            pay[1 - self.seat], self.owed[1 - self.seat] = self.owed[1 - self.seat], 0.0
            self.owed[self.seat] = right
        else:
            pay[self.seat] = right
        self.shown, self.ply, self.seat = action, self.ply + 1, 1 - self.seat
        ended = self.ply == 20
        if ended and self.late:
            pay = [pay[seat] + self.owed[seat] for seat in (0, 1)]
        return pay, ended


class LateEcho(Echo):
    late = True


class PaidBySeat:
    """Three seats decide twice each; at the end seat k is paid (k + 1) times (first - second)."""

    spec = GameSpec(
        num_players=3,
        num_actions=4,
        observation_shape=(5,),
        observation_dtype="float32",
        max_plies=7,
    )

    def reset(self, rng):
        self.seat, self.ply, self.actions = 0, 0, ([], [], [])

    def mask(self):
        return [True] * 4

    def observe(self, seat):
        own = self.actions[seat]
        return np.array([*np.eye(3)[seat], len(own), own[0] if own else 0], np.float32)

    def step(self, action):
        self.actions[self.seat].append(action)
        self.ply, self.seat = self.ply + 1, (self.seat + 1) % 3
        if self.ply < 6:
            return None, False
        return [(seat + 1) * (a - b) for seat, (a, b) in enumerate(self.actions)], True


class Knockout:
    """Three seats, three rounds; action 1 in the first leaves the match and is paid -1 at once, who
    stays is paid 1 at the end.
    """

    spec = GameSpec(
        num_players=3,
        num_actions=2,
        observation_shape=(7,),
        observation_dtype="float32",
        max_plies=12,
    )

    def reset(self, rng):
        self.seat, self.stays, self.moves = 0, [True] * 3, [0] * 3

    def mask(self):
        return [True, self.moves[self.seat] == 0]

    def observe(self, seat):
        return np.array([*np.eye(3)[seat], self.moves[seat], *self.stays], np.float32)

    def step(self, action):
        pay = [0.0] * 3
        self.moves[self.seat] += 1
        if action == 1:
            self.stays[self.seat], pay[self.seat] = False, -1.0
        left = [seat for seat in range(3) if self.stays[seat] and self.moves[seat] < 3]
        if not left:
            return [paid + stays for paid, stays in zip(pay, self.stays, strict=True)], True
        self.seat = min(left, key=lambda seat: (seat - self.seat - 1) % 3)
        return pay, False


class Salary:
    """One seat is paid 1 each ply for ever; a match is cut after 10."""

    spec = GameSpec(
        num_players=1,
        num_actions=2,
        observation_shape=(1,),
        observation_dtype="int8",
        max_plies=10,
    )

    def reset(self, rng):
        self.seat = 0

    def mask(self):
        return [True, True]

    def observe(self, seat):
        return [1]

    def step(self, action):
        return [1.0], False
