"""Runs survive the end of a worker, of the main process, and Ctrl-C; through the command line."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import psutil
import pytest
from child_processes import HANG, is_running, shared_memory_of, wait_until, workers_of
from trial_runs import start, trial

from sparring.config.schema import TrainConfig
from sparring.storage.run_directory import RunDirectory
from sparring.training import resume, train

pytestmark = pytest.mark.slow

LONG = {
    "n_episodes": 2_400,
    "checkpoint_interval": 100,
    "eval_interval": 10_000,
    "log_interval": 0.5,
}


def run_of(config: TrainConfig) -> Path:
    return Path(config.runs_dir) / str(config.name)


def has_checkpoint(config: TrainConfig) -> bool:
    return any((run_of(config) / "checkpoints").glob("[0-9]*/manifest.json"))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> str:
    """SHA-256 of the agent of the run that nothing happens to."""
    return train(
        trial(tmp_path_factory.mktemp("runs"), backend="inline", **LONG), console=False
    ).sha256


@pytest.mark.parametrize("mode", ["overlap", "async"])
def test_a_killed_worker_is_replaced_and_the_run_completes(mode: str, tmp_path: Path) -> None:
    config = trial(tmp_path, name="run", mode=mode, **LONG)
    with start(config, "--json") as main:
        wait_until(lambda: has_checkpoint(config))
        victim = workers_of(main.pid)[0]
        victim.kill()
        said, _ = main.communicate(timeout=HANG)
    assert main.returncode == 0, said
    assert "failed and is replaced: ended by signal 9" in said
    [answer] = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert answer["episodes"] >= 2_400
    assert Path(answer["agent"]).is_file()


def test_a_killed_main_process_leaves_nothing_but_a_checkpoint(
    tmp_path: Path, uninterrupted: str
) -> None:
    config = trial(tmp_path, name="run", **LONG)
    with start(config) as main:
        wait_until(lambda: has_checkpoint(config))
        family = psutil.Process(main.pid).children(recursive=True)
        shared = shared_memory_of(main.pid)
        assert len(workers_of(main.pid)) == 2
        assert len(shared) == 3, "the weights, and a ring for each worker"
        main.kill()
        main.wait()
        wait_until(lambda: not any(map(is_running, family)))
    assert not shared & {inode for pid in psutil.pids() for inode in shared_memory_of(pid)}
    assert not [name for name in os.listdir("/dev/shm") if "sparring" in name]
    with RunDirectory.open(tmp_path, "run") as run:
        state = run.load_checkpoint()
    assert 0 < state["schedule"]["episodes"] < 2_400
    resumed = resume("run", runs_dir=str(tmp_path), console=False)
    assert resumed.sha256 == uninterrupted


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path: Path, uninterrupted: str) -> None:
    config = trial(tmp_path, name="run", **LONG)
    with start(config) as main:
        wait_until(lambda: has_checkpoint(config))
        family = psutil.Process(main.pid).children(recursive=True)
        os.killpg(main.pid, signal.SIGINT)  # as a terminal does it
        said, _ = main.communicate(timeout=HANG)
    assert main.returncode == 130, said
    assert "sparring resume" in said.splitlines()[-1]
    assert "Traceback" not in said
    assert "failed" not in said
    wait_until(lambda: not any(map(is_running, family)))
    resumed = resume("run", runs_dir=str(tmp_path), console=False)
    assert resumed.sha256 == uninterrupted


def test_ctrl_c_saves_an_async_run(tmp_path: Path) -> None:
    config = trial(tmp_path, name="run", mode="async", **LONG)
    with start(config) as main:
        wait_until(lambda: has_checkpoint(config))
        os.killpg(main.pid, signal.SIGINT)
        said, _ = main.communicate(timeout=HANG)
    assert main.returncode == 130, said
    assert "async, no two runs are alike" in said
    assert "sparring resume" in said.splitlines()[-1]
    assert "Traceback" not in said
    assert "failed" not in said
    with RunDirectory.open(tmp_path, "run") as run:
        played = run.load_checkpoint()["schedule"]["episodes"]
    assert 0 < played < 2_400
    resumed = resume("run", runs_dir=str(tmp_path), console=False)
    assert resumed.episodes >= 2_400
    assert not resumed.interrupted


def test_a_killed_main_process_of_an_async_run(tmp_path: Path) -> None:
    """All after the newest checkpoint is played again, and differently."""
    config = trial(tmp_path, name="run", mode="async", **LONG)
    with start(config) as main:
        wait_until(lambda: has_checkpoint(config))
        main.kill()
        main.wait()
    with RunDirectory.open(tmp_path, "run") as run:
        state = run.load_checkpoint()
    assert 0 < state["schedule"]["episodes"] < 2_400
    assert resume("run", runs_dir=str(tmp_path), console=False).episodes >= 2_400


def test_ctrl_c_while_everything_is_starting(tmp_path: Path, uninterrupted: str) -> None:
    config = trial(tmp_path, name="run", **LONG)
    with start(config) as main:
        wait_until(lambda: (run_of(config) / "metrics.jsonl").exists())
        time.sleep(0.5)  # the fork server is importing
        os.killpg(main.pid, signal.SIGINT)
        said, _ = main.communicate(timeout=HANG)
    assert main.returncode == 130, said
    assert "Traceback" not in said
    assert "failed" not in said
    if "nothing was saved" in said:  # it had not begun
        assert not run_of(config).exists()
    else:
        assert resume("run", runs_dir=str(tmp_path), console=False).sha256 == uninterrupted
