"""Games of other libraries are tried in a process of their own before they are made here."""

from __future__ import annotations

import subprocess

import pytest

from sparring.adapters import trial
from sparring.errors import ConfigurationError
from sparring.games import make, spec_of

pytest.importorskip("pyspiel")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARRING_CACHE_DIR", str(tmp_path))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hanabi(players=99)", "the library ended its process by SIGABRT: Input requirements"),
        ("hanabi(hand_size=0)", "the library ended its process by SIGSEGV"),
        ("universal_poker(stack=0)", "SIGSEGV: only read 1 stack sizes, need 2"),
        ("universal_poker(numSuits=0)", "SIGSEGV: invalid number of suits: 0"),
        ("2048(max_tile=0)", "got no legal action after "),
        ("mnk(m=0,n=0,k=0)", "got 0 actions and observations of [3, 0, 0], expected at least 1"),
        ("breakthrough(columns=-3)", "got -288 actions and observations of"),
        ("catch(rows=0)", "actions and observations of [0, 5]"),
    ],
)
def test_arguments_on_which_the_library_aborts_are_one_error(name, message):
    with pytest.raises(ConfigurationError) as caught:
        make(f"openspiel:{name}", 1)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_many_actions_are_fine():
    assert spec_of("openspiel:colored_trails").num_actions == 93_123


def test_a_game_is_tried_once_and_only_with_arguments_of_its_library(monkeypatch):
    commands = []
    run = subprocess.run
    monkeypatch.setattr(
        trial.subprocess,
        "run",
        lambda *args, **kwargs: commands.append(args) or run(*args, **kwargs),
    )
    for name in ("tic_tac_toe", "go(max_plies=9)"):
        make(f"openspiel:{name}", 1)
    assert not commands
    for _ in range(2):
        make("openspiel:go(board_size=5)", 1)
    assert len(commands) == 1
    make("openspiel:go(board_size=6)", 1)
    assert len(commands) == 2


def test_a_library_that_hangs_is_one_error(monkeypatch):
    monkeypatch.setattr(trial, "_MAIN", "import time; time.sleep(600)")
    monkeypatch.setattr(trial, "_TIMEOUT", 0.5)
    with pytest.raises(ConfigurationError, match="cannot be made: got no answer in 0 s"):
        make("openspiel:go(board_size=5)", 1)


def test_a_trial_takes_no_more_memory_than_it_may():
    code = "from sparring.adapters import trial; trial._limit_memory(); bytearray(5 * 2**30)"
    done = subprocess.run(
        [trial.sys.executable, "-c", code], capture_output=True, text=True, timeout=300
    )
    assert done.stderr.splitlines()[-1] == "MemoryError"


@pytest.mark.parametrize(
    "arguments",
    [
        "render_mode=human",
        "render_mode=human,board_size=5",
        "board_size=0",
        "board_size=5,komi=abc",  # first used at the end of a match
    ],
)
def test_what_is_refused_of_pettingzoo(arguments):
    pytest.importorskip("pettingzoo")
    with pytest.raises(
        ConfigurationError, match=r"(is not supported|cannot be made): got "
    ) as caught:
        make(f"pettingzoo:classic/go-v5({arguments})", 1)
    assert "\n" not in str(caught.value)
