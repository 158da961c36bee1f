from __future__ import annotations

import dataclasses
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from sparring import training
from sparring.cli import main
from sparring.config.schema import TrainConfig
from sparring.dqn.agent import DQNAgent
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.errors import GameFault, WorkerError
from sparring.evaluation import Score
from sparring.games.faults import read_fault
from sparring.training import TrainResult

CONFIG = 'game = "tic_tac_toe"\neval_matches = 60\nopponents = {self = 1.0}\n'


@pytest.fixture
def result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainResult:
    """A run of an untrained agent, which `train` is made to return after it has printed a line."""
    agent = DQNAgent(PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [8]})))
    run = tmp_path / "runs" / "tic_tac_toe-1"
    agent.save(run / "last.safetensors")
    (run / "config.toml").write_text(CONFIG)
    answer(
        monkeypatch,
        made := TrainResult(
            run,
            run / "last.safetensors",
            10,
            900,
            100,
            2.0,
            3000.0,
            450.0,
            "ab" * 32,
            0,
            0,
            "",
            agent,
        ),
    )
    return made


def answer(monkeypatch: pytest.MonkeyPatch, outcome: TrainResult | BaseException) -> None:
    def train(config: TrainConfig, **_: Any) -> TrainResult:
        print("progress")
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    monkeypatch.setattr(training, "train", train)


def test_json_is_all_there_is_on_standard_output(
    result: TrainResult, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "tic_tac_toe", "--json"]) == 0
    said = capsys.readouterr()
    assert said.err == "progress\n"
    assert json.loads(said.out) == {
        "run": str(result.run),
        "agent": str(result.agent),
        "updates": 10,
        "plies": 900,
        "episodes": 100,
        "seconds": 2.0,
        "episodes_per_min": 3000.0,
        "plies_per_s": 450.0,
        "sha256": "ab" * 32,
        "stopped": "",
    }


def test_training_ends_with_the_strength_of_the_agent_and_the_next_commands(
    result: TrainResult, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "tic_tac_toe"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    for words in (
        "progress",
        "evaluating the agent: 60 greedy matches",
        "random        60",
        "one_ply       60",
        f"sparring evaluate {result.run}",
        "tensorboard --logdir",
    ):
        assert words in said.out


def test_it_ends_with_the_opponents_of_the_training_too(
    result: TrainResult, capsys: pytest.CaptureFixture[str]
) -> None:
    met = '{self = 0.5, "own_players:Dicing" = 0.3, "agent:first" = 0.2, "minimax:4" = 0.0}'
    config = CONFIG.replace("{self = 1.0}", met)
    (result.run / "config.toml").write_text(config)
    assert main(["train", "tic_tac_toe"]) == 0
    said = capsys.readouterr().out
    assert "own_play" in said.partition("What next")[0]
    others = ("random", "one_ply", "agent:first", "own_players:Dicing")
    assert "--matches 1000" + "".join(f" --opponent {name}" for name in others) in said


def test_interrupted(
    result: TrainResult, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(monkeypatch, dataclasses.replace(result, signal=signal.SIGINT))
    assert main(["train", "tic_tac_toe", "--json"]) == 130
    said = capsys.readouterr()
    assert json.loads(said.out)["episodes"] == 100
    assert said.err.endswith(f"Continue with: sparring resume {result.run}\n")


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (KeyboardInterrupt(), 130, "sparring: interrupted\n"),
        (MemoryError("8 GiB"), 1, "sparring: not enough memory: 8 GiB\n"),
        (
            WorkerError("worker 0 failed 3 times:\n  ValueError: no"),
            1,
            "sparring: worker 0 failed 3 times: ValueError: no\n",
        ),
        (
            ModuleNotFoundError("No module named 'tomli_w'", name="tomli_w"),
            1,
            "sparring: the commands need tomli_w, which is not installed; pip install sparring\n",
        ),
    ],
)
def test_errors_that_are_one_line(
    error: BaseException,
    status: int,
    said: str,
    result: TrainResult,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer(monkeypatch, error)
    assert main(["train", "tic_tac_toe"]) == status
    assert capsys.readouterr().err == said


def test_a_game_that_fails_in_the_closing_matches_is_saved(
    result: TrainResult, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = {
        "game": "pig:Pig",
        "key": 1,
        "actions": [0],
        "during": "step",
        "cause": "KeyError: 6",
        "traceback": "",
    }

    def fail(*_: Any, **__: Any) -> Any:
        raise GameFault("game pig:Pig raised KeyError", record)

    monkeypatch.setattr("sparring.cli.evaluate.evaluate_matches", fail)
    assert main(["train", "tic_tac_toe"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    path = result.run / "faults" / "1.json"
    again = f"sparring replay {path} --game pig:Pig"
    assert line == f"sparring: game pig:Pig raised KeyError; the match is saved: {again}"
    assert read_fault(path)["actions"] == [0]


@pytest.mark.parametrize("error", [RuntimeError("a bug"), BrokenPipeError("a pipe of our own")])
def test_an_unexpected_error_shows_its_traceback(
    error: BaseException,
    result: TrainResult,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer(monkeypatch, error)
    assert main(["train", "tic_tac_toe"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("Traceback")
    assert str(error) in said


def test_evaluate(result: TrainResult, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(result.run)
    assert (
        main(
            [
                "evaluate",
                run,
                "--opponent",
                "random",
                "--opponent",
                "one_ply",
                "--matches",
                "50",
                "--json",
            ]
        )
        == 0
    )
    figures = json.loads(capsys.readouterr().out)
    assert figures["agent"] == str(result.agent)
    assert list(figures["opponents"]) == ["random", "one_ply"]
    assert figures["opponents"]["random"].keys() == {
        field.name for field in dataclasses.fields(Score)
    }
    assert (
        main(
            [
                "evaluate",
                run,
                "--opponent",
                "random",
                "--opponent",
                "one_ply",
                "--matches",
                "50",
                "--json",
            ]
        )
        == 0
    )
    assert json.loads(capsys.readouterr().out) == figures
    assert (
        main(
            [
                "evaluate",
                run,
                "--opponent",
                "random",
                "--matches",
                "50",
                "--opening-plies",
                "0",
                "--json",
            ]
        )
        == 0
    )
    assert (
        json.loads(capsys.readouterr().out)["opponents"]["random"] != figures["opponents"]["random"]
    )
    (result.run / "best.safetensors").write_bytes(result.agent.read_bytes())
    assert (
        main(
            [
                "evaluate",
                "tic_tac_toe-1",
                "--runs-dir",
                str(result.run.parent),
                "--exhaustive",
                "--json",
            ]
        )
        == 0
    )
    figures = json.loads(capsys.readouterr().out)
    assert figures["agent"].endswith("best.safetensors")
    assert (
        figures["exhaustive"]["losses"]
        == sum(seat["losses"] for seat in figures["exhaustive"]["seats"])
        > 0
    )


def test_check_game(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-game", "tic_tac_toe", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["game"], said["passed"], said["findings"]) == ("tic_tac_toe", True, [])


def test_outside_an_activated_environment_programs_are_named_by_path(
    result: TrainResult, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", [".venv/bin/sparring"])
    monkeypatch.setenv("PATH", "")
    assert main(["train", "tic_tac_toe"]) == 0
    said = capsys.readouterr().out
    assert f"  .venv/bin/sparring evaluate {result.run}" in said
    assert "  .venv/bin/tensorboard --logdir" in said
