"""Ctrl-C says what it waits for, a second one what is saved; neither is kept waiting by a worker
that hangs. Through the command line.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

import pytest
from child_processes import HANG, HELPERS, wait_until, workers_of
from trial_runs import start, trial

from sparring.cli import main
from sparring.config.schema import TrainConfig
from sparring.dqn.agent import DQNAgent
from sparring.storage.run_directory import RunDirectory
from sparring.training import resume, train
from sparring.training.evaluator import Evaluator
from sparring.training.metrics import RunMetrics

LONG = {
    "n_episodes": 100_000,
    "checkpoint_interval": 100,
    "eval_interval": 1_000_000,
    "log_interval": 0.5,
    "checkpoint_minutes": 1e9,
}


def run_of(config: TrainConfig) -> Path:
    return Path(config.runs_dir) / str(config.name)


def has_reports(run: Path) -> bool:
    metrics = run / "metrics.jsonl"
    return metrics.exists() and metrics.stat().st_size > 0


def line_with(output: IO[str], text: str) -> str:
    """Read lines until one has `text`; the end of the output is a failure."""
    for line in output:
        if text in line:
            return line
    raise AssertionError(f"no line with {text!r}")


def wait_until_it_waits(run: Path) -> None:
    """Wait until the main process waits for frozen workers: rounds that they had finished before
    are learned from, and its reports, two a second, stand still.
    """
    metrics = run / "metrics.jsonl"
    size, since = metrics.stat().st_size, time.monotonic()
    while time.monotonic() < since + 2.0:
        time.sleep(0.05)
        if metrics.stat().st_size != size:
            size, since = metrics.stat().st_size, time.monotonic()


def stop_twice(main: subprocess.Popen[str], run: Path) -> list[str]:
    """Ctrl-C while both workers are frozen, and again when it is said who is waited for; the lines
    of the output from there on.
    """
    assert main.stdout is not None
    for worker in workers_of(main.pid):
        worker.suspend()
    wait_until_it_waits(run)
    os.killpg(main.pid, signal.SIGINT)  # as a terminal does it
    line_with(main.stdout, "press Ctrl-C again to stop at once, without saving")
    waiting = line_with(main.stdout, "waiting for worker")
    assert re.search(r"waiting for workers? [01](, 1)? to finish the matches of the round", waiting)
    os.killpg(main.pid, signal.SIGINT)
    said, _ = main.communicate(timeout=HANG)
    assert main.returncode == 130, said
    assert "Traceback" not in said
    return said.splitlines()


@pytest.mark.slow
def test_the_second_says_what_is_saved_and_how_to_resume(tmp_path: Path) -> None:
    config = trial(tmp_path, name="run", **LONG)
    with start(config) as process:
        wait_until(lambda: any((run_of(config) / "checkpoints").glob("[0-9]*/manifest.json")))
        last = stop_twice(process, run_of(config))[-1]
    with RunDirectory.open(tmp_path, "run") as run:
        newest = run.newest_checkpoint()
    assert newest is not None
    assert last == (
        f"sparring: stopped at once; saved are the first {newest:,} updates. "
        f"Continue with: sparring resume {run_of(config)}"
    )


@pytest.mark.slow
def test_the_second_says_that_nothing_is_saved(tmp_path: Path) -> None:
    config = trial(tmp_path, name="run", **{**LONG, "checkpoint_interval": 10**9})
    with start(config) as process:
        wait_until(lambda: has_reports(run_of(config)), pause=0.05)
        last = stop_twice(process, run_of(config))[-1]
    assert last == "sparring: stopped at once; nothing was saved"


PATIENT_FOR_5_SECONDS = """
import sys
from sparring.cli import main
from sparring.runtime import watch

if __name__ == "__main__":
    watch.STUCK_IN_A_HURRY = 5.0
    sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_a_game_that_hangs_in_c_does_not_keep_ctrl_c_waiting(tmp_path: Path) -> None:
    """Its worker is replaced, the round is played to its end, and the run is saved."""
    (tmp_path / "program.py").write_text(PATIENT_FOR_5_SECONDS)
    command = [sys.executable, "program.py", "train", "hanging_games:HangsOnce", "--preset", "none"]
    options = {
        "--n-episodes": 1_000_000,
        "--num-workers": 2,
        "--name": "run",
        "--eval-interval": 10**9,
        "--log-interval": 0.5,
    }
    flags = [str(word) for option in options.items() for word in option]
    path = f"{HELPERS}:{os.environ.get('PYTHONPATH', '')}"
    with subprocess.Popen(
        [*command, *flags, "--no-tensorboard"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
        start_new_session=True,
    ) as process:
        wait_until(lambda: has_reports(tmp_path / "runs" / "run"), pause=0.05)
        (tmp_path / "hang").touch()
        wait_until(lambda: (tmp_path / "hangs").exists(), pause=0.05)
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=HANG)
    assert process.returncode == 130, said
    assert "failed and is replaced: it made no ply for 5 s" in said
    assert said.splitlines()[-1].startswith("sparring: interrupted; saved. Continue with: ")


def test_right_after_the_last_match_it_is_130_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All is played and reported; the last evaluation is left to a resume."""
    report, evaluations = RunMetrics.report, list[Evaluator]()

    def interrupted(metrics: RunMetrics, *arguments: Any, **options: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        report(metrics, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(RunMetrics, "report", interrupted)
        patch.setattr(Evaluator, "evaluate", lambda self: evaluations.append(self))
        words = "train tic_tac_toe --preset none --n-episodes 40 --backend inline --num-workers 1"
        flags = ["--no-tensorboard", "--runs-dir", str(tmp_path), "--name", "run"]
        assert main([*words.split(), *flags]) == 130
    assert evaluations == []
    said = capsys.readouterr()
    assert f"Continue with: sparring resume {tmp_path / 'run'}" in said.err
    assert resume("run", runs_dir=str(tmp_path), console=False).episodes >= 40


def test_it_cuts_off_the_last_evaluation_which_a_resume_repeats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def evaluation(evaluator: Evaluator, agent: DQNAgent) -> float:
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("the evaluation goes on")

    config = trial(tmp_path, name="run", backend="inline", eval_interval=10**9)
    with monkeypatch.context() as patch:
        patch.setattr(Evaluator, "against_baselines", evaluation)
        stopped = train(config, console=False)
    assert stopped.interrupted
    assert stopped.episodes >= 240
    assert not (stopped.run / "best.safetensors").exists()
    resumed = resume("run", runs_dir=str(tmp_path), console=False)
    assert (resumed.updates, resumed.sha256) == (stopped.updates, stopped.sha256)
    assert (resumed.run / "best.safetensors").is_file()


PRESSES_TWICE = """
import signal
import numpy as np
from sparring.games import GameSpec

class PressesTwice:
    "Ctrl-C, twice, while a game's step is at work."

    spec = GameSpec(
        num_players=2, num_actions=2, observation_shape=(1,), observation_dtype="int8", max_plies=9
    )

    def reset(self, rng):
        self.seat = 0

    def mask(self):
        return [True, True]

    def observe(self, seat):
        return np.zeros(1, np.int8)

    def step(self, action):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("the match goes on")
"""


def test_the_second_is_not_taken_for_a_fault_of_the_game_that_it_meets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "presses_twice.py").write_text(PRESSES_TWICE)
    monkeypatch.syspath_prepend(tmp_path)
    words = "train presses_twice:PressesTwice --preset none --backend inline --num-workers 1"
    flags = ["--no-tensorboard", "--runs-dir", str(tmp_path / "runs")]
    assert main([*words.split(), *flags]) == 130
    said = capsys.readouterr()
    assert said.err.splitlines()[-1] == "sparring: stopped at once; nothing was saved"
    assert list((tmp_path / "runs").iterdir()) == []
