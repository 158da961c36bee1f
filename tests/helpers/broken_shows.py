"""Tic-tac-toe with the batched protocol, broken in `observe_as`, texts and `win_or_block`. `BROKEN`
is as in `broken_batches`.
"""

from __future__ import annotations

import numpy as np
from broken_batches import Toe


class NoText(Toe):
    text = None

    def texts(self):
        """A misspelt `text`."""


class OneView(Toe):
    """Every seat sees what the mover sees."""

    def observe_as(self, slots, seats):
        return super().observe_as(slots, self.seat[slots])


class LastView(Toe):
    """`observe_as` shows something after the end of a match."""

    def observe_as(self, slots, seats):
        return super().observe_as(slots, seats) | self.terminated[slots, None, None, None].astype(
            np.int8
        )


class OthersView(Toe):
    def observe_as(self, slots, seats):
        return super().observe_as(slots, 1 - np.asarray(seats))


class FlatView(Toe):
    def observe_as(self, slots, seats):
        return super().observe_as(slots, seats).reshape(len(slots), 18)


class MovesToShow(Toe):
    def observe_as(self, slots, seats):
        self.seat[slots] = seats
        return super().observe_as(slots, seats)


class Speechless(Toe):
    def text(self, slot):
        return ""


class NumbersForWords(Toe):
    def action_text(self, slot, action):
        return action


class PlaysToSpeak(Toe):
    def text(self, slot):
        self.plies[slot] = 0
        return super().text(slot)


class MarksAll(Toe):
    def win_or_block(self, slots):
        return self.mask[slots].copy()


class WinsOnly(Toe):
    def win_or_block(self, slots):
        marked = super().win_or_block(slots)
        state, seat = self.get_state(), self.seat.copy()
        wins = np.zeros_like(self.mask)
        for action in range(9):
            legal = self.mask[:, action].copy()
            self.step(np.where(legal, action, -1))
            wins[:, action] = legal & (self.rewards[np.arange(self.num_slots), seat] > 0)
            self.set_state(state)
        return np.where(wins[slots].any(axis=1)[:, None], marked, self.mask[slots])


class MarksTheFirst(Toe):
    def win_or_block(self, slots):
        marked = super().win_or_block(slots)
        everything = (marked == self.mask[slots]).all(axis=1)
        marked[everything, 1:] &= ~marked[everything, :1]
        return marked


class TriesOnTheMatch(Toe):
    def win_or_block(self, slots):
        marked = super().win_or_block(slots)
        self.step(np.where(self.live(), self.mask.argmax(axis=1), -1))
        return marked


BROKEN = [
    (NoText, "protocol", "methods are missing"),
    (OneView, "points of view", "every seat sees the same observation"),
    (LastView, "points of view", "observe_as is not zero after the end"),
    (OthersView, "points of view", "observe_as differs from observation for the seat to move"),
    (FlatView, "points of view", "observe_as has the wrong shape or dtype"),
    (MovesToShow, "points of view", "observe_as changes a match"),
    (Speechless, "words", "text must return a str"),
    (NumbersForWords, "words", "action_text must return a str"),
    (PlaysToSpeak, "words", "text or action_text changes a match"),
    (MarksAll, "win or block", "win_or_block does not give the winning moves"),
    (WinsOnly, "win or block", "win_or_block does not give the blocking moves"),
    (MarksTheFirst, "win or block", "win_or_block does not give the legal moves"),
    (TriesOnTheMatch, "win or block", "win_or_block changes a match"),
]
