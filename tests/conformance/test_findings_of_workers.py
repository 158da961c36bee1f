"""Findings of making a game by its name in another interpreter."""

from __future__ import annotations

import sys
import types
from functools import partial

import pytest
from broken_matches import Strip

from sparring.conformance import check
from sparring.games import make


def checked(name):
    return check(partial(make, name), name, matches=32)


@pytest.mark.parametrize(
    "name", ["broken_matches:Strip", "broken_elsewhere:Talkative", "tic_tac_toe"]
)
def test_a_correct_game_is_the_same_elsewhere(name):
    report = checked(name)
    assert report.passed, str(report)
    assert report.checks[-1] == "workers"


@pytest.mark.parametrize("name", ["OrderOfASet", "DrawnAtImport"])
def test_another_game_in_another_process(name):
    [finding] = checked(f"broken_elsewhere:{name}").findings
    assert (finding.check, finding.what) == ("workers", "a worker process plays different matches")
    assert finding.got.startswith("observation [")
    assert "the order of a set" in finding.remedy


def test_here_alone_it_is_correct():
    assert check(partial(make, "broken_elsewhere:OrderOfASet")).passed


def test_a_class_that_cannot_be_imported(monkeypatch):
    module = types.ModuleType("only_here")
    module.Strip = Strip
    monkeypatch.setitem(sys.modules, "only_here", module)
    [finding] = checked("only_here:Strip").findings
    assert (finding.check, finding.what) == ("workers", "a worker process cannot make the game")
    assert "no such module" in finding.got
    assert "that can be imported" in finding.remedy


def test_a_module_that_ends_its_process(monkeypatch, tmp_path):
    module = types.ModuleType("script_like")
    module.Strip = Strip
    monkeypatch.setitem(sys.modules, "script_like", module)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "script_like.py").write_text("raise SystemExit('this script has nothing to do')\n")
    [finding] = checked("script_like:Strip").findings
    assert finding.what == "a worker process cannot make the game"
    assert finding.got == "SystemExit: this script has nothing to do (script_like.py, line 1)"
