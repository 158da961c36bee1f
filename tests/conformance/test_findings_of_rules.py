"""Compiled rules are compared with plain Python, and matches too long for a check are cut off."""

from __future__ import annotations

import re
from functools import partial

import numpy as np
import pytest

from sparring import conformance
from sparring.conformance import check
from sparring.errors import ConfigurationError
from sparring.games import GameSpec
from sparring.games.compiled.game import CompiledGame
from sparring.games.python.game import LoopedGame


@pytest.mark.parametrize(
    ("rules", "got", "remedy"),
    [
        (
            "stray_rules",
            "IndexError: index 3 is out of bounds for axis 0 with size 3 (stray_rules.py, line 13)",
            "line 13; compiled code does not notice it",
        ),
        (
            "narrow_rules",
            "(narrow_rules.py, line 13)",
            "see narrow_rules.py, line 13: make whole numbers",
        ),
    ],
)
def test_compiled_rules_that_differ_from_plain_python_are_found(rules, got, remedy):
    [finding] = check(partial(CompiledGame, rules), matches=32).findings
    assert (finding.check, finding.what) == (
        "plain Python",
        "compiled rules differ from plain Python",
    )
    assert got in finding.got
    assert remedy in finding.remedy


@pytest.mark.parametrize(
    ("rules", "check_name", "what", "got"),
    [
        (
            "wrapping_rules",
            "plain Python",
            "observe breaks the contract",
            "129 in an observation of int8; 85 actions so far, the last ones: "
            "0 1 1 1 0 1 1 1 1 1 1 1",
        ),
        (
            "wrapping_state_rules",
            "wide numbers",
            "a number does not fit its field of STATE",
            "observation -64 instead of 64 after 87 plies (wrapping_state_rules.py, line 13)",
        ),
    ],
)
def test_numbers_that_wrap_around_are_found(rules, check_name, what, got):
    [finding] = check(partial(CompiledGame, rules), matches=32).findings
    assert (finding.check, finding.what, finding.got) == (check_name, what, got)
    assert re.search("declare (a larger observation_dtype|wider fields)", finding.remedy)


def test_chance_of_rules_that_does_not_come_from_the_rng_is_found():
    [finding] = check(partial(CompiledGame, "global_dice_rules"), matches=32).findings
    assert finding.what == "chance does not come from the match's rng"
    assert "the module random was used" in finding.got


class Endless:
    """A match that only the ply limit ends, of `length` plies."""

    def __init__(self, length=10_000):
        self.spec = GameSpec(
            num_players=2,
            num_actions=1,
            observation_shape=(2,),
            observation_dtype="int8",
            max_plies=length,
        )

    def reset(self, rng):
        self.seat = self.plies = 0

    def mask(self):
        return [True]

    def observe(self, seat):
        return np.array([seat, self.plies % 100], np.int8)

    def step(self, action):
        self.seat = 1 - self.seat
        self.plies += 1
        return None, False


@pytest.mark.parametrize(
    ("name", "limit"), [("_MAX_STEPS", 20), ("_MAX_BYTES", 4 * 20 * (8 + 2 + 1 + 8 + 1 + 1 + 8))]
)
def test_long_matches_are_cut_off_and_the_report_says_so(monkeypatch, name, limit):
    monkeypatch.setattr(conformance, name, limit)
    report = check(partial(LoopedGame, "endless", Endless), matches=4)
    assert report.passed, str(report)  # the rules might end a longer match
    assert "\nmatches cut off after 20 plies, to save time and memory" in str(report)
    assert report.plies == 4 * 20


def test_matches_of_no_more_than_the_limit_are_played_to_their_end(monkeypatch):
    monkeypatch.setattr(conformance, "_MAX_STEPS", 20)
    report = check(partial(LoopedGame, "endless", partial(Endless, 20)), matches=4)
    assert [finding.what for finding in report.findings] == ["no match ever ends"]
    assert report.cut_after == 0


class Hungry(Endless):
    """Runs out of memory in the method named `during`."""

    during = "step"

    def __init__(self):
        super().__init__(20)
        self._ask("__init__")

    def _ask(self, during):
        if during == self.during:
            raise MemoryError("a lot")

    def copy(self):
        self._ask("copy")
        return type(self)()

    def step(self, action):
        self._ask("step")
        return super().step(action)


@pytest.mark.parametrize("during", ["__init__", "step", "copy"])
def test_running_out_of_memory_is_not_a_finding(during):
    game = type("Hungry", (Hungry,), {"during": during})
    with pytest.raises(
        ConfigurationError,
        match=r"not enough memory for .*: got MemoryError a lot, expected memory for 2 matches",
    ):
        check(partial(LoopedGame, "hungry", game), matches=2)
