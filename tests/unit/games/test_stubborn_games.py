"""Games that raise what would end a process, or give 0-dimensional values, end in a fault."""

from __future__ import annotations

import functools
import signal

import numpy as np
import pytest
import stubborn_games

from sparring.conformance import check
from sparring.errors import ConfigurationError, GameFault
from sparring.games import make
from sparring.games.faults import read_fault, save_fault


def play(name, plies=5):
    game = make(name, 2)
    game.reset(np.arange(2), np.arange(2).astype(np.uint64))
    for _ in range(plies):
        game.step(np.zeros(2, np.int64))
        game.text(0)


@pytest.fixture
def as_in_a_worker():
    """SIGINT is ignored, so that a KeyboardInterrupt is the game's own."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("what", stubborn_games.RAISED)
@pytest.mark.parametrize("where", ["mask", "observe", "step", "__str__"])
def test_whatever_a_game_raises_is_a_fault_with_its_match(what, where, as_in_a_worker, tmp_path):
    name = f"stubborn_games:Stubborn(what={what},where={where})"
    with pytest.raises(
        GameFault, match=rf"raised {what} in {where} \(stubborn_games\.py"
    ) as raised:
        play(name)
    actions = raised.value.record["actions"]
    assert actions == [0, 0] or (where == "__str__" and len(actions) == 2)
    saved = read_fault(save_fault(tmp_path, raised.value))
    assert saved["during"] == where


def test_an_exception_without_a_text_says_so():
    with pytest.raises(GameFault, match=r"\(str\(\) of it raises TypeError\); fix it"):
        play("stubborn_games:Stubborn(what=UnprintableError,where=step)")


def test_ctrl_c_passes_where_it_is_one():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            play("stubborn_games:Interrupted")
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("what", ["SystemExit", "GeneratorExit"])
def test_a_constructor_that_would_end_the_process_is_refused(what):
    with pytest.raises(ConfigurationError, match=f"cannot be made: got {what}"):
        make(f"stubborn_games:Stubborn(what={what},where=init)", 1)


@pytest.mark.parametrize("kind", ["tensor", "array"])
@pytest.mark.parametrize("where", ["mask", "observe", "step", "rewards", "ended", "seat"])
def test_0_dimensional_values_are_faults(where, kind):
    name = f"stubborn_games:ZeroDimensional(what={kind},where={where})"
    with pytest.raises(GameFault, match=r"breaks the contract of games in (mask|observe|step)"):
        play(name)


@pytest.mark.parametrize(
    "name",
    [
        *(f"stubborn_games:Stubborn(what={what},where=step)" for what in stubborn_games.RAISED),
        *(
            f"stubborn_games:ZeroDimensional(what=tensor,where={where})"
            for where in ("mask", "observe", "step", "rewards", "ended", "seat")
        ),
    ],
)
def test_check_game_finds_them(name, as_in_a_worker):
    report = check(functools.partial(make, name), matches=4)
    assert report.findings
    assert all("\n" not in finding.got for finding in report.findings)
