"""`sparring population` on the command line, with tiny agents."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest
from child_processes import HANG, is_running, wait_until
from trial_runs import COMMAND, trial

from sparring.cli import main
from sparring.config.sources import build_config
from sparring.storage.run_directory import RunDirectory, newest_checkpoint
from sparring.training import train

SETTINGS = {"backend": "inline", "num_workers": 1, "checkpoint_minutes": 0.1}
FOREVER = {"n_episodes": 10_000_000, "eval_interval": 100, "log_interval": 0.05}


def command(folder: Path, *flags: str, **changes: Any) -> list[str]:
    """A population called "pair" in `folder`, with the settings of a trial."""
    from sparring.config.sources import to_toml

    config = trial(folder, **{**SETTINGS, **changes})
    text = "".join(
        f"{line}\n"
        for line in to_toml(config).splitlines()
        if line.split(" ")[0] not in ("device", "pool_dir", "name")
    )
    folder.mkdir(exist_ok=True)
    (folder / "settings.toml").write_text(text)
    file = str(folder / "settings.toml")
    return ["population", "tic_tac_toe", "--config", file, "--name", "pair", *flags]


class Running:
    """The command as a process of its own, as a shell starts it."""

    def __init__(self, arguments: list[str]) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )

    def end(self) -> str:
        """Wait for the end; return all that it said."""
        said, _ = self.process.communicate(timeout=HANG)
        return said

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def pid_of(run: Path) -> int:
    """The process that trains in a run, 0 while there is none."""
    try:
        return int((run / "lock").read_text() or 0)
    except OSError:
        return 0


def has_reports(run: Path, tag: str = "plies") -> bool:
    metrics = run / "metrics.jsonl"
    return metrics.exists() and f'"{tag}": ' in metrics.read_text()


def episodes_saved(run: Path) -> int:
    with RunDirectory.open(run.parent, run.name) as opened:
        return int(opened.load_checkpoint()["schedule"]["episodes"])


def figures(said: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "pair" / "member-0", tmp_path / "pair" / "member-1"


@pytest.mark.full
def test_agents_with_pools_of_their_own_are_those_of_single_runs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main([*command(tmp_path), "--agents", "2", "--json"]) == 0
    found = figures(capfd.readouterr().out)
    alone = [
        train(trial(tmp_path, **SETTINGS, name=f"alone-{seed}", seed=seed), console=False).sha256
        for seed in (3, 4)
    ]
    assert [member["sha256"] for member in found["members"]] == alone
    names = {row["name"] for row in found["ratings"]["players"]}
    assert names == {"member-0", "member-1", "random", "one_ply"}


@pytest.mark.full
def test_a_killed_agent_comes_back_and_the_population_resumes_after_ctrl_c(
    tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    """With a shared pool: each goes on from what it had saved."""
    with Running([*command(tmp_path, **FOREVER), "--shared-pool"]) as running:
        wait_until(lambda: all(newest_checkpoint(run) is not None for run in pair))
        killed = pid_of(pair[1])
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: pid_of(pair[1]) not in (0, killed))
        again = pid_of(pair[1])
        wait_until(lambda: all(has_reports(run, "rollout/win_rate/shared") for run in pair))
        running.process.send_signal(signal.SIGINT)
        said = running.end()
    assert running.process.returncode == 130, said
    assert "member-1: failed, and is started again" in said
    assert "killed by SIGKILL" in said
    assert "interrupted; saved. Continue with: " in said
    assert not psutil.pid_exists(again)
    played = [episodes_saved(run) for run in pair]
    assert min(played) > 0
    lengths = [len((run / "metrics.jsonl").read_bytes()) for run in pair]
    with Running(["population", "--resume", str(tmp_path / "pair"), "--json"]) as running:
        for run, length in zip(pair, lengths, strict=True):
            wait_until(lambda: len((run / "metrics.jsonl").read_bytes()) > length)  # noqa: B023
        running.process.send_signal(signal.SIGTERM)
        said = running.end()
    assert running.process.returncode == 143, said
    found = figures("\n".join(line for line in said.splitlines() if line.startswith("{")))
    assert [member["state"] for member in found["members"]] == ["saved"] * 2
    assert all(episodes_saved(run) > before for run, before in zip(pair, played, strict=True))


@pytest.mark.full
def test_the_agents_of_a_killed_population_save_and_end(
    tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    """Their supervisor cannot tell them: the system does."""
    with Running(command(tmp_path, **FOREVER, checkpoint_minutes=1_000.0)) as running:
        wait_until(lambda: all(map(has_reports, pair)))
        members = [psutil.Process(pid_of(run)) for run in pair]
        running.process.kill()
        wait_until(lambda: not any(map(is_running, members)))
    assert min(map(episodes_saved, pair)) > 0


@pytest.mark.full
@pytest.mark.slow
def test_a_weak_agent_takes_over_the_learner_of_a_better_one(tmp_path: Path) -> None:
    flags = ["--pbt", "learning_rate", "--pbt-interval", "1"]
    state = tmp_path / "pair" / "population.json"

    def exchanges() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (
            json.loads(state.read_text())["exchanges"] if state.exists() else []
        )
        return found

    with Running([*command(tmp_path, **FOREVER), *flags]) as running:
        wait_until(lambda: bool(exchanges()))
        weak = tmp_path / "pair" / exchanges()[0]["member"]
        rate = exchanges()[0]["settings"]["learning_rate"]
        wait_until(lambda: "learner_from" in (weak / "config.toml").read_text())
        running.process.send_signal(signal.SIGINT)
        said = running.end()
    assert running.process.returncode == 130, said
    assert f"{weak.name}: takes over the learner of member-" in said
    assert build_config(config_file=weak / "config.toml").learning_rate == rate


BAD = [
    ("--agents 0", "agents: got 0, expected 1 to 1,000"),
    ("--devices cpu,cpu,cpu", "devices of 2 agents: got 3 devices, expected auto, one device for"),
    ("--devices tpu", "device: got 'tpu'"),
    ("--pbt learning_rat", "unknown setting of pbt: got 'learning_rat', expected one of learning_"),
    ("--device cpu", "unknown option: got --device, expected one that `sparring population --help"),
    ("--shared-pool --max-snapshots 0", "max_snapshots with a shared pool: got 0, expected at lea"),
    ("--batch-size 0", "batch_size: got 0, expected at least 1"),
    ("--opponents nobody=1", "unknown opponent: got nobody"),
    pytest.param(  # as the first member says that finds it
        "--init-from nothing.pt", "member-", marks=pytest.mark.full
    ),
    ("--resume nowhere", "--config with --resume"),
]


@pytest.mark.parametrize(("flags", "line"), BAD)
def test_bad_input_is_one_line_and_leaves_nothing(
    flags: str, line: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = command(tmp_path, *flags.split())
    assert main(arguments) == 2
    said = capfd.readouterr().err.strip().splitlines()
    assert len(said) == 1, said
    assert said[0].startswith(f"sparring: {line}")
    assert [path.name for path in tmp_path.iterdir()] == ["settings.toml"]


def test_a_name_that_is_taken_is_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = command(tmp_path)
    (tmp_path / "pair").mkdir()
    assert main(arguments) == 2
    assert f"there is already a directory {tmp_path / 'pair'}; choose" in capfd.readouterr().err
    assert not any((tmp_path / "pair").iterdir())


def test_a_population_that_is_not_there_is_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["population", "--resume", "pai", "--runs-dir", str(tmp_path)]) == 2
    assert "there is no population 'pai'" in capfd.readouterr().err
    assert main(["population", "--resume", "pai", "--agents", "3"]) == 2
    assert "--agents with --resume" in capfd.readouterr().err
