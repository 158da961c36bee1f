"""Which main modules workers run again, and what is said where they cannot or must not; with real
scripts: test_main_module_games.py.
"""

from __future__ import annotations

import multiprocessing
import re
import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.errors import ConfigurationError
from sparring.opponents.roster import Roster
from sparring.rollout.rollout import RolloutSettings
from sparring.runtime.main_module import (
    check_guard,
    check_main_module,
    found_in_main,
    main_module_hidden,
    name_for_others,
    unguarded,
)


def settings(policy: PolicySpec, *players: str) -> RolloutSettings:
    return RolloutSettings(policy, 1, 0, "own_turn", 1, 1.0, "agent", 0.0, roster=Roster(players))


ELSEWHERE = settings(PolicySpec("pig:Pig", NetworkSpec("nets:small")), "bots:Greedy")
GAME = settings(PolicySpec("__main__:Pig(sides=8)", NetworkSpec("mlp")))
NETWORK = settings(PolicySpec("connect_four", NetworkSpec("__main__:Nets.small")))
PLAYER = settings(PolicySpec("connect_four"), "bots:Greedy", "__main__:Bold(share=0.5)")


def main_module(file: Path | str | None = None, spec: str | None = None) -> types.ModuleType:
    main = types.ModuleType("__main__")
    if file is not None:
        main.__file__ = str(file)
    main.__spec__ = None if spec is None else ModuleSpec(spec, None)
    return main


@pytest.mark.parametrize(
    ("run", "name"),
    [
        (ELSEWHERE, ""),
        (GAME, "Pig(sides=8)"),
        (NETWORK, "Nets.small"),
        (PLAYER, "Bold(share=0.5)"),
    ],
)
def test_what_lives_in_the_main_script(run: RolloutSettings, name: str) -> None:
    assert found_in_main(run) == name


@pytest.mark.parametrize("run", [GAME, NETWORK, PLAYER])
@pytest.mark.parametrize(
    ("file", "spec", "where"),
    [
        (None, None, "a definition in python -c, standard input or a notebook"),
        ("<stdin>", None, "a definition in python -c, standard input or a notebook"),
        ("package/__main__.py", "package.__main__", "a definition in the __main__.py of a package"),
        ("folder/__main__.py", "__main__", "a definition in the __main__.py of a package"),
    ],
)
def test_a_main_module_that_no_worker_can_run(
    run: RolloutSettings,
    file: str | None,
    spec: str | None,
    where: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "__main__", main_module(file, spec))
    with pytest.raises(
        ConfigurationError,
        match=(
            rf"cannot import {re.escape(found_in_main(run))}: got {where}, .*; "
            "put it in a file"
        ),
    ):
        check_main_module(run)
    check_main_module(ELSEWHERE)


def test_a_main_module_that_workers_can_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "script.py"
    script.touch()
    for main in (main_module(script), main_module(script, "package.script")):
        monkeypatch.setitem(sys.modules, "__main__", main)
        check_main_module(GAME)


def test_the_main_module_is_hidden_unless_game_network_or_player_is_defined_there() -> None:
    main = sys.modules["__main__"]
    with main_module_hidden(ELSEWHERE):
        assert not hasattr(sys.modules["__main__"], "__file__")
        assert sys.modules["__main__"] is not main
    for run in (GAME, NETWORK, PLAYER):
        with main_module_hidden(run):
            assert sys.modules["__main__"] is main
    with pytest.raises(ZeroDivisionError), main_module_hidden(ELSEWHERE):
        raise ZeroDivisionError
    assert sys.modules["__main__"] is main


def test_training_within_a_process_that_is_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    """As multiprocessing marks it; one of somebody else's, for ours ends on the spot."""
    check_guard()
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(
        ConfigurationError,
        match=(
            "by a process that is itself being started; put the call that trains under: if __name__"
        ),
    ):
        check_guard()


def test_a_missing_guard_is_one_line() -> None:
    said = str(unguarded(GAME))
    assert said.startswith("Pig(sides=8) lives in the main script, so every worker runs the script")
    assert said.endswith('put the call that trains under: if __name__ == "__main__":')
    assert "\n" not in said


@pytest.mark.parametrize(
    ("file", "spec", "name"),
    [
        ("script.py", None, "script:Pig"),
        ("script.py", "package.script", "package.script:Pig"),
        (None, None, "__main__:Pig"),
        ("my-game.py", None, "__main__:Pig"),
        ("my-game.py", "my-game", "__main__:Pig"),
        ("script", None, "__main__:Pig"),
        ("sub/script.py", None, "__main__:Pig"),
    ],
)
def test_what_others_call_a_game_of_the_main_script(
    file: str | None, spec: str | None, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if file is not None:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    monkeypatch.setitem(sys.modules, "__main__", main_module(file and tmp_path / file, spec))
    assert name_for_others("__main__:Pig") == name
    assert name_for_others("__main__:Pig(sides=8)") == f"{name}(sides=8)"
    assert name_for_others("pig:Pig") == "pig:Pig"
