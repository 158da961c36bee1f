"""Positions after moves are checked: `after` of classes, `move` of rules; a hint where none are."""

from __future__ import annotations

from functools import partial

import pytest
import race_rules
from broken_afters import BROKEN, MOVES, Thrown, move
from broken_matches import LockedDice

from sparring.conformance import afterstate_checks, check
from sparring.conformance.subject import Subject
from sparring.games.compiled.game import CompiledGame
from sparring.games.python.game import LoopedGame


def checked(cls):
    return check(partial(LoopedGame, cls.__name__, cls), matches=16)


def test_a_right_after_has_no_findings():
    report = checked(Thrown)
    assert report.passed, str(report)
    assert "after" in report.checks
    assert "hint" not in str(report)


@pytest.mark.parametrize(("cls", "name", "what", "remedy"), BROKEN)
def test_a_wrong_after_has_this_one_finding(cls, name, what, remedy):
    [finding] = checked(cls).findings
    assert (finding.check, finding.what) == (name, what)
    assert remedy in finding.remedy


def test_a_class_with_chance_and_without_after_gets_a_hint():
    report = checked(LockedDice)
    assert report.passed
    assert "hint: with a method after(action) agents may learn far faster" in str(report)


def found_in(function, monkeypatch):
    monkeypatch.setattr(race_rules, "move", function, raising=False)
    game = CompiledGame("race_rules", 4, interpreted=True)
    return [*afterstate_checks.move(Subject(None, game, 0, 8))]


def test_a_right_move_has_no_findings(monkeypatch):
    assert not found_in(move, monkeypatch)


@pytest.mark.parametrize(("function", "what"), MOVES)
def test_a_wrong_move_is_found(function, what, monkeypatch):
    assert what in {finding.what for finding in found_in(function, monkeypatch)}
