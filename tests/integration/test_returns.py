"""Games that pay more than wins and losses, and games for one player: scored by their returns in
every command.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from trial_runs import trial

from sparring.cli import main
from sparring.dqn.agent import DQNAgent
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.training import train

ALONE = ["openspiel:blackjack", "openspiel:catch"]
LEDUC = "openspiel:leduc_poker"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def agent(game: str, name: str = "it") -> str:
    """The file of an untrained agent."""
    path = Path(f"{name}.safetensors")
    DQNAgent(PolicySpec(game, NetworkSpec("mlp", {"net_arch": [8]}))).save(path)
    return str(path)


def answer(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(list(argv)) == 0, capsys.readouterr().err
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80 or argv[0] == "play" or argv[-1] == "--json"
    return text


def figures(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer(capsys, *argv, "--json").splitlines()[-1])
    return found


@pytest.mark.parametrize("game", ALONE)
def test_evaluate_prints_returns_where_a_player_is_alone(
    game: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("evaluate", agent(game), "--game", game, "--matches", "60")
    players = figures(capsys, *command)["players"]
    assert list(players) == ["agent", "random"]
    for result in players.values():
        low, high = result["return_interval95"]
        assert -1.0 <= low <= result["mean_return"] <= high <= 1.0
        assert result["matches"] == 60
        assert "wins" not in result
    text = answer(capsys, *command)
    assert "return" in text
    assert f"{players['agent']['mean_return']:.3f}" in text
    assert "wins" not in text


@pytest.mark.parametrize("game", ALONE)
def test_a_tournament_of_lone_players_is_a_table_of_returns(
    game: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agents = agent(game, "one"), agent(game, "two")
    command = ("tournament", *agents, "--game", game, "--matches", "40")
    found = figures(capsys, *command)
    returns = [player["mean_return"] for player in found["players"]]
    assert returns == sorted(returns, reverse=True)
    assert {player["name"] for player in found["players"]} == {"random", "one", "two"}
    assert "payoff" not in found
    assert "return" in answer(capsys, *command)
    assert main([*command, "--picture", "it.png"]) == 2
    assert "one player" in capsys.readouterr().err


@pytest.mark.parametrize("game", ALONE)
def test_a_person_plays_alone(
    game: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = "opponent\nvalues\n" + "0\n" * 30 + "quit\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    text = answer(capsys, "play", agent(game), "--game", game, "--seed", "1")
    assert "You play alone: this game has one player." in text
    assert "there is no opponent" in text
    assert "The match is over. Your return: " in text
    assert "played, mean return " in text.splitlines()[-1]


@pytest.mark.slow
def test_a_run_of_one_player_trains_keeps_its_best_agent_and_is_plotted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train(
        trial(
            Path("runs"),
            name="alone",
            game="openspiel:catch",
            backend="inline",
            opponents={"self": 1.0},
        )
    ).run
    capsys.readouterr()
    assert (run / "best.safetensors").is_file()
    reports = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert any("eval/return/agent" in report for report in reports)
    assert not any(tag.startswith("eval/win_rate") for report in reports for tag in report)
    text = answer(capsys, "plot", "alone")
    assert "payoff: skipped, it is a game for one player" in text
    assert "returns: runs/alone/plots/returns.png" in text
    assert (run / "plots" / "returns.png").is_file()


def test_leduc_poker_is_scored_in_chips(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ("evaluate", agent(LEDUC), "--game", LEDUC, "--matches", "100")
    result = figures(capsys, *command)["opponents"]["random"]
    assert result["graded"]
    low, high = result["return_interval95"]
    assert low <= result["mean_return"] <= high
    assert result["mean_return"] == pytest.approx(sum(result["return_seats"]) / 2)
    text = answer(capsys, *command)
    assert f"{result['mean_return']:.3f}" in text
    assert "return: mean of what a match pays the agent." in text
    command = ("tournament", agent(LEDUC, "one"), "--game", LEDUC, "--matches", "40")
    found = figures(capsys, *command)
    payoff = found["payoff"]["mean_returns"]
    assert payoff[0][1] == pytest.approx(-payoff[1][0])
    assert found["players"][0]["mean_return"] == pytest.approx(payoff[0][1])
    assert "Mean return of the row's player" in answer(capsys, *command)
    answer(capsys, *command, "--picture", "chips.png")
    assert Path("chips.png").read_bytes()[:4] == b"\x89PNG"
