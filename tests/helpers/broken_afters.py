"""A game with dice and a method `after`, and the same with one mistake at a time; `BROKEN` is as in
`broken_matches`. `MOVES` lists (a wrong `move` of the rules of `race_rules`, the finding).
"""

from __future__ import annotations

import dataclasses

import numpy as np
import race_rules
from broken_matches import Strip, declares

from sparring.games.rng import random_below


class Thrown(Strip):
    """A die may give the mover another turn."""

    spec = dataclasses.replace(declares(chance=True, symmetries=()), returns=None)

    def step(self, action):
        mover = self.seat
        rewards, ended = super().step(action)
        if self.rng.integers(6) == 0:
            self.seat = mover
        return rewards, ended

    def after(self, action):
        board = self.board.copy()
        board[action] = self.seat
        return np.stack([board == self.seat, board == 1 - self.seat]).astype(np.int8)


class PlaysTheMove(Thrown):
    def after(self, action):
        self.board[action] = self.seat
        return self.observe(self.seat)


class ThrowsTheDie(Thrown):
    def after(self, action):
        self.rng.integers(6)
        return super().after(action)


class CountsAsks(Thrown):
    asked = 0

    def after(self, action):
        CountsAsks.asked = 1 - CountsAsks.asked
        return super().after(action) * CountsAsks.asked


class ShowsAList(Thrown):
    def after(self, action):
        return super().after(action).ravel()


class AfterTakesTwo(Thrown):
    def after(self, action, seat):
        return super().after(action)


class AfterFails(Thrown):
    def after(self, action):
        raise RuntimeError("nothing to see")


BROKEN = [
    (PlaysTheMove, "after", "after() changes the match", "change the match and draw in step only"),
    (ThrowsTheDie, "after", "after() draws from the match's rng", "draw in step only"),
    (CountsAsks, "after", "after() answers differently when it is asked again", "calculate it"),
    (ShowsAList, "observation", "after() has the wrong shape", "return what the spec declares"),
    (AfterTakesTwo, "methods", "after takes the wrong parameters", "write def after(self, action)"),
    (AfterFails, "exceptions", "after(0) raises an exception", "see broken_afters.py, line "),
]


def move(state, action, rewards, rng):
    """A right one: action 0 of the race walks, and nothing is known before action 1 rolls."""
    if action == 0:
        return race_rules.play(state, action, rewards, rng)
    return False


def draws(state, action, rewards, rng):
    random_below(rng, 4)
    return move(state, action, rewards, rng)


def ends(state, action, rewards, rng):
    move(state, action, rewards, rng)
    return True


def pays(state, action, rewards, rng):
    ended = move(state, action, rewards, rng)
    if action == 0:
        rewards[0] += 1
    return ended


def stays(state, action, rewards, rng):
    return False


def sets_seat_9(state, action, rewards, rng):
    ended = move(state, action, rewards, rng)
    state["seat"] = 9
    return ended


MOVES = [
    (draws, "move draws from the match's rng"),
    (ends, "move and play do not end the match alike"),
    (pays, "move and play pay different rewards"),
    (stays, "move and play lead to different positions without chance"),
    (sets_seat_9, "move sets seat 9"),
]
