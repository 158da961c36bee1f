"""Faults of rules while a match is played, compiled or in plain Python: the line that says
so, and the record of the match.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import faulty_rules
import numpy as np
import pytest
import wide_rules

from sparring.errors import ConfigurationError, GameFault
from sparring.games import make
from sparring.games.compiled.game import CompiledGame
from sparring.games.compiled.jit import interpreted as in_plain_python
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


@pytest.mark.parametrize("interpreted", [False, True])
def test_an_observation_beyond_its_type_is_a_fault_and_does_not_wrap_around(interpreted):
    game = CompiledGame("wide_rules", 2, interpreted=interpreted)
    game.reset(np.arange(2), np.zeros(2, np.uint64))
    for points in range(2, 127, 2):
        game.step(np.array([-1, 1]))
        assert game.observation[1].tolist() == [points, -points // 2]
    line = inspect.getsourcelines(wide_rules.observe)[1]
    with pytest.raises(
        GameFault,
        match=(
            rf"^game wide_rules breaks the contract of games in observe \(wide_rules\.py, "
            rf"line {line}\): got 128 in an observation of int8, expected -128 to 127; declare a "
        ),
    ) as raised:
        game.step(np.array([-1, 1]))
    assert raised.value.record["actions"] == [1] * 64


def test_observations_of_built_in_games_fit_their_type():
    """Their compiled rules are not checked at each ply."""
    rng = np.random.default_rng(0)
    for name in ("backgammon", "connect_four", "ludo(num_players=4)", "othello", "tic_tac_toe"):
        game = make(name, 64)
        wide = np.zeros(game.spec.observation_shape, np.int64)
        game.reset(np.arange(64), np.arange(64).astype(np.uint64))
        for _ in range(60):
            live = game.mask.any(axis=1) & ~game.truncated
            game.step(np.where(live, (game.mask * rng.random(game.mask.shape)).argmax(axis=1), -1))
            for slot in np.flatnonzero(~game.terminated)[:4].tolist():
                wide[...] = 0
                in_plain_python(game.rules.observe)(game._slots.states[slot].copy(), wide)
                assert wide.tolist() == game.observation[slot].tolist()
