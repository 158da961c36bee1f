"""Players of users and agents as opponents in `evaluate`, `tournament` and `play`."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from own_players import Last, Middle

from sparring.cli import main
from sparring.dqn.agent import DQNAgent
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.evaluation import evaluate
from sparring.opponents.players import NetworkPlayer

TOE = "plain_games:Toe"
NETWORK = NetworkSpec("mlp", {"net_arch": [8]})
OTHERS = ("own_players:Middle", "own_players:Dicing", "agent:first", "agent:other.safetensors")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with an agent, another with a network of another size, and the same
    as that of a run.
    """
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "runs" / "first"
    (run / "checkpoints").mkdir(parents=True)
    (run / "config.toml").write_text(f'game = "{TOE}"\n')
    DQNAgent(PolicySpec(TOE, NETWORK)).save("agent.safetensors")
    other = DQNAgent(PolicySpec(TOE, NetworkSpec("mlp", {"net_arch": [4, 4]})))
    for path in ("other.safetensors", run / "best.safetensors"):
        other.save(path)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(list(argv)) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def figures(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, Any]:
    found = json.loads(said(capsys, *argv, "--json").splitlines()[-1])
    assert isinstance(found, dict)
    return found


def asked(command: str, matches: int, *others: str) -> list[str]:
    named = [word for other in others for word in ("--opponent", other)]
    return [command, "agent.safetensors", "--game", TOE, "--matches", str(matches), *named]


def test_evaluate_against_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = asked("evaluate", 8, *OTHERS)
    found = figures(capsys, *command)
    assert list(found["opponents"]) == list(OTHERS)
    run, file = (found["opponents"][name] for name in OTHERS[2:])
    assert run == file, "the same agent"
    assert figures(capsys, *command) == found, "same seed, same matches"
    rows = [line.split(" ")[1] for line in said(capsys, *command).splitlines() if " " in line]
    assert "own_players:Dicing" in "".join(rows), "a long name folds"


def test_a_tournament_with_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = figures(capsys, *asked("tournament", 4, *OTHERS))
    assert {row["name"] for row in found["players"]} == {"random", "agent", *OTHERS}


def test_play_against_them(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "0\nopponent agent:first\nopponent\nopponent own_players:Lasst\nquit\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    options = ("--game", TOE, "--opponent", "own_players:Middle", "--seed", "1")
    text = said(capsys, "play", "agent.safetensors", *options)
    assert "own_players:Middle plays 4" in text
    assert "Your opponent is now agent:first." in text
    assert "  module:Class" in text
    assert "  agent:RUN" in text
    assert "own_players has no such player: got 'Lasst'" in text


def test_a_player_that_fails_in_a_command_keeps_the_match_for_replay(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(asked("evaluate", 100, "own_players:Tiring(decisions=40)")) == 1
    error = capsys.readouterr().err
    assert "player own_players:Tiring(decisions=40) raised LookupError in act (own_pl" in error
    assert f"sparring replay faults/1.json --game {TOE}" in error
    assert main(["replay", "faults/1.json", "--game", TOE]) == 0
    shown = capsys.readouterr().out
    assert "LookupError: no more" in shown
    assert "Here the player own_players:Tiring(decisions=40) failed" in shown
    fault = json.loads(Path("faults/1.json").read_text())
    assert (fault["player"], fault["during"]) == ("own_players:Tiring(decisions=40)", "act")


def test_evaluate_in_python_takes_classes_and_objects(folder: Path) -> None:
    agent = DQNAgent.load("agent.safetensors", game=TOE)
    player = NetworkPlayer("agent", agent.policy())
    found = evaluate(player, TOE, [Last, Middle(), "agent:first"], matches=4, seed=0)
    assert list(found["opponents"]) == ["own_players:Last", "own_players:Middle", "agent:first"]
