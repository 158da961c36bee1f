"""`sparring check-game`: its output and its exit status."""

from __future__ import annotations

import json

import pytest

from sparring.cli import main


def test_a_correct_game(capsys):
    assert main(["check-game", "broken_elsewhere:Talkative"]) == 0
    said = capsys.readouterr().out
    assert "broken_elsewhere:Talkative: no findings\n28 checks on 256 matches, " in said


def test_findings_are_laid_out_for_people(capsys):
    assert main(["check-game", "broken_matches:ShortMask"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "broken_matches:ShortMask: 1 finding",
        "9 checks on 16 matches, 0 plies",
        "19 more to run once this is fixed",
        "",
        "1. mask: mask() has the wrong length",
        "   got       a mask of bool (5,); actions so far: none",
        "   expected  bool (6,)",
        "   fix       return True or False for each action, legal or not",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "broken_matches:DividesByZero",
        *(f"broken_keepers:{name}" for name in ("GlobalGenerator", "EmptyCopy", "BoardOfTheClass")),
    ],
)
def test_no_line_is_too_wide(name, capsys):
    assert main(["check-game", name]) == 1
    said = capsys.readouterr()
    assert max(map(len, said.out.splitlines())) <= 80
    assert "Traceback" not in said.out + said.err


def test_json_is_all_there_is_on_standard_output(capsys):
    assert main(["check-game", "broken_matches:DividesByZero", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["game"], answer["passed"], answer["matches"]) == (
        "broken_matches:DividesByZero",
        False,
        16,
    )
    [finding] = answer["findings"]
    assert finding["check"] == "exceptions"
    assert finding["got"].startswith(
        "ZeroDivisionError: division by zero (broken_matches.py, line "
    )
    assert len(answer["kinds"]) + answer["kinds_left"] == 28


def test_what_a_game_prints_does_not_spoil_the_json(capsys):
    assert main(["check-game", "broken_elsewhere:Talkative", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["findings"] == []
    assert "a game may print" in said.err


def test_a_game_whose_making_fails_is_a_finding(capsys):
    assert main(["check-game", "broken_elsewhere:MakingFails"]) == 1
    said = capsys.readouterr().out
    assert "1. making: the game cannot be made" in said
    assert "(broken_elsewhere.py," in said


def test_a_module_that_cannot_be_read_is_a_finding(capsys, tmp_path, monkeypatch):
    (tmp_path / "unfinished.py").write_text("class Game:\n    def reset(self, rng)\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["check-game", "unfinished:Game"]) == 1
    assert "SyntaxError: expected ':' (unfinished.py, line 2)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no_such_module:Game", "no such module"),
        ("broken_matches:Stripe", "did you mean 'Strip'?"),
        ("broken_elsewhere:NoSpec", "has no GameSpec"),
        ("broken_elsewhere:NumberForShape", "write (9,) for nine numbers"),
        ("broken_matches:Strip(size=3)", "arguments"),
        ("tictactoe", "did you mean 'tic_tac_toe'?"),
    ],
)
def test_a_name_that_is_not_a_game_is_bad_input(name, words, capsys):
    assert main(["check-game", name]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert words in said.err
