"""Classes that offer the batched protocol themselves: what goes wrong in them becomes a fault with
the match in it.
"""

from __future__ import annotations

import dataclasses
import inspect
import re

import numpy as np
import pytest

from sparring.errors import GameError, GameFault, IllegalAction, InputError
from sparring.games import GameSpec, make
from sparring.games.faults import play_again

SPEC = GameSpec(
    num_players=2, num_actions=3, observation_shape=(2,), observation_dtype="float32", max_plies=200
)


class Batch:
    """Add 1, 2 or 3 a ply; ends at 150 or more. Slots may go wrong when they reach `bad`."""

    spec = SPEC

    def __init__(self, num_slots, bad=-1, how="raise"):
        self.num_slots, self.bad, self.how = num_slots, bad, how
        self.seat, self.plies = np.zeros(num_slots, np.int64), np.zeros(num_slots, np.int64)
        self.observation = np.zeros((num_slots, 2), np.float32)
        self.mask = np.zeros((num_slots, 3), np.bool_)
        self.rewards = np.zeros((num_slots, 2), np.float32)
        self.terminated, self.truncated = (
            np.ones(num_slots, np.bool_),
            np.zeros(num_slots, np.bool_),
        )

    def reset(self, slots, keys):
        if self.how == "reset":
            raise KeyError("no such key")
        self.seat[slots], self.plies[slots], self.rewards[slots], self.terminated[slots] = (
            0,
            0,
            0,
            False,
        )
        self.observation[slots], self.mask[slots] = 0, True

    def step(self, actions):
        live = actions >= 0
        if np.any(live & (self.terminated | (actions > 2))):
            raise IllegalAction("illegal")
        self.observation[live, 0] += 1 + actions[live]
        at = live & (self.observation[:, 0] == self.bad)
        if at.any() and self.how == "raise":
            raise RuntimeError("board on fire")
        self.observation[at & (self.how == "observation"), 1] = np.inf
        self.rewards[...] = np.where(at & (self.how == "rewards"), np.nan, 0)[:, None]
        self.plies[live] += 1
        self.seat[live] = 1 - self.seat[live]
        self.terminated |= live & (self.observation[:, 0] >= 150)
        self.mask[self.terminated] = False

    def win_or_block(self, slots):
        if self.how == "win_or_block":
            return np.zeros(3)[99]
        return self.mask[slots]

    def observe_as(self, slots, seats):
        return (
            self.observation[slots]
            + np.where(np.isin(slots, 2) & (self.how == "observe_as"), np.nan, 0)[:, None]
        )

    def text(self, slot):
        return str(self.observation[slot, 0])

    def action_text(self, slot, action):
        return f"add {1 + action}"

    def get_state(self):
        return {
            "seat": self.seat.copy(),
            "plies": self.plies.copy(),
            "observation": self.observation.copy(),
            "mask": self.mask.copy(),
        }

    def set_state(self, state):
        for name, array in state.items():
            getattr(self, name)[...] = array
        self.terminated[...] = ~self.mask.any(axis=1)


HERE, FILE = Batch.__module__, "test_batched_user_games.py"


def begun(slots=4, **arguments):
    name = (
        f"{HERE}:Batch({', '.join(f'{key}={value}' for key, value in arguments.items())})"
        if arguments
        else f"{HERE}:Batch"
    )
    game = make(name, slots)
    game.reset(np.arange(slots), np.arange(slots).astype(np.uint64) + np.uint64(70))
    return game


def fault(call, *arguments, **options):
    with pytest.raises(GameFault) as raised:
        call(*arguments, **options)
    return raised.value


def line_of(text):
    lines, first = inspect.getsourcelines(Batch)
    return first + next(number for number, line in enumerate(lines) if text in line)


def test_an_exception_becomes_a_fault_of_the_first_slot_that_plays():
    game = begun(bad=5)
    game.step(np.array([-1, 0, 2, -1]))
    told = fault(game.step, np.array([-1, 0, 1, 0]))
    assert told.record.pop("traceback").startswith("Traceback")
    name = f"{HERE}:Batch(bad=5)"
    assert told.record == {
        "game": name,
        "key": 71,
        "actions": [0, 0],
        "during": "step",
        "cause": "RuntimeError: board on fire",
    }
    start = (
        f"game {name} raised RuntimeError in step ({FILE}, line "
        f"{line_of('raise RuntimeError')}): board on fire; fix it"
    )
    assert str(told).startswith(start)
    assert str(told).endswith("; in which of 3 matches is not known, the first of them is kept")
    alone = begun(bad=5)
    alone.step(np.array([-1, -1, 2, -1]))
    told = fault(alone.step, np.array([-1, -1, 1, -1]))
    assert (told.record["key"], told.record["actions"]) == (72, [2, 1])
    assert "is not known" not in str(told)
    assert (
        fault(list, play_again(make(name, 1), told.record)).record["cause"] == told.record["cause"]
    )


@pytest.mark.parametrize("how", ["rewards", "observation"])
def test_what_is_no_number_becomes_a_fault_of_its_slot(how):
    game = begun(bad=5, how=how)
    game.step(np.array([1, 0, 2, 1]))
    told = fault(game.step, np.array([0, 0, 1, -1]))
    assert (told.record["key"], told.record["actions"], told.record["during"]) == (
        72,
        [2, 1],
        "step",
    )
    line = inspect.getsourcelines(Batch.step)[1]
    assert (
        f"breaks the contract of games in step ({FILE}, line {line}): got NaN or infinity "
        f"in {how}, expected finite" in str(told)
    )
    assert "is not known" not in str(told)


def test_exceptions_in_the_other_calls():
    told = fault(begun, 4, how="reset")
    assert (told.record["key"], told.record["actions"], told.record["during"]) == (70, [], "reset")
    game = begun(how="win_or_block")
    game.step(np.array([0, 1, 2, -1]))
    told = fault(game.win_or_block, np.array([2, 1]))
    assert (told.record["key"], told.record["actions"], told.record["during"]) == (
        72,
        [2],
        "win_or_block",
    )
    assert re.search(rf"raised IndexError in win_or_block \({FILE}, line \d+\)", str(told))
    assert (
        fault(list, play_again(make(told.record["game"], 1), told.record)).record["during"]
        == "win_or_block"
    )
    told = fault(begun(how="observe_as").observe_as, np.array([3, 2]), np.array([0, 1]))
    assert (told.record["key"], told.record["during"]) == (72, "observe_as")


def test_long_matches_and_states():
    game = begun(2, bad=140)
    for _ in range(100):
        game.step(np.array([0, -1]))
    with pytest.raises(IllegalAction):
        game.step(np.array([1, 3]))
    state = game.get_state()
    assert state["guard_history"].shape == (2, 100)
    other = make(f"{HERE}:Batch(bad=140)", 2)
    other.set_state(state)
    for _ in range(39):
        other.step(np.array([0, -1]))
    told = fault(other.step, np.array([0, -1]))
    assert (told.record["key"], told.record["actions"]) == (70, [0] * 140)
    assert np.array_equal(state["guard_plies"], [100, 0])
    for name in ("guard_keys", "guard_plies", "guard_history"):
        with pytest.raises(GameError, match=f"does not fit in .*{name[6:]}"):
            other.set_state({**state, name: state[name][:1]})


def test_all_else_is_the_games():
    game = begun()
    assert game.text(1) == "0.0"
    assert game.action_text(0, 2) == "add 3"
    assert game.seat is game.seat
    assert not hasattr(game, "new_match")
    assert game.win_or_block(np.array([1])).tolist() == [[True] * 3]
    with pytest.raises(InputError, match="no such slots"):
        game.reset(np.array([4]), np.zeros(1, np.uint64))
    with pytest.raises(IllegalAction):
        game.step(np.array([3, -1, -1, -1]))


class Slotted:
    """A match in which there are slots; no batch."""

    spec = dataclasses.replace(SPEC, observation_shape=(1,))

    def __init__(self, num_slots=6):
        self.num_slots, self.seat = num_slots, 0

    def reset(self, rng):
        self.seat = 0

    def mask(self):
        return [True] * 3

    def observe(self, seat):
        return [self.num_slots]

    def step(self, action):
        return None, False


@pytest.mark.parametrize(("arguments", "slots"), [("", 6), ("(num_slots=9)", 9)])
def test_a_match_with_a_parameter_of_that_name_is_no_batch(arguments, slots):
    game = make(f"{HERE}:Slotted{arguments}", 3)
    game.reset(np.arange(3), np.zeros(3, np.uint64))
    assert game.observation.tolist() == [[slots]] * 3
