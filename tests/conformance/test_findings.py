"""Every kind of finding on the batched protocol is found."""

from __future__ import annotations

import broken_batches
import broken_races
import broken_shows
import pytest
from broken_batches import Crashes, Toe, declares
from broken_shows import OneView

from sparring.conformance import check

BROKEN = [*broken_batches.BROKEN, *broken_shows.BROKEN, *broken_races.BROKEN]


@pytest.mark.parametrize("factory", [Toe, broken_races.Race])
def test_the_unbroken_game_has_no_findings(factory):
    report = check(factory)
    assert report.passed, str(report)


@pytest.mark.parametrize(("factory", "name", "what"), BROKEN, ids=[what for _, _, what in BROKEN])
def test_a_broken_game_is_found_out(factory, name, what):
    report = check(factory)
    found = [
        finding for finding in report.findings if (finding.check, finding.what) == (name, what)
    ]
    assert len(found) == 1, str(report)
    text = str(found[0])
    assert text.startswith(f"{name}: {what}: got ")
    assert ", expected " in text
    assert "\n" not in text


def test_one_game_for_all_is_found_out():
    game = Toe(32)
    [finding] = check(lambda num_slots: game).findings
    assert finding.what == "two games share their arrays"


def test_an_exception_is_quoted_on_one_line_with_its_place():
    [finding] = check(Crashes).findings
    assert str(finding).startswith(
        "play: the game raises an exception: got RuntimeError: board on fire "
        "(broken_batches.py, line "
    )


def test_seats_that_see_alike_are_no_mistake_where_that_is_declared():
    class Alike(OneView, declares(impartial=True)):
        pass

    assert check(Alike).passed


def test_checks_that_did_not_run_are_counted():
    """Of 29 checks, one is in the first level."""
    report = check(declares(num_players=0))
    assert (len(report.checks), report.left) == (1, 28)
