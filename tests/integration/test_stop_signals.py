"""SIGTERM, a closed terminal, a pipe without a reader: nothing is lost. On the command line."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from child_processes import HANG, wait_until
from trial_runs import COMMAND, start, trial

from sparring.config.schema import TrainConfig
from sparring.config.sources import to_toml
from sparring.dqn.learner import Learner
from sparring.replay import Replay
from sparring.storage.run_directory import RunDirectory
from sparring.training import TrainResult, resume, train
from sparring.training.evaluator import Evaluator
from sparring.training.metrics import RunMetrics

LONG = {"n_episodes": 1_000_000, "eval_interval": 10**9, "log_interval": 0.2}


@pytest.fixture(autouse=True)
def hangups_are_not_ignored() -> Iterator[None]:
    """Children inherit an ignored SIGHUP, as below nohup, where a training goes on."""
    inherited = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, inherited)


def has_reports(run: Path) -> bool:
    metrics = run / "metrics.jsonl"
    return metrics.exists() and metrics.stat().st_size > 0


def episodes_saved(runs_dir: Path) -> int:
    with RunDirectory.open(runs_dir, "run") as run:
        return int(run.load_checkpoint()["schedule"]["episodes"])


@pytest.mark.parametrize(
    ("number", "status", "to_all"),
    [(signal.SIGTERM, 143, False), (signal.SIGTERM, 143, True), (signal.SIGHUP, 129, True)],
    ids=["SIGTERM to main", "SIGTERM to all", "SIGHUP to all"],
)
def test_a_stop_signal_saves_the_run(
    number: signal.Signals, status: int, to_all: bool, tmp_path: Path
) -> None:
    """`docker stop` signals the main process, a batch system every process."""
    config = trial(tmp_path, name="run", **LONG)
    with start(config) as process:
        wait_until(lambda: has_reports(tmp_path / "run"))
        (os.killpg if to_all else os.kill)(process.pid, number)
        said, _ = process.communicate(timeout=HANG)
    assert process.returncode == status, said
    assert f"{number.name}: stopping after this round, and saving" in said
    assert "Traceback" not in said
    assert "is replaced" not in said
    played = episodes_saved(tmp_path)
    assert played > 0
    longer = {"n_episodes": played + 100}
    assert resume("run", runs_dir=str(tmp_path), overrides=longer, console=False).episodes > played


def on_terminal(config: TrainConfig) -> tuple[subprocess.Popen[bytes], int]:
    """`sparring train` on a terminal of its own, and our end of that terminal."""
    path = Path(config.runs_dir) / "config.toml"
    path.write_text(to_toml(config), encoding="utf-8")
    ours, its = pty.openpty()
    command = [*COMMAND, "train", config.game, "--preset", "none", "--config", str(path)]
    process = subprocess.Popen(
        command, stdin=its, stdout=its, stderr=its, start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TERM": "xterm"},
    )  # fmt: skip
    os.close(its)
    return process, ours


def test_a_terminal_that_is_closed_saves_the_run(tmp_path: Path) -> None:
    """Nothing can be printed any more: neither the panel nor what the command says at its end."""
    process, ours = on_terminal(trial(tmp_path, name="run", **LONG))
    with process:
        wait_until(lambda: bool(os.read(ours, 100_000)) and has_reports(tmp_path / "run"))
        os.close(ours)
        process.send_signal(signal.SIGHUP)  # it is the leader of no terminal's session here
        assert process.wait(timeout=HANG) == 129
    assert episodes_saved(tmp_path) > 0


@pytest.mark.parametrize("full", [False, True], ids=["no reader", "full disk"])
def test_a_console_that_cannot_be_written_does_not_end_a_training(
    full: bool, tmp_path: Path
) -> None:
    config = trial(tmp_path, name="run", n_episodes=400, log_interval=0.01)
    path = tmp_path / "config.toml"
    path.write_text(to_toml(config), encoding="utf-8")
    command: list[Any] = [*COMMAND, "train", config.game, "--preset", "none", "--config", str(path)]
    if full:
        with open("/dev/full", "w") as console:
            subprocess.run(command, stdout=console, stderr=console, timeout=HANG)
    else:
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None
            process.stdout.close()
            process.wait(timeout=HANG)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["rollout/episodes"] >= 400
    assert (tmp_path / "run" / "last.safetensors").exists()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    return train(
        trial(tmp_path_factory.mktemp("whole"), name="run", backend="inline"), console=False
    )


MOMENTS: dict[str, tuple[type, str]] = {
    "receive": (Replay, "extend"),
    "update": (Learner, "update"),
    "evaluation": (Evaluator, "against_baselines"),
    "report": (RunMetrics, "report"),
    "checkpoint": (RunDirectory, "save_checkpoint"),
}


@pytest.mark.parametrize(("owner", "name"), MOMENTS.values(), ids=MOMENTS)
def test_a_signal_at_any_moment_changes_nothing(
    owner: type, name: str, uninterrupted: TrainResult, tmp_path: Path, monkeypatch: Any
) -> None:
    """The second one comes at once. The last agent and the best one are those of a run that was
    not stopped.
    """
    calls, method = 0, getattr(owner, name)

    def signalled(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == (1 if name == "against_baselines" else 2):
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
        return method(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, signalled)
        config = trial(tmp_path, name="run", backend="inline", checkpoint_interval=40)
        stopped = train(config, console=False)
    assert stopped.signal == signal.SIGTERM
    assert name != "save_checkpoint" or calls == 2, "what is saved is not saved again"
    assert 0 < stopped.episodes < uninterrupted.episodes
    resumed = resume("run", runs_dir=str(tmp_path), console=False)
    assert resumed.sha256 == uninterrupted.sha256
    best = [run / "best.safetensors" for run in (resumed.run, uninterrupted.run)]
    assert best[0].read_bytes() == best[1].read_bytes()
