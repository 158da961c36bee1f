"""`evaluate --positions` and `tournament` from the command line: figures, tables of 80 columns, bad
input.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from trial_runs import trial

from sparring.cli import main, report
from sparring.dqn.agent import DQNAgent
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.training import train

SOLVED = Path(__file__).parents[1] / "data" / "connect_four" / "positions.csv"
BESIDE = ["random", "one_ply", "minimax:2", "minimax:4", "minimax:6", "minimax:8"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with untrained agents and a hundred solved positions."""
    monkeypatch.chdir(tmp_path)
    for name, game in (
        ("four", "connect_four"),
        ("five", "connect_four"),
        ("toe", "tic_tac_toe"),
        ("ludo", "ludo(num_players=4)"),
    ):
        DQNAgent(PolicySpec(game, NetworkSpec("mlp", {"net_arch": [8]}))).save(
            tmp_path / f"{name}.safetensors"
        )
    names, *rows = SOLVED.read_text().splitlines()
    lines = [names, *rows[::50]]
    Path("solved.csv").write_text("\n".join(lines) + "\n")
    Path("short.csv").write_text("moves,stones,s1\n11,2,0\n")
    Path("illegal.csv").write_text("\n".join([*lines[:3], "1111111,7,,0,0,0,0,0,0,0"]) + "\n")
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(list(argv)) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert max(map(len, captured.out.splitlines())) <= 80 or argv[-1] == "--json"
    return captured.out


def figures(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, Any]:
    found = json.loads(said(capsys, *argv, "--json").splitlines()[-1])
    assert isinstance(found, dict)
    return found


def test_repeated_matches_are_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two deterministic players know one match; drawn openings tell matches apart."""
    command = ("evaluate", "four.safetensors", "--matches", "10", "--opponent")
    itself, empty = "agent:four.safetensors", ("--opening-plies", "0")
    found = figures(capsys, *command, itself, *empty)["opponents"][itself]
    assert (found["matches"], found["distinct"]) == (10, 1)
    text = said(capsys, *command, itself, "--opponent", "random", *empty)
    assert f"{itself}: 1 of 10 matches are distinct.\n" in text
    assert "All other matches are distinct: no two have the same moves.\n" in text
    text = said(capsys, *command, "random")
    assert "All matches are distinct: no two have the same moves.\n" in text


def test_positions(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ("evaluate", "four.safetensors", "--positions", "solved.csv")
    found = figures(capsys, *command)
    assert found.keys() == {"agent", "positions"}
    assert list(found["positions"]) == ["agent", *BESIDE]
    for results in found["positions"].values():
        assert results.keys() == {"all", "matters", "by_stones"}
        assert results["all"].keys() >= {"n", "value_preserving", "exact", "interval95"}
        assert results["all"]["n"] == 100
        low, high = results["all"]["interval95"]
        assert 0 <= low < results["all"]["value_preserving"] < high <= 1
        assert sum(split["all"]["n"] for split in results["by_stones"].values()) == 100
    one_ply, minimax = (
        found["positions"]["one_ply"]["matters"],
        found["positions"]["minimax:4"]["matters"],
    )
    assert one_ply["value_preserving"] < minimax["value_preserving"]
    assert figures(capsys, *command) == found
    odd, even = (
        figures(capsys, *command, "--rows", rows)["positions"]["agent"]["all"]
        for rows in ("odd", "even")
    )
    assert (odd["n"], even["n"]) == (50, 50)
    assert (odd["exact"] + even["exact"]) / 2 == pytest.approx(
        found["positions"]["agent"]["all"]["exact"]
    )


def test_positions_as_tables_and_matches_too(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = (
        "evaluate",
        "four.safetensors",
        "--positions",
        "solved.csv",
        "--opponent",
        "random",
        "--opponent",
        "minimax:2",
    )
    text = said(capsys, *command, "--matches", "20")
    for words in (
        "against",
        "100 solved positions",
        "where it matters",
        "exactly best",
        "0-11",
        "minimax:2",
    ):
        assert words in text
    assert "…" not in text
    assert "one_ply" not in text
    results = figures(capsys, *command)["positions"]
    assert list(results) == ["agent", "random", "minimax:2"]
    report.print_evaluation(
        {"positions": {"mcts:100000": results["agent"]}}
    )  # as long as names can be
    text = capsys.readouterr().out
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_searching_opponents_in_matches(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = (
        "evaluate",
        "four.safetensors",
        "--opponent",
        "minimax:4",
        "--opponent",
        "mcts:100",
        "--matches",
        "10",
    )
    found = figures(capsys, *command)["opponents"]
    assert list(found) == ["minimax:4", "mcts:100"]
    assert found["minimax:4"]["score"] < 0.3  # an untrained network


def test_a_tournament_of_agents(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = (
        "tournament",
        "four.safetensors",
        "five.safetensors",
        "--opponent",
        "one_ply",
        "--matches",
        "21",
    )
    found = figures(capsys, *command)
    assert (found["game"], found["matches"]) == ("connect_four", 22)
    assert found["agents"] == {"four": "four.safetensors", "five": "five.safetensors"}
    names = [player["name"] for player in found["players"]]
    assert sorted(names) == ["five", "four", "one_ply", "random"]
    assert [player["rating"] for player in found["players"]] == sorted(
        (player["rating"] for player in found["players"]), reverse=True
    )
    row = found["players"][names.index("random")]
    assert (row["rating"], row["interval95"], row["settled"]) == (0.0, [0.0, 0.0], True)
    assert row["mean_return"] == pytest.approx(2 * row["score"] - 1)  # each match pays 1, 0 or -1
    assert not found["graded"]
    payoff = found["payoff"]
    assert payoff["names"] == names
    for i in range(4):
        assert payoff["scores"][i][i] is payoff["interval95"][i][i] is None
        for j in set(range(4)) - {i}:
            assert payoff["scores"][i][j] + payoff["scores"][j][i] == pytest.approx(1)
            assert (
                payoff["interval95"][i][j][0]
                <= payoff["scores"][i][j]
                <= payoff["interval95"][i][j][1]
            )
    assert figures(capsys, *command) == found
    text = said(capsys, *command)
    for words in ("player", "rating", "connect_four, 22 matches per pair", "   1   -"):
        assert words in text


def test_four_seats(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(
        capsys, "tournament", "ludo.safetensors", "--opponent", "ludo:racer", "--matches", "8"
    )
    assert "The row's player has one seat, the column's the other 3; equals score 0.25." in text


def test_long_names_and_many_players_stay_within_80_columns(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agents = [f"{'an-agent-with-a-long-name-' * 3}{i}.safetensors" for i in range(19)]
    for agent in agents:
        DQNAgent(PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [4]}))).save(agent)
    assert "Score of the row's player against the column's" in said(
        capsys, "tournament", *agents[:18], "--opponent", "random", "--matches", "2"
    )
    text = said(capsys, "tournament", *agents, "--opponent", "random", "--matches", "2")
    assert "The results of 20 players do not fit here" in text
    assert all(f"…t-with-a-long-name-{i} " in text for i in range(10))


@pytest.mark.slow
def test_snapshots_of_a_run_and_a_picture(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(trial(folder / "runs", name="mine"))
    capsys.readouterr()
    command = (
        "tournament",
        "mine",
        "toe.safetensors",
        "runs/mine/last.safetensors",
        "--snapshots",
        "--matches",
        "10",
    )
    found = figures(capsys, *command, "--picture", "who.png")
    names = {player["name"] for player in found["players"]}
    snapshots = {name for name in names if "/snapshot:" in name}
    assert len(snapshots) == 2
    best, last = (name for name in found["agents"] if name != "toe")
    assert {best, last} == {"runs/mine/best.safetensors", "runs/mine/last.safetensors"}
    assert names == {"random", "one_ply", "toe", best, last, *snapshots}
    assert Path("who.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            "evaluate four.safetensors --positions absent.csv",
            ["absent.csv cannot be read", "No such file"],
        ),
        (
            "evaluate four.safetensors --positions short.csv",
            ["short.csv has no column s2", "moves, stones, s1", "s7, best"],
        ),
        (
            "evaluate four.safetensors --positions illegal.csv",
            ["row 3 of illegal.csv: move 7 is illegal", "column 1", "one of 2, 3"],
        ),
        (
            "evaluate toe.safetensors --positions solved.csv",
            ["another game", "tic_tac_toe", "expected connect_four"],
        ),
        (
            "evaluate four.safetensors --positions solved.csv --opponent minimx:4",
            ["unknown opponent", "minimx:4"],
        ),
        (
            "evaluate four.safetensors --positions solved.csv --rows some",
            ["--rows", "'some'", "all", "odd", "even"],
        ),
        ("evaluate four.safetensors --rows odd", ["--rows", "got odd", "--positions FILE"]),
        ("tournament", ["missing argument AGENT (agent files or run names)"]),
        (
            "tournament four.safetensors toe.safetensors",
            ["different games", "four of connect_four, toe of tic_tac_toe"],
        ),
        ("tournament four.safetensors four.safetensors", ["more than once", "four.safetensors"]),
        ("tournament four.safetensors nobody", ["no such agent", "'nobody'"]),
        ("tournament four.safetensors --opponent rndom", ["unknown opponent", "rndom"]),
        ("tournament four.safetensors --matches 0", ["matches", "got 0", "at least 1"]),
        (
            "tournament four.safetensors --snapshots",
            ["--snapshots", "got four.safetensors", "a run with a checkpoint"],
        ),
        (
            "tournament four.safetensors --picture who.jpg",
            ["--picture", "got who.jpg", "ends in .png"],
        ),
        (
            "tournament four.safetensors --picture absent/who.png",
            ["--picture", "got absent/who.png", "an existing folder"],
        ),
    ],
)
def test_bad_input(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str, words: list[str]
) -> None:
    before = sorted(folder.rglob("*"))
    assert main(command.split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    [line] = captured.err.splitlines()
    for word in ("sparring: ", *words):
        assert word in line
    assert sorted(folder.rglob("*")) == before


def test_without_matplotlib_nothing_is_played(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [name for name in sys.modules if name.startswith("sparring.plot")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr(
        "sparring.cli.tournament.play_tournament", lambda *_, **__: pytest.fail("played")
    )
    assert main(["tournament", "four.safetensors", "--picture", "who.png"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "pip install 'sparring[plot]'" in line
