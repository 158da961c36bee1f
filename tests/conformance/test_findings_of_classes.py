"""Every kind of finding on a game in plain Python is found, and says how to fix it."""

from __future__ import annotations

from functools import partial

import broken_batches
import broken_keepers
import broken_matches
import pytest
from broken_matches import BreaksRarely, Lists, LockedDice, Strip

from sparring.conformance import check
from sparring.games import make

NUM_CHECKS = 27
NUM_CHECKS_WITH_OUR_WRAPPER = 40
BROKEN = [*broken_matches.BROKEN, *broken_keepers.BROKEN]

# Mistakes that people make, and the finding on each. One more, that no worker can make the game, is
# in test_findings_of_workers.py.
MISTAKES = {
    "mask of wrong length": "mask() has the wrong length",
    "no legal move in a live match": "a match in progress has no legal action",
    "reward after the end": "an ended match pays",
    "observation not from the mover's view": "every seat sees the same observation",
    "shared mutable observation": "the array that observe returned changes later",
    "not reproducible from its keys": "the same keys and actions give a different match",
    "not reproducible from its rng": "the same rng and actions give a different match",
    "chance from the module random": "chance does not come from the match's rng",
    "never ends": "no match ever ends",
    "a seat that never moves": "seat 1 never moves",
    "rewards forgotten": "no match has a winner",
    "wrong dtype": "observe() has the wrong dtype",
    "wrong shape": "observe() has the wrong shape",
    "seat out of range": "invalid seat",
    "returns outside the declared range": "a return is outside the declared range",
    "wrong symmetry": "spec.symmetries[0] does not map the game onto itself",
    "state that cannot be restored": "set_state does not restore exactly",
    "an exception in step": "step raises an exception",
    "illegal action accepted": "a masked action is accepted",
    "matches that share state": "two matches share state",
}


def checked(cls, *, batched=False):
    return check(partial(make, f"{cls.__module__}:{cls.__qualname__}"), batched=batched)


@pytest.mark.parametrize("cls", [Strip, Lists, LockedDice])
def test_a_correct_game_has_no_findings(cls):
    report = checked(cls)
    assert str(report).splitlines()[0] == f"broken_matches:{cls.__name__}: no findings"
    assert len(report.checks) == len(set(report.checks)) == NUM_CHECKS
    assert report.left == 0


@pytest.mark.parametrize("cls", [Strip, Lists, LockedDice])
def test_our_wrapper_of_a_correct_game_keeps_the_batched_protocol(cls):
    report = checked(cls, batched=True)
    assert report.passed, str(report)
    assert len(report.checks) == NUM_CHECKS_WITH_OUR_WRAPPER


@pytest.mark.parametrize(
    ("cls", "name", "what", "remedy"), BROKEN, ids=[cls.__name__ for cls, _, _, _ in BROKEN]
)
def test_a_broken_game_has_this_one_finding(cls, name, what, remedy):
    report = checked(cls)
    assert [(finding.check, finding.what) for finding in report.findings] == [(name, what)], str(
        report
    )
    [finding] = report.findings
    assert remedy in finding.remedy
    assert "\n" not in str(finding)
    assert report.left > 0 or name in ("symmetries", "points of view")


def test_a_fault_in_one_match_of_many_is_reported_like_any_other():
    """It does not occur in the matches that are played one by one, but in those side by side."""
    report = checked(BreaksRarely)
    [finding] = report.findings
    assert (finding.check, finding.what) == ("play", "step raises an exception")
    assert finding.got.startswith("LookupError")
    assert "(broken_matches.py, line " in finding.got
    assert "actions so far: 0 5 " in finding.got


def test_every_mistake_that_people_make_is_shown():
    shown = {what for _, _, what, _ in BROKEN} | {what for _, _, what in broken_batches.BROKEN}
    assert set(MISTAKES.values()) <= shown
    assert len(MISTAKES) >= 15
    assert (
        len({name for _, name, _, _ in BROKEN} | {name for _, name, _ in broken_batches.BROKEN})
        >= 30
    )  # kinds, as reports count them
