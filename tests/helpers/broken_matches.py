"""One correct game in plain Python, and the same game with one mistake at a time.

`BROKEN` lists (class, check that finds it, the finding, words of its remedy).
"""

from __future__ import annotations

import dataclasses
import threading

import numpy as np

from sparring.games import GameSpec, Symmetry

MIRROR = (5, 4, 3, 2, 1, 0)


class Strip:
    """Six cells in a row; three stones of one's own side by side win."""

    spec = GameSpec(
        num_players=2,
        num_actions=6,
        observation_shape=(2, 6),
        observation_dtype="int8",
        max_plies=6,
        zero_sum=True,
        returns=(-1.0, 1.0),
        symmetries=(
            Symmetry(observation=(*MIRROR, *(6 + cell for cell in MIRROR)), action=MIRROR),
        ),
    )

    def reset(self, rng):
        self.rng = rng
        self.seat = 0
        self.board = np.full(6, -1)

    def mask(self):
        return self.board < 0

    def observe(self, seat):
        return np.stack([self.board == seat, self.board == 1 - seat]).astype(np.int8)

    def step(self, action):
        mover, self.seat = self.seat, 1 - self.seat
        self.board[action] = mover
        if any(np.all(self.board[cell : cell + 3] == mover) for cell in range(4)):
            return ((1.0, -1.0) if mover == 0 else (-1.0, 1.0)), True
        return None, bool(np.all(self.board >= 0))


def declares(**changes):
    return dataclasses.replace(Strip.spec, **changes)


class Lists(Strip):
    """As correct, and slower."""

    def mask(self):
        return [int(cell < 0) for cell in self.board]

    def observe(self, seat):
        return super().observe(seat).tolist()

    def step(self, action):
        rewards, ended = super().step(action)
        return (None if rewards is None else np.array(rewards)), np.bool_(ended)


class LockedDice(Strip):
    """As correct: it cannot be copied, which no player needs where there is chance."""

    spec = declares(chance=True, symmetries=())

    def reset(self, rng):
        super().reset(rng)
        self.lock = threading.Lock()
        self.board[rng.integers(6)] = 1


class NoObserve(Strip):
    observe = None


class StepTakesTwo(Strip):
    def step(self, seat, action):
        return super().step(action)


class MaskIsNoMethod(Strip):
    mask = np.ones(6, np.bool_)


class ShortMask(Strip):
    def mask(self):
        return super().mask()[:5]


class NumbersForMask(Strip):
    def mask(self):
        return np.where(super().mask(), np.arange(6), -1)


class Stuck(Strip):
    def mask(self):
        return super().mask() & (np.sum(self.board >= 0) < 3)


class ThirdSeat(Strip):
    def step(self, action):
        outcome = super().step(action)
        self.seat += 1
        return outcome


class NoSeat(Strip):
    def reset(self, rng):
        super().reset(rng)
        self.seat = None


class FlatObservation(Strip):
    def observe(self, seat):
        return super().observe(seat).ravel()


class HalvesForWholes(Strip):
    def observe(self, seat):
        return super().observe(seat) / 2


class NoNumbers(Strip):
    spec = declares(observation_dtype="float32")

    def observe(self, seat):
        return super().observe(seat) / np.float32(0)

    observe = np.errstate(all="ignore")(observe)


class FiveValues(Strip):
    def step(self, action):
        rewards, ended = super().step(action)
        return self.observe(self.seat), rewards, ended, False, {}


class NumberForEnded(Strip):
    def step(self, action):
        rewards, ended = super().step(action)
        return rewards, int(ended)


class OneReward(Strip):
    def step(self, action):
        rewards, ended = super().step(action)
        return (rewards and rewards[0]), ended


class RewardIsNaN(Strip):
    def step(self, action):
        return (float("nan"), 0.0), super().step(action)[1]


class DividesByZero(Strip):
    def step(self, action):
        self.share = 1 / (3 - np.sum(self.board >= 0).item())
        return super().step(action)


class BreaksRarely(Strip):
    """Only in matches that begin in the two outer cells."""

    def step(self, action):
        if np.sum(self.board >= 0) == 2 and self.board[0] == 0 and self.board[5] == 1:
            raise LookupError
        return super().step(action)


class Misspells(Strip):
    def observe(self, seat):
        return super().observe(seats)  # noqa: F821


class SameForAll(Strip):
    def observe(self, seat):
        return super().observe(0)


class NeverEnds(Strip):
    def mask(self):
        return np.ones(6, np.bool_)

    def step(self, action):
        super().step(action)
        return None, False


class PaysTwo(Strip):
    def step(self, action):
        rewards, ended = super().step(action)
        return (rewards and tuple(2 * reward for reward in rewards)), ended


class PaysBack(Strip):
    """The first move pays 1, the second costs 2: -1 in all."""

    def step(self, action):
        stones = np.sum(self.board >= 0)
        super().step(action)
        rewards = {0: (1.0, -1.0), 1: (-2.0, 2.0)}.get(stones)
        return rewards, stones >= 1


class PaysNothing(Strip):
    def step(self, action):
        return None, super().step(action)[1]


class SeatNeverMoves(Strip):
    def step(self, action):
        outcome = super().step(action)
        self.seat = 0
        return outcome


class ConstantObservation(Strip):
    def observe(self, seat):
        return np.full((2, 6), seat, np.int8)


class PaysTheWinnerOnly(Strip):
    def step(self, action):
        rewards, ended = super().step(action)
        return (rewards and tuple(max(0.0, reward) for reward in rewards)), ended


class HiddenDice(Strip):
    def reset(self, rng):
        super().reset(rng)
        self.seat = int(rng.integers(2))


class WrongSymmetry(Strip):
    spec = declares(symmetries=(Symmetry(tuple(range(12)), MIRROR),))


class CountsOnTheClass(Strip):
    played = []  # noqa: RUF012 -- the mistake

    def step(self, action):
        self.played.append(action)
        rewards, ended = super().step(action)
        return (rewards and (rewards if len(self.played) % 2 else rewards[::-1])), ended


class SeatIsTrue(Strip):
    def step(self, action):
        outcome = super().step(action)
        self.seat = bool(self.seat)
        return outcome


class PaysTooMuch(Strip):
    spec = declares(returns=(-1e30, 1e30))

    def step(self, action):
        rewards, ended = super().step(action)
        return (rewards and tuple(1e30 * reward for reward in rewards)), ended


BROKEN = [
    (CountsOnTheClass, "separate matches", "two matches share state", "create lists and arrays"),
    (SeatIsTrue, "seats", "invalid seat", "set self.seat to the seat to move"),
    (PaysTooMuch, "step", "step() returns invalid rewards", "rewards of this ply"),
    (NoObserve, "methods", "observe is missing", "write def observe(self, seat)"),
    (StepTakesTwo, "methods", "step takes the wrong parameters", "write def step(self, action)"),
    (MaskIsNoMethod, "methods", "mask must be a method", "write def mask(self)"),
    (ShortMask, "mask", "mask() has the wrong length", "for each action"),
    (
        NumbersForMask,
        "mask",
        "mask() must return num_actions booleans",
        "True or False for each action",
    ),
    (Stuck, "legal moves", "a match in progress has no legal action", "end the match"),
    (ThirdSeat, "seats", "invalid seat", "set self.seat to the seat to move"),
    (NoSeat, "seats", "invalid seat", "set self.seat to the seat to move"),
    (
        FlatObservation,
        "observation",
        "observe() has the wrong shape",
        "return what the spec declares",
    ),
    (
        HalvesForWholes,
        "observation",
        "observe() has the wrong dtype",
        "or declare what is returned",
    ),
    (NoNumbers, "observation", "observe() returns NaN or infinity", "that a network can take"),
    (FiveValues, "step", "step() must return (rewards, ended)", "return rewards, ended"),
    (NumberForEnded, "step", "step() must return ended as True or False", "True or False"),
    (OneReward, "step", "step() returns invalid rewards", "rewards of this ply"),
    (RewardIsNaN, "step", "step() returns invalid rewards", "rewards of this ply"),
    (DividesByZero, "exceptions", "step raises an exception", "see broken_matches.py, line "),
    (Misspells, "exceptions", "observe(0) raises an exception", "see broken_matches.py, line "),
    (
        SameForAll,
        "points of view",
        "every seat sees the same observation",
        "put the observing seat's own pieces first",
    ),
    (NeverEnds, "ending by rules", "no match ever ends", "return ended = True"),
    (PaysTwo, "returns", "a return is outside the declared range", "can still be paid"),
    (PaysBack, "returns", "a return is outside the declared range", "can still be paid"),
    (PaysNothing, "results", "no match has a winner", "in the step that ends the match"),
    (SeatNeverMoves, "turns", "seat 1 never moves", "as self.seat = 1 - self.seat"),
    (
        ConstantObservation,
        "information",
        "the observation never changes",
        "return the position from observe",
    ),
    (PaysTheWinnerOnly, "zero-sum", "rewards do not sum to 0", "or declare zero_sum=False"),
    (HiddenDice, "declared chance", "the match depends on its key", "declare chance=True"),
    (
        WrongSymmetry,
        "symmetries",
        "spec.symmetries[0] does not map the game onto itself",
        "list for each new index the old one",
    ),
]
