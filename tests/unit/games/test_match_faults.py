"""Faults of users' classes while a match is played: the line that says so, and the record
of the match.
"""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest
from plain_games import Toe

from sparring.errors import GameFault
from sparring.games.python.game import LoopedGame
from sparring.games.spec import GameSpec

KEY = 2**64 - 5
HERE = "test_match_faults.py"


class Late(Toe):
    """Tic-tac-toe; subclasses go wrong on the second ply."""

    @property
    def late(self):
        return (self.board >= 0).sum() >= 2


def late_step(outcome):
    """A class whose `step` answers `outcome(match)` on the second ply."""

    class Wrong(Late):
        def step(self, action):
            right = super().step(action)
            return outcome(self) if self.late else right

    return Wrong


def late_view(method, value):
    """A class whose `mask` or `observe` gives `value(what is right)` after the second ply."""

    def give(self, *seat):
        right = getattr(Toe, method)(self, *seat)
        return value(right) if self.late else right

    return type("Wrong", (Late,), {method: give})


def late_seat(seat):
    class Wrong(Late):
        def step(self, action):
            right = super().step(action)
            self.seat = seat if self.late else self.seat
            return right

    return Wrong


def with_nan(observation):
    return np.where(observation > 0, np.nan, observation)


STEP, MASK, OBSERVE = (
    "return the rewards of this ply",
    "return True or False for each action",
    "return what the spec declares",
)
BREACHES = [
    (
        late_step(lambda match: None),
        "step",
        "None from step",
        "(rewards or None, True if the match has ended)",
        "end step with: return ",
    ),
    (
        late_step(lambda match: (None, False, {})),
        "step",
        "(None, False, {}) from step",
        "(rewards or None",
        "end step with",
    ),
    (
        late_step(lambda match: (None, None)),
        "step",
        "None as the second value from step",
        "True or False",
        "return rewards, and then",
    ),
    (
        late_step(lambda match: (None, 0.0)),
        "step",
        "0.0 as the second value from step",
        "True or False",
        "return rewards",
    ),
    (
        late_step(lambda match: ([1], True)),
        "step",
        "rewards [1]",
        "2 numbers from -1e9 to 1e9, one for each seat, or None",
        STEP,
    ),
    (late_step(lambda match: (1.0, True)), "step", "rewards 1.0", "2 numbers from", STEP),
    (
        late_step(lambda match: ([0, float("nan")], False)),
        "step",
        "rewards [0, nan]",
        "2 numbers from",
        STEP,
    ),
    (
        late_step(lambda match: ([float("-inf"), 0], True)),
        "step",
        "rewards [-inf, 0]",
        "2 numbers from",
        STEP,
    ),
    (
        late_step(lambda match: ([1e39, 0], True)),
        "step",
        "rewards [1e+39, 0]",
        "2 numbers from",
        STEP,
    ),
    (
        late_step(lambda match: (["1", "2"], True)),
        "step",
        "rewards ['1', '2']",
        "2 numbers from",
        STEP,
    ),
    (
        late_step(lambda match: ([[1], [2]], True)),
        "step",
        "rewards [[1], [2]]",
        "2 numbers from",
        STEP,
    ),
    (
        late_seat(2),
        "step",
        "seat 2",
        "an integer from 0 to 1",
        "set self.seat to the seat to move",
    ),
    (late_seat(-1), "step", "seat -1", "an integer from 0 to 1", "set self.seat"),
    (late_seat(None), "step", "seat None", "an integer", "set self.seat"),
    (late_seat(0.0), "step", "seat 0.0", "an integer", "set self.seat"),
    (late_view("mask", lambda mask: mask[:8]), "mask", "a mask of bool (8,)", "bool (9,)", MASK),
    (late_view("mask", lambda mask: [0, 3, 5]), "mask", "a mask of int64 (3,)", "bool (9,)", MASK),
    (
        late_view("mask", lambda mask: np.flatnonzero([1] * 9)),
        "mask",
        "a mask with 2",
        "bool (9,)",
        MASK,
    ),
    (
        late_view("mask", lambda mask: mask.astype(float)),
        "mask",
        "a mask of float64 (9,)",
        "bool (9,)",
        MASK,
    ),
    (late_view("mask", lambda mask: None), "mask", "a mask of object ()", "bool (9,)", MASK),
    (
        late_view("mask", lambda mask: [[True], [True, False]]),
        "mask",
        "a mask that is not an array",
        "bool (9,)",
        MASK,
    ),
    (
        late_view("mask", lambda mask: mask & False),
        "mask",
        "no legal action",
        "at least one while a match goes on",
        "end the match, or",
    ),
    (
        late_view("observe", lambda seen: seen[0]),
        "observe",
        "an observation of int8 (3, 3)",
        "int8 (2, 3, 3)",
        OBSERVE,
    ),
    (
        late_view("observe", lambda seen: 1),
        "observe",
        "an observation of int64 ()",
        "int8 (2, 3, 3)",
        OBSERVE,
    ),
    (
        late_view("observe", lambda seen: seen * 1.0),
        "observe",
        "an observation of float64 (2, 3, 3)",
        "int8 (2, 3, 3)",
        OBSERVE,
    ),
    (
        late_view("observe", lambda seen: seen + np.int64(299)),
        "observe",
        "an observation with 299",
        "int8 (2, 3, 3)",
        OBSERVE,
    ),
    (
        late_view("observe", lambda seen: None),
        "observe",
        "an observation of object ()",
        "int8 (2, 3, 3)",
        OBSERVE,
    ),
]


def fault_of(match, actions=(4, 0), slots=3):
    """The fault of a game in whose middle slot `actions` are played, while its neighbours wait."""
    game = LoopedGame("my_game:Wrong", match, slots)
    game.reset(np.arange(slots), np.full(slots, KEY, np.uint64))
    for action in actions[:-1]:
        game.step(np.where(np.arange(slots) == slots // 2, action, -1))
    with pytest.raises(GameFault) as raised:
        game.step(np.where(np.arange(slots) == slots // 2, actions[-1], -1))
    return raised.value


@pytest.mark.parametrize(
    ("match", "during", "got", "expected", "remedy"),
    BREACHES,
    ids=[f"{row[1]}: {row[2]}" for row in BREACHES],
)
def test_what_the_contract_does_not_allow(match, during, got, expected, remedy):
    fault = fault_of(match)
    line = getattr(match, during).__code__.co_firstlineno
    start = (
        f"game my_game:Wrong breaks the contract of games in {during} ({HERE}, line "
        f"{line}): got {got}, expected {expected}"
    )
    assert str(fault).startswith(start)
    assert f"; {remedy}" in str(fault)
    assert "\n" not in str(fault)
    cause = fault.record.pop("cause")
    assert cause.startswith(f"got {got}, expected {expected}")
    assert fault.record == {
        "game": "my_game:Wrong",
        "key": KEY,
        "actions": [4, 0],
        "during": during,
        "traceback": "",
    }


class ShowsFloats(Late):
    spec = GameSpec(
        num_players=2,
        num_actions=9,
        observation_shape=(2, 3, 3),
        observation_dtype="float32",
        max_plies=9,
    )

    def observe(self, seat):
        return np.full((2, 3, 3), self.worst if self.late else 0.5)


@pytest.mark.parametrize("worst", [np.nan, np.inf, 1e39])
def test_floats_that_are_no_numbers_are_not_shown(worst):
    fault = fault_of(type("Wrong", (ShowsFloats,), {"worst": worst}))
    assert re.fullmatch(
        rf"game my_game:Wrong breaks .* in observe \({HERE}, line \d+\): got NaN or "
        rf"infinity, expected .*",
        str(fault),
    )
    assert fault.record["actions"] == [4, 0]
    shows_others = type(
        "Wrong", (ShowsFloats,), {"worst": worst, "late": property(lambda self: False)}
    )
    game = LoopedGame("my_game:Wrong", shows_others, 1)
    game.reset(np.zeros(1, int), np.zeros(1, np.uint64))
    shows_others.late = True
    with pytest.raises(GameFault, match=r"in observe .*: got NaN or infinity"):
        game.observe_as(np.array([0]), np.array([1]))


def crash(where):
    return 1 // (len(where) - len(where))


class Crashes(Late):
    crashes_in = ""

    def reset(self, rng):
        super().reset(rng)
        if self.crashes_in == "reset":
            self.spec.num_players += 1

    def mask(self):
        if self.crashes_in == "mask" and self.late:
            np.zeros(3).reshape(2)
        return super().mask()

    def observe(self, seat):
        if self.crashes_in == "observe" and self.late:
            raise LookupError
        return super().observe(seat)

    def step(self, action):
        right = super().step(action)
        if self.crashes_in == "step" and self.late:
            crash("a helper")
        return right

    def __str__(self):
        raise RuntimeError("ink\n  is out")

    def action_text(self, action):
        return self.words[action]


def line_of(function, text):
    lines, first = inspect.getsourcelines(function)
    [at] = [number for number, line in enumerate(lines) if text in line]
    return first + at


@pytest.mark.parametrize(
    ("during", "line", "cause"),
    [
        (
            "reset",
            line_of(Crashes.reset, "num_players"),
            "FrozenInstanceError: cannot assign to field 'num_players'",
        ),
        (
            "mask",
            line_of(Crashes.mask, "reshape"),
            "ValueError: cannot reshape array of size 3 into shape (2,)",
        ),
        ("observe", line_of(Crashes.observe, "raise"), "LookupError: raise LookupError"),
        ("step", line_of(crash, "//"), "ZeroDivisionError: integer division or modulo by zero"),
    ],
)
def test_an_exception_is_told_with_its_line(during, line, cause):
    match = type("Wrong", (Crashes,), {"crashes_in": during})
    if during == "reset":
        game, actions = LoopedGame("my_game:Wrong(sides=8)", match, 1), []
        with pytest.raises(GameFault) as raised:
            game.reset(np.zeros(1, int), np.array([KEY], np.uint64))
        fault, name = raised.value, "my_game:Wrong(sides=8)"
        remedy = "fix it, then try it out: sparring check-game 'my_game:Wrong(sides=8)'"
    else:
        fault, name, actions = fault_of(match), "my_game:Wrong", [4, 0]
        remedy = "fix it, then try it out: sparring check-game my_game:Wrong"
    kind, _, text = cause.partition(": ")
    assert (
        str(fault)
        == f"game {name} raised {kind} in {during} ({HERE}, line {line}): {text}; {remedy}"
    )
    trace = fault.record.pop("traceback")
    assert trace.startswith("Traceback (most recent call last):\n")
    assert f'{HERE}", line {line}' in trace
    assert fault.record == {
        "game": name,
        "key": KEY,
        "actions": actions,
        "during": during,
        "cause": cause,
    }
    assert fault.__cause__ is not None


def test_exceptions_in_texts():
    game = LoopedGame("my_game:Wrong", Crashes, 1)
    game.reset(np.zeros(1, int), np.zeros(1, np.uint64))
    with pytest.raises(
        GameFault,
        match=rf"raised RuntimeError in __str__ \({HERE}, line \d+\): ink is out; fix it",
    ):
        game.text(0)
    with pytest.raises(
        GameFault,
        match=(
            rf"raised AttributeError in action_text \({HERE}, line \d+\): 'Crashes' object "
            rf"has no attribute"
        ),
    ):
        game.action_text(0, 1)


def test_a_method_with_other_parameters():
    fault = fault_of(type("Wrong", (Toe,), {"step": lambda self: (None, False)}), actions=[4])
    assert f"raised TypeError in step ({HERE}, line {fault_line(fault)}): " in str(fault)
    assert "takes 1 positional argument but 2 were given; fix it" in str(fault)


def fault_line(fault):
    return int(re.search(r"line (\d+)\)", str(fault))[1])


class WinsBadly(Toe):
    def step(self, action):
        right = super().step(action)
        return ([1, float("nan")], True) if right[1] else right


def test_what_goes_wrong_on_a_copy_is_apart_from_what_was_played():
    game = LoopedGame("my_game:Wrong", WinsBadly, 1)
    game.reset(np.zeros(1, int), np.zeros(1, np.uint64))
    for action in (0, 3, 1):
        game.step(np.array([action]))
    with pytest.raises(GameFault, match=r"in step \(.*: got rewards \[1, nan\]") as raised:
        game.win_or_block(np.zeros(1, int))
    assert raised.value.record["actions"] == [0, 3, 1]
    assert raised.value.record["tried"] == [
        4,
        2,
    ]  # a block is looked for: 4 elsewhere lets seat 0 win with 2


class CannotBeCopied(Toe):
    def reset(self, rng):
        super().reset(rng)
        self.moves = (number for number in range(9))


def test_a_match_that_cannot_be_copied():
    game = LoopedGame("my_game:Wrong", CannotBeCopied, 1)
    game.reset(np.zeros(1, int), np.zeros(1, np.uint64))
    with pytest.raises(
        GameFault,
        match=(
            r"in copy: got TypeError: cannot pickle 'generator' object, .*; give the "
            r"class a method copy"
        ),
    ):
        game.win_or_block(np.zeros(1, int))


def test_a_game_of_the_main_script_is_not_to_be_checked_from_elsewhere():
    game = LoopedGame("__main__:Wrong", type("Wrong", (Crashes,), {"crashes_in": "reset"}), 1)
    with pytest.raises(GameFault, match=r"; fix it$"):
        game.reset(np.zeros(1, int), np.array([KEY], np.uint64))
