"""Runs that start with the weights of a file."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
import user_network
from trial_runs import trial

from sparring.cli import main
from sparring.config.sources import build_config
from sparring.dqn.agent import DQNAgent
from sparring.dqn.networks import NetworkSpec, PolicySpec, build_network
from sparring.errors import FileFormatError
from sparring.training import TrainResult, resume, train

NO_UPDATES = {"backend": "inline", "n_episodes": 40, "learning_starts": 700}
OWN = {"network": user_network.Convolved, "arguments": {"channels": 4}}
SPEC = PolicySpec("tic_tac_toe", NetworkSpec("user_network:Convolved", {"channels": 4}))


def settings(result: TrainResult) -> dict[str, object]:
    return tomllib.loads((result.run / "config.toml").read_text())


def test_an_agent_of_another_configuration_is_where_a_run_starts(tmp_path: Path) -> None:
    first = train(trial(tmp_path, name="first", backend="inline", n_episodes=80), console=False)
    changes = {**NO_UPDATES, "seed": 8, "opponents": {"random": 1.0}, "learning_rate": 3e-5}
    second = train(
        trial(tmp_path, name="second", init_from=str(first.agent), **changes), console=False
    )
    assert second.updates == 0
    assert second.agent.read_bytes() == first.agent.read_bytes()
    assert settings(second)["init_from"] == str(first.agent)
    assert settings(second)["init_from_sha256"] == first.sha256


def test_a_run_from_torch_weights_is_resumed_without_the_file(tmp_path: Path) -> None:
    file, kept = tmp_path / "start.pt", tmp_path / "kept.pt"
    torch.save(build_network(SPEC, seed=77).state_dict(), file)
    steady = {"exploration_initial_eps": 0.2, "exploration_final_eps": 0.2}
    options = {"backend": "inline", "prioritized_replay": False, "policy_kwargs": OWN, **steady}

    def run(name: str, matches: int) -> TrainResult:
        config = trial(tmp_path, name=name, init_from=file, n_episodes=matches, **options)
        return train(config, console=False)

    whole, half = run("whole", 120), run("half", 60)
    wanted = hashlib.sha256(file.read_bytes()).hexdigest()
    assert settings(half)["init_from_sha256"] == wanted
    file.rename(kept)
    again = resume("half", runs_dir=str(tmp_path), overrides={"n_episodes": 120}, console=False)
    assert again.updates > 0
    assert again.sha256 == whole.sha256
    assert settings(again)["init_from_sha256"] == wanted
    anew = train(trial(tmp_path, name="anew", n_episodes=120, **options), console=False)
    assert anew.sha256 != whole.sha256


def test_a_configuration_that_names_another_file_than_there_is_now_is_refused(
    tmp_path: Path,
) -> None:
    file = tmp_path / "start.safetensors"
    spec = PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [16], "dueling": True}))
    DQNAgent(spec).save(file)
    first = train(trial(tmp_path, name="first", init_from=file, **NO_UPDATES), console=False)
    weights = {name: value + 1 for name, value in DQNAgent(spec).get_weights().items()}
    DQNAgent(spec, weights=weights).save(file)
    config = build_config(config_file=first.run / "config.toml", overrides={"name": "second"})
    with pytest.raises(FileFormatError, match=r"SHA-256 .* got [0-9a-f]{64}, expected .* leave"):
        train(config, console=False)
    assert not (tmp_path / "second").exists()


def test_the_command_line_names_the_first_shape_that_differs_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    other = PolicySpec("connect_four", NetworkSpec("mlp", {"net_arch": [256, 256]}))
    DQNAgent(other).save("other.safetensors")
    weights = np.prod((2, 6, 7))
    command = "train tic_tac_toe --preset none --init-from other.safetensors --device cpu"
    assert main(command.split()) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"shape [256, {weights}], expected shape [256, 18]" in said
    assert [path.name for path in tmp_path.iterdir()] == ["other.safetensors"]
