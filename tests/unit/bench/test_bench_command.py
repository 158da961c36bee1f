from __future__ import annotations

import json

import pytest

from sparring import games
from sparring.bench import PARTS, check_parts
from sparring.cli import main
from sparring.errors import ConfigurationError


def test_the_answer_is_one_json_object_of_all_measurements(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["bench", "--part", "games", "--seconds", "0.05", "--json"]) == 0
    said = capsys.readouterr()
    [line] = said.out.splitlines()
    report = json.loads(line)
    assert list(report) == ["machine", "games"]
    assert {
        "connect_four_256",
        "ludo(num_players=4)_1024",
        "tic_tac_toe_256",
        "openspiel:connect_four",
    } <= report["games"].keys()
    for one in report["games"].values():
        assert set(one) == {"rate", "limit", "ratio", "floor", "unit", "spread", "runs"}
        assert (one["limit"], one["floor"], one["unit"], one["runs"]) == (None, None, "plies/s", 5)
        low, high = one["spread"]
        assert 0 < low <= one["rate"] <= high
    assert "connect_four_256" in said.err  # the table for people
    assert said.err.splitlines()[-1].startswith("done in ")


def test_games_that_are_not_installed_are_skipped_with_a_note(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(games, "names", lambda: ("tic_tac_toe",))
    make = games.make

    def without_adapters(name: str, num_slots: int) -> object:
        if ":" in name:
            raise ConfigurationError(
                "these games need a library that is not here", remedy="pip install it"
            )
        return make(name, num_slots)

    monkeypatch.setattr(games, "make", without_adapters)
    assert main(["bench", "--part", "games", "--seconds", "0.001", "--json"]) == 0
    said = capsys.readouterr()
    assert list(json.loads(said.out)["games"]) == ["tic_tac_toe_256", "tic_tac_toe_1024"]
    skipped = "openspiel:backgammon skipped: these games need a library that is not here; "
    assert skipped + "pip install it" in said.err


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (
            ["--part", "wole"],
            "unknown part: got 'wole', expected one of "
            + ", ".join(PARTS)
            + "; did you mean 'whole'?",
        ),
        (["--seconds", "nan"], "--seconds: got nan, expected a length above 0"),
        (["--seconds", "0"], "--seconds: got 0.0, expected a length above 0"),
        (["--seconds", "inf"], "--seconds: got inf, expected a length above 0"),
    ],
)
def test_bad_usage(argv: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *argv]) == 2
    assert capsys.readouterr() == ("", f"sparring: {line}\n")


def test_parts_come_in_their_order_and_all_if_none_is_named() -> None:
    assert check_parts(("whole", "games", "whole")) == ("games", "whole")
    assert check_parts(()) == PARTS
