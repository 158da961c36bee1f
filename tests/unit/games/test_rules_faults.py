"""Faults of rules while a match is played, compiled or in plain Python: the line that says
so, and the record of the match.
"""

from __future__ import annotations

import re
from pathlib import Path

import faulty_rules
import numpy as np
import pytest

from sparring.errors import ConfigurationError, GameFault
from sparring.games.compiled.game import CompiledGame
from sparring.games.rng import CHANCE, purpose_key

KEY = 2**64 - 5
SOURCE = Path(faulty_rules.__file__).read_text().splitlines()
# The action after action 9, and what comes of it.
CASES = [
    (
        1,
        "play",
        "raised (ZeroDivision|FloatingPoint)Error",
        "return total //",
        "[a-z _]* by zero[a-z _]*",
    ),
    (2, "play", "raised ValueError", "raise ValueError", "two at once"),
    (3, "play", "breaks the contract of games", "def play", "got seat 2, expected 0 to 1"),
    (
        4,
        "play",
        "breaks the contract of games",
        "def play",
        r"got rewards \[0.0, nan\], expected finite numbers",
    ),
    (
        5,
        "observe",
        "raised (ZeroDivision|FloatingPoint)Error",
        "1.0 / (105",
        "[a-z _]* by zero[a-z _]*",
    ),
    (
        6,
        "observe",
        "breaks the contract of games",
        "def observe",
        "got NaN or infinity, expected finite numbers",
    ),
    (
        7,
        "legal",
        "breaks the contract of games",
        "def legal",
        "got no legal action, expected at least one while a match goes on",
    ),
]


def counting(interpreted, key=KEY):
    """Three slots of a game of rules, in each of which a match began."""
    game = CompiledGame("faulty_rules", 3, name="compiled:faulty_rules", interpreted=interpreted)
    game.reset(np.arange(3), np.array([3, key, 3], np.uint64))
    return game


def check_fault(fault, during, what, source, text, actions, key=KEY):
    line = next(number for number, row in enumerate(SOURCE, 1) if source in row)
    assert re.match(
        rf"game compiled:faulty_rules {what} in {during} \(faulty_rules\.py, line {line}\): "
        rf"{text}; ",
        str(fault),
    )
    assert (fault.record["key"], fault.record["actions"], fault.record["during"]) == (
        key,
        actions,
        during,
    )
    assert ("Traceback" in fault.record["traceback"]) == what.startswith("raised")


@pytest.mark.parametrize("interpreted", [False, True])
def test_rules_that_go_wrong(interpreted):
    """Compiled or not: the same line, the same record, whichever slots play beside."""
    for action, during, what, source, text in CASES:
        game = counting(interpreted)
        game.step(np.array([-1, 9, 1]))
        with pytest.raises(GameFault) as raised:
            game.step(np.array([1, action, 1]))
        check_fault(raised.value, during, what, source, text, [9, action])


def key_with(remainder):
    return next(key for key in range(1000) if purpose_key(np.uint64(key), CHANCE) % 64 == remainder)


@pytest.mark.parametrize("interpreted", [False, True])
def test_rules_that_go_wrong_at_the_start(interpreted):
    assert [purpose_key(np.uint64(key), CHANCE) % 64 > 2 for key in (3, KEY)] == [True, True]
    with pytest.raises(GameFault) as raised:
        counting(interpreted, key_with(1))
    check_fault(
        raised.value,
        "start",
        "breaks .*",
        "def start",
        "got seat 5, expected 0 to 1",
        [],
        key_with(1),
    )
    with pytest.raises(GameFault) as raised:
        counting(interpreted, key_with(2))
    check_fault(
        raised.value,
        "start",
        "raised AssertionError",
        "    assert",
        "assert rng.*",
        [],
        key_with(2),
    )


@pytest.mark.parametrize("interpreted", [False, True])
@pytest.mark.parametrize("played", [[], [9]])
def test_rules_that_go_wrong_on_a_copy(interpreted, played):
    """The moves tried are in the record by themselves: action 9, and the answer 1 to it."""
    game = counting(interpreted)
    for action in played:
        game.step(np.array([-1, action, -1]))
    with pytest.raises(GameFault) as raised:
        game.win_or_block(np.array([1]))
    check_fault(raised.value, *CASES[0][1:], played)
    assert [*played, *raised.value.record["tried"]] == [9, 1]


def test_rules_that_go_wrong_in_another_view_or_a_text():
    game = counting(False)
    assert game.text(1) == "nothing"
    assert game.action_text(1, 4) == "4 after 0"
    game.step(np.array([-1, 9, -1]))
    with pytest.raises(GameFault) as raised:
        game.text(1)
    check_fault(
        raised.value, "text", "raised IndexError", "nothing", "list index out of range", [9]
    )
    game._slots.states["count"][2] = 106
    with pytest.raises(GameFault, match=r"in observe .*got NaN or infinity"):
        game.observe_as(np.array([2]), np.array([1]))


def test_rules_that_cannot_be_compiled(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARRING_CACHE_DIR", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    at = next(number for number, row in enumerate(SOURCE, 1) if "total //" in row)
    broken = [*SOURCE[: at - 1], '    return total + "many"', *SOURCE[at:]]
    (tmp_path / "untyped_rules.py").write_text("\n".join(broken))
    with pytest.raises(
        ConfigurationError,
        match=rf"^the rules in untyped_rules cannot be compiled \(untyped_rules\.py, line {at}\): ",
    ) as raised:
        CompiledGame("untyped_rules", 1)
    assert "\n" not in str(raised.value)
    assert CompiledGame("untyped_rules", 1, interpreted=True).num_slots == 1
