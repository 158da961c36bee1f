"""`sparring replay`: what it shows of a fault file, its exit status, and what it never imports."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from sparring.cli import main
from sparring.errors import GameFault
from sparring.games.faults import save_fault

NIM = """
import numpy as np
from sparring.games import GameSpec

print("imported")

class Nim:
    "Take 1 or 2 of 5; taking the last of an odd number of matches fails."

    spec = GameSpec(
        num_players=2,
        num_actions=2,
        observation_shape=(6,),
        observation_dtype="int8",
        max_plies=5,
        zero_sum=True,
    )

    def reset(self, rng):
        self.left, self.seat = 5, 0

    def mask(self):
        return [True, self.left > 1]

    def observe(self, seat):
        return np.eye(6, dtype=np.int8)[self.left]

    def step(self, action):
        if self.left == 1:
            raise OverflowError("one too many")
        self.left -= 1 + action
        self.seat = 1 - self.seat
        return ((-1, 1) if self.seat == 0 else (1, -1)) if self.left == 0 else None, self.left == 0

    def action_text(self, action):
        return ["take one", "take two"][action]

    def __str__(self):
        return "|" * self.left
"""
KEY = 77


@pytest.fixture
def nim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a game of its user's, in a module `nim` that is not imported yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "nim", raising=False)
    path = tmp_path / "nim.py"
    path.write_text(NIM)
    return path


def saved(
    game: str,
    actions: Sequence[int],
    during: str = "step",
    cause: str = "OverflowError: one too many",
    tried: Sequence[int] = (),
) -> str:
    record = {
        "game": game,
        "key": KEY,
        "actions": list(actions),
        "during": during,
        "cause": cause,
        "traceback": "as it was then",
    }
    record |= {"tried": list(tried)} if tried else {}
    return str(save_fault(Path("faults"), GameFault("it went wrong", record)))


def test_a_match_that_fails_again(nim: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", saved("nim:Nim", [1, 1, 0]), "--game", "nim:Nim"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:11] == [
        "imported",
        "game   nim:Nim",
        "match  key 77, 3 plies",
        "then   OverflowError: one too many in step",
        "",
        "ply 0  seat 0  take two",
        "ply 1  seat 1  take two",
        "ply 2  seat 0  take one",
        "",
        "before the last move:",
        "|",
    ]
    assert lines[12] == "Traceback (most recent call last):"
    assert "as it was then" not in lines, "the traceback is that of now"
    assert lines[-3] == "OverflowError: one too many"
    assert lines[-1].startswith(
        "The game fails again: game nim:Nim raised OverflowError in step (nim.py, line "
    )


def test_a_match_that_no_longer_fails(nim: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", saved("nim:Nim", [1, 0, 1]), "--game", "nim:Nim"]) == 0
    said = capsys.readouterr().out
    assert "\nthe end:\n\n" in said, "nothing is left on the table"
    assert said.endswith("The match now plays to its end: the game no longer fails here.\n")


def test_a_match_that_fails_in_another_way(nim: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["replay", saved("nim:Nim", [1, 1, 0], cause="KeyError: 0"), "--game", "nim:Nim"]) == 1
    )
    assert "\nThe game fails in another way: game nim:Nim" in capsys.readouterr().out


def test_a_fault_before_the_first_move(nim: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nim.write_text(NIM.replace("self.left, self.seat = 5, 0", "self.left = 5 / self.seats"))
    assert main(["replay", saved("nim:Nim", [], "reset"), "--game", "nim:Nim"]) == 1
    said = capsys.readouterr().out
    assert "ply" not in said.partition("then")[2]
    assert "raised AttributeError in reset (nim.py, line " in said


@pytest.mark.parametrize("actions", [[1, 1, 1], [7]])
def test_moves_that_do_not_fit(
    actions: list[int], nim: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", saved("nim:Nim", actions), "--game", "nim:Nim"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("sparring: the record does not fit nim:Nim: illegal action")


def test_moves_that_were_tried_are_tried_again(
    nim: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One match is left of an odd number: taking it is tried, and fails."""
    path = saved("nim:Nim", [1, 1], tried=[0])
    assert main(["replay", path, "--game", "nim:Nim"]) == 1
    said = capsys.readouterr().out
    assert (
        "then   OverflowError: one too many in step, while action 0 was tried on a copy\n" in said
    )
    assert "ply 1  seat 1  take two\n\nwhere moves are tried:\n|\n" in said
    assert "The game fails again: game nim:Nim raised OverflowError in step" in said
    nim.write_text(NIM.replace("self.left == 1", "False"))
    sys.modules.pop("nim")
    assert main(["replay", path, "--game", "nim:Nim"]) == 0
    assert "the game no longer fails here" in capsys.readouterr().out


def test_another_game_is_named(nim: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", saved("match:Stick", [1, 0]), "--game", "nim:Nim"]) == 0
    assert "game   match:Stick, played as nim:Nim\n" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["nim:Nim", "compiled:nim", "openspiel:tic_tac_toe"])
def test_a_file_never_causes_an_import(
    name: str, nim: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {*sys.modules}
    assert main(["replay", saved(name, [1])]) == 2
    said = capsys.readouterr()
    assert f"allow importing it: sparring replay faults/1.json --game {name}" in said.err
    assert "imported" not in said.out
    assert not {"nim", "pyspiel"} & (sys.modules.keys() - before)


@pytest.mark.parametrize("name", ["tic_tac_toe", "ludo(num_players=3)"])
def test_games_that_load_by_themselves(
    name: str, nim: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", saved(name, [0])]) == 0
    assert f"game   {name}\n" in capsys.readouterr().out


def test_json(nim: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = {
        "file": "faults/1.json",
        "game": "nim:Nim",
        "key": KEY,
        "actions": [1, 1, 0],
        "tried": [],
    }
    figures["recorded"] = "OverflowError: one too many"
    command = ["replay", saved("nim:Nim", [1, 1, 0]), "--game", "nim:Nim", "--json"]
    assert main(command) == 1
    said = capsys.readouterr()
    assert json.loads(said.out) == {
        **figures,
        "again": True,
        "cause": "OverflowError: one too many",
    }
    assert "take two" in said.err
    nim.write_text(NIM.replace("self.left == 1", "False"))
    sys.modules.pop("nim")
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out) == {**figures, "again": False, "cause": None}
