"""`sparring sweep` with tiny trials."""

from __future__ import annotations

import importlib
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from child_processes import HANG, wait_until
from trial_runs import COMMAND

from sparring.cli import main
from sparring.config.sources import build_config
from sparring.errors import InputError, NumericalError

optuna = pytest.importorskip("optuna", reason="sweeps need optuna")

from sparring import sweep  # noqa: E402

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


def test_one_of_two_processes_ends_by_ctrl_c_the_other_finishes(tmp_path: Path, capfd: Any) -> None:
    words = f"sweep tic_tac_toe {OPTIONS} --runs-dir {tmp_path} --trials 2 --json --space"
    command = [*COMMAND, *words.split(), *SPACE]
    long = ["100000000" if word == "40" else word for word in command]
    with subprocess.Popen(long, stderr=subprocess.PIPE, text=True) as first:
        wait_until(lambda: (tmp_path / "mine" / "trial-0" / "config.toml").exists())
        second = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=HANG)
        first.send_signal(signal.SIGINT)
        _, said = first.communicate(timeout=HANG)
    assert (first.returncode, second.returncode) == (130, 0), said
    assert said.splitlines()[-1].endswith("is saved. The same command continues")
    trials = json.loads(second.stdout.splitlines()[-1])["trials"]
    assert sorted(trial["number"] for trial in trials) == [1, 2]
    assert swept(tmp_path, 3) == 0
    on = json.loads(capfd.readouterr().out.splitlines()[-1])["trials"]
    assert sorted(trial["number"] for trial in on) == [1, 2, 3]
    assert all(trial in on for trial in trials)


def test_a_record_that_a_kill_cut_off_is_dropped(tmp_path: Path, capfd: Any) -> None:
    assert swept(tmp_path, 1) == 0
    log = tmp_path / "mine" / "sweep.log"
    before = log.read_text()
    log.write_text(before + '{"op_code":4,"wor')
    assert swept(tmp_path, 2) == 0
    assert len(json.loads(capfd.readouterr().out.splitlines()[-1])["trials"]) == 2
    assert log.read_text().startswith(before + '{"op_code":')
    assert all(map(json.loads, log.read_text().splitlines()))
    log.write_text("no record\n" + before)
    assert swept(tmp_path, 3) == 2
    assert "sweep.log is damaged; choose another --name" in capfd.readouterr().err.splitlines()[-1]
    assert log.read_text() == "no record\n" + before


@pytest.mark.parametrize(
    ("space", "reason"),
    [
        ("batch_size=16,64 buffer_size=2000,32", "batch_size is larger than buffer_size"),
        ("td_lambda=1.0,0.5 afterstates=on,off", "td_lambda: got 0.5"),  # known to `train` alone
    ],
)
def test_settings_that_exclude_each_other_fail_their_trial(
    space: str, reason: str, tmp_path: Path, capfd: Any
) -> None:
    assert swept(tmp_path, 2, *space.split()) == 0  # (1, 1) and (0, 0) are drawn
    trials = json.loads(capfd.readouterr().out.splitlines()[-1])["trials"]
    assert [trial["state"] for trial in trials] == ["complete", "failed"]
    assert reason in trials[1]["error"]


def test_without_optuna_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.delitem(sys.modules, "sparring.sweep")
    with pytest.raises(InputError, match=r"sweep needs optuna: pip install 'sparring\[sweep\]'"):
        importlib.import_module("sparring.sweep")


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
        score = 0.5

        def __init__(self, progress: float) -> None:
            self.progress = progress

    trial: Any = Trial()
    first, last = (sweep._Reporter(trial) for _ in range(2))
    assert first.on_evaluation(Event(0.4))  # type: ignore[arg-type]
    assert not first.on_evaluation(Event(0.5))  # type: ignore[arg-type]
    assert first.pruned
    assert last.on_evaluation(Event(1.0))  # type: ignore[arg-type]
    assert last.on_evaluation(Event(1.0))  # type: ignore[arg-type]
    assert trial.reports == [(0.5, 400_000), (0.5, 500_000), (0.5, 1_000_000)]


def test_trials_are_compared_at_equal_shares_of_their_runs() -> None:
    study = optuna.create_study(direction="maximize", pruner=sweep._Pruner())
    for score in (0.4, 0.5, 0.6, 0.7):
        early = {200_000: 0.1, 450_000: score, 1_000_000: 0.9}  # evaluated more rarely
        study.add_trial(optuna.trial.create_trial(value=0.9, intermediate_values=early))
    for at, score, pruned in ((400_000, 0.2, False), (500_000, 0.54, True), (500_000, 0.56, False)):
        trial = study.ask()
        trial.report(score, at)
        assert trial.should_prune() is pruned, (at, score)


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
