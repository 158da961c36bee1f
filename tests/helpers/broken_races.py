"""The race of `race_rules` with the batched protocol, broken where chance or the limit matter."""

from __future__ import annotations

import dataclasses

import numpy as np

from sparring.games.compiled.game import CompiledGame


class Race(CompiledGame):
    def __init__(self, num_slots):
        super().__init__("race_rules", num_slots)


class TakesMovesAfterTheCut(Race):
    """A match that was cut is played on as if -1 had been given."""

    def step(self, actions):
        super().step(np.where(self.truncated & (np.asarray(actions) < 2), -1, actions))


class AlwaysCut(Race):
    """The limit is so low that no seat gets home."""

    def __init__(self, num_slots):
        super().__init__(num_slots)
        self.spec = dataclasses.replace(self.spec, max_plies=2)

    def step(self, actions):
        super().step(actions)
        self.truncated[(self.plies == 2) & ~self.terminated] = True
        self.truncated[self.plies > 2] = True


class PromisesWins(Race):
    """The first legal action is said to win."""

    def win_or_block(self, slots):
        marked = super().win_or_block(slots)
        return marked & (np.cumsum(marked, axis=1) == 1)


class MarksTheIllegal(Race):
    def win_or_block(self, slots):
        return np.ones((len(slots), self.spec.num_actions), np.bool_)


BROKEN = [
    (TakesMovesAfterTheCut, "illegal actions", "an action in a truncated match is accepted"),
    (AlwaysCut, "ending by rules", "no match ever ends"),
    (PromisesWins, "win or block", "win_or_block marks moves that do not win"),
    (MarksTheIllegal, "win or block", "win_or_block does not give the legal moves"),
]
