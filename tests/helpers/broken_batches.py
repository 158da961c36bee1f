"""Tic-tac-toe with the batched protocol, broken in one way at a time; `BROKEN` lists the classes
with the check and the words of its finding.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np

from sparring.errors import IllegalAction
from sparring.games.compiled.game import CompiledGame
from sparring.games.spec import Symmetry

SPEC = CompiledGame("sparring.games.tic_tac_toe", 1).spec
SWAPPED = (1, 0, *range(2, 9))


class Toe(CompiledGame):
    """Tic-tac-toe with `changes` to what it declares."""

    changes: ClassVar[dict] = {}

    def __init__(self, num_slots):
        super().__init__("sparring.games.tic_tac_toe", num_slots)
        self.spec = dataclasses.replace(SPEC, **self.changes)

    def live(self):
        return ~(self.terminated | self.truncated)


def declares(**changes):
    return type("Declares", (Toe,), {"changes": changes})


def after_step(change):
    """A game that calls `change(game, actions)` after each step."""

    class Changed(Toe):
        def step(self, actions):
            super().step(actions)
            change(self, np.asarray(actions))

    return Changed


def shows(name, where, value):
    """A game that shows a wrong `value` in a view in the slots `where(game)`."""

    class Shows(Toe):
        def reset(self, slots, keys):
            super().reset(slots, keys)
            self.truth = getattr(self, name).copy()

        def step(self, actions):
            view = getattr(self, name)
            view[...] = self.truth
            super().step(actions)
            self.truth = view.copy()
            view[where(self)] = value

    return Shows


def after_reset(change):
    """A game that calls `change(game, slots, keys)` after each reset."""

    class Changed(Toe):
        def reset(self, slots, keys):
            super().reset(slots, keys)
            change(self, np.asarray(slots), np.asarray(keys))

    return Changed


class ListForSeat(Toe):
    def _name_views(self):
        super()._name_views()
        self.seat = self.seat.tolist()


class WideObservation(Toe):
    def _name_views(self):
        super()._name_views()
        self.observation = self.observation.astype(np.int16)


class Crashes(Toe):
    def step(self, actions):
        super().step(actions)
        if self.plies.max() == 4:
            raise RuntimeError("board\non fire")


class FreshSeats(Toe):
    def reset(self, slots, keys):
        super().reset(slots, keys)
        self.seat = self._slots.seat.copy()

    def step(self, actions):
        super().step(actions)
        self.seat = self._slots.seat.copy()


class ForgetsNothing(Toe):
    """Matches after the first in a slot begin with a mark in the observation."""

    resets = 0

    def reset(self, slots, keys):
        super().reset(slots, keys)
        self.resets += len(slots)
        self.observation[slots, 0, 0, 0] = self.resets > self.num_slots


class KeepsItsPay(Toe):
    """The rewards of the last match are still there when the next one begins."""

    def reset(self, slots, keys):
        paid = self.rewards[slots]
        super().reset(slots, keys)
        self.rewards[slots] = paid


class SharedCounter(Toe):
    """The count of plies goes up in all slots when it goes up in one."""

    def step(self, actions):
        super().step(actions)
        self.observation[self.live(), 1, 2, 2] = self.plies.max() % 100


class Obliging(Toe):
    """Plays another action instead of an illegal one."""

    def step(self, actions):
        wrong = (actions >= 0) & (
            ~self.live()
            | (actions >= 9)
            | ~self.mask[np.arange(self.num_slots), np.minimum(actions, 8)]
        )
        super().step(np.where(wrong | (actions < -1), -1, actions))


class OneByOne(Toe):
    """Plays the slots before the illegal action."""

    def step(self, actions):
        try:
            super().step(actions)
        except IllegalAction:
            bad = (
                (actions < -1)
                | (actions > 8)
                | (~self.mask[np.arange(self.num_slots), np.clip(actions, 0, 8)] & (actions >= 0))
            )
            super().step(np.where(np.cumsum(bad) > 0, -1, actions))
            raise


class OtherError(Toe):
    def step(self, actions):
        try:
            super().step(actions)
        except IllegalAction:
            raise IndexError from None


class HiddenChange(Toe):
    """An illegal action changes the state, and no view shows it."""

    def step(self, actions):
        try:
            super().step(actions)
        except IllegalAction:
            self._slots.rng[:, 1] += np.uint64(1)
            raise


class ForgetsRewards(Toe):
    def get_state(self):
        return {**super().get_state(), "rewards": np.zeros_like(self.rewards)}


class DisturbedBySaving(Toe):
    def get_state(self):
        state = super().get_state()
        self.plies += 1
        return state


class GivesItsArrays(Toe):
    def get_state(self):
        return {name: getattr(self._slots, name) for name in super().get_state()}


class KeepsTheStatesArrays(Toe):
    """A counter, restored by keeping the caller's array."""

    def __init__(self, num_slots):
        self.counter = np.zeros(num_slots, np.int64)
        super().__init__(num_slots)

    def step(self, actions):
        super().step(actions)
        self.counter += 1

    def get_state(self):
        return {**super().get_state(), "counter": self.counter.copy()}

    def set_state(self, state):
        super().set_state(state)
        self.counter = state["counter"]


class RemembersElsewhere(Toe):
    """The height of the marks in the observation is kept outside the state."""

    def __init__(self, num_slots):
        self.level = np.ones((num_slots, 1, 1, 1), np.int8)
        super().__init__(num_slots)

    def reset(self, slots, keys):
        super().reset(slots, keys)
        self.level[slots] = 1

    def step(self, actions):
        super().step(actions)
        self.level[:, 0, 0, 0] = self.plies + 1
        self.observation[...] = (self.observation > 0) * self.level

    def set_state(self, state):
        super().set_state(state)
        self.observation *= self.level


def set_view(name, where, value):
    """A change that sets a view to `value` in the slots `where(game)`."""

    def change(game, actions):
        getattr(game, name)[where(game)] = value

    return change


def ended(game):
    return game.terminated


def first_live(game):
    return np.flatnonzero(game.live())[:1]


def mark_by_key(game, slots, keys):
    game.observation[slots, 1, 0, 0] = keys % np.uint64(3)


def count_waiting(game, actions):
    game.plies[game.live() & (actions < 0)] += 1


def clear_shown(game, actions):
    game.observation[game.live() & (actions < 0)] = 0


def move_on_after_the_end(game, actions):
    game.seat[game.terminated & (actions < 0)] ^= 1


def slot_number_in_view(game, slots, keys):
    game.observation[slots, 0, 1, 1] = slots


def reset_touches_others(game, slots, keys):
    game.rewards[:] = 0


BROKEN = [
    (declares(num_players=0), "declared facts", "invalid spec.num_players"),
    (declares(num_actions=9.0), "declared facts", "invalid spec.num_actions"),
    (declares(max_plies=-1), "declared facts", "invalid spec.max_plies"),
    (declares(returns=(1.0, -1.0)), "declared facts", "invalid spec.returns"),
    (declares(returns=(-1.0, float("inf"))), "declared facts", "invalid spec.returns"),
    (
        declares(observation_dtype="int9"),
        "declared facts",
        "invalid spec.observation_dtype",
    ),
    (
        declares(observation_dtype="object"),
        "declared facts",
        "invalid spec.observation_dtype",
    ),
    (
        declares(observation_dtype=np.int8),
        "declared facts",
        "invalid spec.observation_dtype",
    ),
    (declares(observation_shape=18), "declared facts", "invalid spec.observation_shape"),
    (declares(observation_shape=()), "declared facts", "invalid spec.observation_shape"),
    (declares(observation_shape=(2, 0)), "declared facts", "invalid spec.observation_shape"),
    (declares(returns=3), "declared facts", "invalid spec.returns"),
    (
        declares(symmetries=((tuple(range(18)), SWAPPED),)),
        "declared facts",
        "invalid spec.symmetries",
    ),
    (
        declares(symmetries=(Symmetry(tuple(range(18)), (0,) * 9),)),
        "declared facts",
        "invalid spec.symmetries",
    ),
    (
        declares(symmetries=(Symmetry(tuple(range(17)), SWAPPED),)),
        "declared facts",
        "invalid spec.symmetries",
    ),
    (declares(num_actions=8, symmetries=()), "shapes", "mask has the wrong shape or dtype"),
    (declares(num_players=3), "shapes", "rewards has the wrong shape or dtype"),
    (ListForSeat, "shapes", "seat must be an array"),
    (WideObservation, "shapes", "observation has the wrong shape or dtype"),
    (Crashes, "play", "the game raises an exception"),
    (
        after_reset(lambda game, slots, keys: game.plies.__setitem__(slots, 1)),
        "beginning",
        "a new match starts with nonzero plies",
    ),
    (
        after_reset(lambda game, slots, keys: game.rewards.__setitem__(slots, 1)),
        "beginning",
        "a new match starts with nonzero rewards",
    ),
    (
        after_reset(lambda game, slots, keys: game.truncated.__setitem__(slots[:1], True)),
        "beginning",
        "a new match starts with nonzero truncated",
    ),
    (shows("seat", ended, 2), "seats", "invalid seat"),
    (shows("seat", ended, -1), "seats", "invalid seat"),
    (shows("mask", first_live, False), "legal moves", "a match in progress has no legal action"),
    (
        after_step(set_view("truncated", ended, True)),
        "endings",
        "a match is terminated and truncated",
    ),
    (after_step(set_view("mask", ended, True)), "endings", "a terminated match has legal actions"),
    (
        after_step(set_view("observation", ended, 1)),
        "endings",
        "a terminated match has an observation",
    ),
    (after_step(set_view("rewards", ended, 1)), "endings", "an ended match pays"),
    (after_step(move_on_after_the_end), "endings", "an ended match changes"),
    (after_step(set_view("plies", first_live, 3)), "lengths", "plies does not count the actions"),
    (declares(max_plies=8), "lengths", "a match exceeds max_plies"),
    (
        after_step(set_view("truncated", lambda game: game.live() & (game.plies == 6), True)),
        "lengths",
        "a match is truncated before max_plies",
    ),
    (
        after_step(set_view("rewards", first_live, np.nan)),
        "finite rewards",
        "a reward is not finite",
    ),
    (
        after_step(set_view("rewards", first_live, np.inf)),
        "finite rewards",
        "a reward is not finite",
    ),
    (after_step(set_view("rewards", first_live, 1)), "zero-sum", "rewards do not sum to 0"),
    (declares(returns=(-1.0, 0.5)), "returns", "a return is outside the declared range"),
    (declares(returns=(-0.5, 1.0)), "returns", "a return is outside the declared range"),
    (FreshSeats, "views in place", "seat is replaced by a new array"),
    (ForgetsNothing, "reproducible", "the same keys and actions give a different match"),
    (after_reset(mark_by_key), "declared chance", "the match depends on its key"),
    (SharedCounter, "independent slots", "a match depends on its slot or on other slots"),
    (
        after_reset(slot_number_in_view),
        "independent slots",
        "a match depends on its slot or on other slots",
    ),
    (
        after_reset(reset_touches_others),
        "independent slots",
        "a match depends on its slot or on other slots",
    ),
    (KeepsItsPay, "restarting", "reset does not start a fresh match"),
    (
        after_reset(lambda game, slots, keys: game.plies.fill(0)),
        "restarting",
        "reset changes another slot",
    ),
    (after_step(count_waiting), "waiting", "action -1 changes a slot"),
    (after_step(clear_shown), "waiting", "action -1 changes a slot"),
    (Obliging, "illegal actions", "a masked action is accepted"),
    (Obliging, "illegal actions", "an action in a terminated match is accepted"),
    (Obliging, "illegal actions", "an action below -1 is accepted"),
    (Obliging, "illegal actions", "an action past num_actions is accepted"),
    (OneByOne, "illegal actions", "a masked action is refused after something has changed"),
    (
        HiddenChange,
        "illegal actions",
        "an action past num_actions is refused after something has changed",
    ),
    (OtherError, "illegal actions", "a masked action raises the wrong error"),
    (ForgetsRewards, "restoring", "set_state does not restore exactly"),
    (DisturbedBySaving, "restoring", "get_state changes the matches"),
    (GivesItsArrays, "restoring", "a state changes while the game continues"),
    (KeepsTheStatesArrays, "restoring", "a state changes while the game continues"),
    (RemembersElsewhere, "restoring", "another game cannot continue from a state"),
    (
        declares(symmetries=(Symmetry((*SWAPPED, *(9 + cell for cell in SWAPPED)), SWAPPED),)),
        "symmetries",
        "spec.symmetries[0] does not map the game onto itself",
    ),
    (
        declares(symmetries=(Symmetry(tuple(range(18)), tuple(reversed(range(9)))),)),
        "symmetries",
        "spec.symmetries[0] does not map the game onto itself",
    ),
]
