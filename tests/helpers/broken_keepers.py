"""The game of `broken_matches` with wrong buffers, shared state, chance or copies; `BROKEN` is as
there.
"""

from __future__ import annotations

import random
import threading
import time
from itertools import count

import numpy as np
from broken_matches import Strip, declares


class OneBuffer(Strip):
    view = np.zeros((2, 6), np.int8)

    def observe(self, seat):
        self.view[...] = super().observe(seat)
        return self.view


class OwnBoard(Strip):
    spec = declares(observation_shape=(6,), observation_dtype="int64", symmetries=())

    def observe(self, seat):
        return self.board


class OwnMask(Strip):
    def reset(self, rng):
        super().reset(rng)
        self.free = np.ones(6, np.bool_)

    def mask(self):
        return self.free

    def step(self, action):
        self.free[action] = False
        return super().step(action)


class MovesWhenSeen(Strip):
    def observe(self, seat):
        self.seat = seat
        return super().observe(seat)


class BoardOfTheClass(Strip):
    board = np.zeros(6, np.int64)

    def reset(self, rng):
        self.seat = 0
        self.board[:] = -1


class ListOfTheClass(Strip):
    played = []  # noqa: RUF012

    def mask(self):
        return super().mask() & [cell not in self.played for cell in range(6)]

    def step(self, action):
        self.played.append(action)
        return super().step(action)


class GlobalGenerator(Strip):
    spec = declares(chance=True, symmetries=())

    def reset(self, rng):
        super().reset(rng)
        self.board[random.randrange(6)] = 1


class LegalByGlobalDice(Strip):
    """Another die makes the recorded action illegal, which `step` refuses."""

    spec = declares(chance=True, symmetries=())

    def reset(self, rng):
        super().reset(rng)
        self.die = random.randrange(6)

    def mask(self):
        return np.arange(6) == self.die

    def observe(self, seat):
        return super().observe(seat) * np.int8(1 + self.die)

    def step(self, action):
        if action != self.die:
            raise ValueError("not the number on the die")
        self.die = random.randrange(6)
        return super().step(action)


class NumpysGenerator(GlobalGenerator):
    def reset(self, rng):
        Strip.reset(self, rng)
        self.board[np.random.randint(6)] = 1  # noqa: NPY002


class Clock(GlobalGenerator):
    def reset(self, rng):
        Strip.reset(self, rng)
        self.board[time.perf_counter_ns() // 100 % 6] = 1


class BoardOfTheFirstMatch(Strip):
    def __init__(self):
        self.board = np.full(6, -1)

    def reset(self, rng):
        self.seat = 0


class ShallowCopy(Strip):
    def copy(self):
        other = type(self)()
        other.__dict__.update(self.__dict__)
        return other


class EmptyCopy(Strip):
    def copy(self):
        other = type(self)()
        other.reset(self.rng)
        return other


class HalfACopy(Strip):
    def copy(self):
        other = type(self)()
        other.board, other.seat = self.board.copy(), self.seat
        return other

    def step(self, action):
        self.rng.random()
        return super().step(action)


class NoCopy(Strip):
    def reset(self, rng):
        super().reset(rng)
        self.lock = threading.Lock()


class CopySharesDice(Strip):
    spec = declares(chance=True, symmetries=())

    def step(self, action):
        self.board[self.rng.integers(6)] = -1
        return super().step(action)

    def copy(self):
        other = type(self)()
        other.board, other.seat, other.rng = self.board.copy(), self.seat, self.rng
        return other


class CopyOfNothing(Strip):
    def copy(self):
        return self


class NumberForWords(Strip):
    def action_text(self, action):
        return action


class CannotBePrinted(Strip):
    def __str__(self):
        return "".join(self.board)


class CountsItsObjects(Strip):
    spec = declares(symmetries=())
    numbers = count()

    def __init__(self):
        self.number = next(self.numbers) % 7

    def observe(self, seat):
        return super().observe(seat) + np.int8(self.number)


BROKEN = [
    (
        OneBuffer,
        "given arrays",
        "the array that observe returned changes later",
        "return a new array each time",
    ),
    (
        OwnBoard,
        "given arrays",
        "the array that observe returned changes later",
        "return a new array each time",
    ),
    (
        OwnMask,
        "given arrays",
        "the array that mask returned changes later",
        "return a new array each time",
    ),
    (MovesWhenSeen, "reading", "mask() or observe() changes the match", "only read"),
    (
        BoardOfTheClass,
        "separate matches",
        "two matches share state",
        "create lists and arrays in reset",
    ),
    (
        ListOfTheClass,
        "separate matches",
        "two matches share state",
        "create lists and arrays in reset",
    ),
    *(
        (
            cls,
            "same again",
            "chance does not come from the match's rng",
            "from the rng that reset receives",
        )
        for cls in (GlobalGenerator, LegalByGlobalDice, NumpysGenerator)
    ),
    (Clock, "same again", "the same rng and actions give a different match", "use no clock"),
    (
        CountsItsObjects,
        "same again",
        "the same rng and actions give a different match",
        "from the rng that reset receives",
    ),
    (
        BoardOfTheFirstMatch,
        "reset again",
        "reset does not start a fresh match",
        "in reset, not in __init__",
    ),
    (ShallowCopy, "copies", "playing on a copy changes the original", "copy every list, array"),
    (EmptyCopy, "copies", "a copy shows a different position", "copy.deepcopy"),
    (HalfACopy, "copies", "a copy cannot be continued", "copy every list, array and generator"),
    (NoCopy, "copies", "the match cannot be copied", "give the class a method copy()"),
    (
        CopySharesDice,
        "copies",
        "playing on a copy changes the original",
        "list, array and generator",
    ),
    (CopyOfNothing, "copies", "copy() must return a new match", "return the new match"),
    (NumberForWords, "words", "action_text must return a str", "return a str from action_text"),
    (
        CannotBePrinted,
        "exceptions",
        "__str__ raises an exception",
        "see broken_keepers.py, line ",
    ),
]
