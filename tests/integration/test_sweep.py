"""`sparring sweep` with tiny trials."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sparring.cli import main
from sparring.config.sources import build_config
from sparring.errors import NumericalError

pytest.importorskip("optuna", reason="sweeps need optuna")

from sparring import sweep

OPTIONS = (
    "--preset none --backend inline --num-workers 1 --n-episodes 40 --eval-interval 1 --seed 3 "
    "--eval-matches 4 --learning-starts 20 --batch-size 16 --no-tensorboard --name mine"
)
SPACE = ("learning_rate=1e-4..1e-2:log", "n_steps=1,2,3")


def swept(folder: Path, trials: int, *space: str) -> int:
    words = f"sweep tic_tac_toe {OPTIONS} --runs-dir {folder} --trials {trials} --json --space"
    return main([*words.split(), *(space or SPACE)])


def test_a_sweep_goes_on_and_its_best_settings_train(tmp_path: Path, capfd: Any) -> None:
    assert swept(tmp_path, 2) == 0
    first = json.loads(capfd.readouterr().out.splitlines()[-1])["trials"]
    assert swept(tmp_path, 3) == 0
    trials = json.loads(capfd.readouterr().out.splitlines()[-1])["trials"]
    assert sorted(trial["number"] for trial in trials) == [0, 1, 2]
    assert all(trial in trials for trial in first), "earlier trials are kept"
    assert len({trial["settings"]["learning_rate"] for trial in trials}) == 3
    scores = [trial["score"] for trial in trials if trial["state"] == "complete"]
    assert scores == sorted(scores, reverse=True)
    best = build_config(config_file=tmp_path / "mine" / "best.toml")
    assert best.learning_rate == trials[0]["settings"]["learning_rate"]
    assert best.n_steps == trials[0]["settings"]["n_steps"]
    assert (best.name, best.n_episodes, best.seed) == (None, 40, 3)
    assert swept(tmp_path, 3, "learning_rate=1e-4..1e-2:log") == 2
    said = capfd.readouterr().err.splitlines()[-1]
    assert "another game or space" in said
    assert said.endswith("choose another --name")


def test_a_trial_that_was_cut_off_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sweep, "train", interrupted)
        assert swept(tmp_path, 1) == 130
    capfd.readouterr()
    assert swept(tmp_path, 1) == 0
    [trial] = json.loads(capfd.readouterr().out.splitlines()[-1])["trials"]
    assert (trial["number"], trial["state"]) == (1, "complete")


class Trial:
    """A trial of optuna that is pruned at its second report."""

    def __init__(self) -> None:
        self.reports: list[tuple[float, int]] = []

    def report(self, score: float, step: int) -> None:
        self.reports.append((score, step))

    def should_prune(self) -> bool:
        return len(self.reports) > 1


def test_a_pruned_trial_ends_at_an_evaluation_but_not_at_its_last() -> None:
    class Event:
        score, progress = 0.5, 0.4

    class Last(Event):
        progress = 1.0

    trial: Any = Trial()
    first, last = (sweep._Reporter(trial) for _ in range(2))
    assert first.on_evaluation(Event())  # type: ignore[arg-type]
    assert not first.on_evaluation(Event())  # type: ignore[arg-type]
    assert first.pruned
    assert last.on_evaluation(Last())  # type: ignore[arg-type]
    assert trial.reports == [(0.5, 1), (0.5, 2), (0.5, 1)]


def test_layers_of_the_network_are_searched_too(tmp_path: Path, capfd: Any) -> None:
    assert swept(tmp_path, 1, "policy_kwargs.net_arch=16x16,32x16") == 0
    [trial] = json.loads(capfd.readouterr().out.splitlines()[-1])["trials"]
    best = build_config(config_file=tmp_path / "mine" / "best.toml")
    layers = trial["settings"]["policy_kwargs.net_arch"]
    assert best.policy_kwargs.net_arch == tuple(map(int, layers.split("x")))


@pytest.mark.parametrize("network", ["mlp", "patches", "resnet", "ntuples"])
@pytest.mark.parametrize("steps", ["adaptive", 1])
def test_the_default_space_suits_the_network(network: str, steps: Any, tmp_path: Path) -> None:
    settings = {"policy_kwargs": {"network": network}, "learning_steps_per_batch": steps}
    config = build_config(overrides=settings)
    space = sweep.space_of(sweep.default_space(config))
    assert len(list(sweep._corners(config, space))) >= 2 * len(space)
    assert ("samples_per_insert" in space) == (steps == "adaptive")
    assert any(name.startswith("policy_kwargs.") for name in space) == (network != "ntuples")


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ("learning_rate", "--space: got 'learning_rate'"),
        ("learning_rate=1..x", "expected NAME=LOW..HIGH"),
        ("learning_rate=2..1", "expected NAME=LOW..HIGH"),
        ("learning_rate=0..1:log", "expected NAME=LOW..HIGH"),
        ("n_steps=3", "expected NAME=LOW..HIGH"),
        ("n_steps=0..3", "n_steps: got 0"),
        ("learning_rat=1..3", "learning_rat"),
        ("seed=1..3", "expected a setting of how it learns"),
        ("n_episodes=10..20", "expected a setting of how it learns"),
        ("learning_rate=1..3 learning_rate=1..2", "expected each setting once"),
        ("policy_kwargs.widht=1..3", "policy_kwargs.widht"),
    ],
)
def test_a_bad_space_is_one_line(space: str, words: str, tmp_path: Path, capfd: Any) -> None:
    assert swept(tmp_path, 1, *space.split()) == 2
    [line] = capfd.readouterr().err.splitlines()
    assert words in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("flag", ["--evaluate-with nomodule:f", "--opponents agent:nobody=1"])
def test_what_training_refuses_leaves_nothing(flag: str, tmp_path: Path, capfd: Any) -> None:
    words = f"sweep tic_tac_toe {OPTIONS} --runs-dir {tmp_path} {flag}"
    assert main(words.split()) == 2
    [line] = capfd.readouterr().err.splitlines()
    assert line.startswith("sparring: ")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_no_sweep_is_left_alone(tmp_path: Path, capfd: Any) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.toml").write_text("seed = 1")
    assert swept(tmp_path, 1) == 2
    [line] = capfd.readouterr().err.splitlines()
    assert "which is no sweep; choose another --name" in line
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["config.toml"]


def test_a_trial_that_diverges_is_shown_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    def diverges(*_: object, **__: object) -> None:
        raise NumericalError("update 3: the loss is not finite")

    monkeypatch.setattr(sweep, "train", diverges)
    assert swept(tmp_path, 1) == 0
    [trial] = json.loads(capfd.readouterr().out.splitlines()[-1])["trials"]
    assert (trial["state"], trial["score"]) == ("failed", None)
    assert trial["error"] == "update 3: the loss is not finite"
    assert not (tmp_path / "mine" / "best.toml").exists()


def test_a_trial_needs_a_length(tmp_path: Path, capfd: Any) -> None:
    assert main(["sweep", "tic_tac_toe", "--runs-dir", str(tmp_path)]) == 2
    [line] = capfd.readouterr().err.splitlines()
    assert line.startswith("sparring: the length of a trial: got none, expected --max-minutes")
    assert list(tmp_path.iterdir()) == []
