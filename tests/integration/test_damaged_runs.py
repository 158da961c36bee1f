"""Damaged, huge and strange files in a run directory: one line at once, or the other checkpoint."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sparring.cli import main

pytestmark = pytest.mark.slow

TRAIN = """train tic_tac_toe --runs-dir RUNS --name run --backend inline --num-workers 1
--learner-threads 1 --device cpu --n-episodes 200 --episodes-per-batch 16 --learning-starts 32
--learning-steps-per-batch 5 --buffer-size 2000 --batch-size 8 --checkpoint-interval 20
--eval-matches 2 --policy-kwargs.net-arch 32 --opponents self=1 snapshots=1 --snapshot-interval 20
--no-tensorboard"""


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def sparse(path: Path) -> None:
    os.truncate(path, 20 * 2**30)


def noise(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(3000))


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def linked_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGES = (truncated, empty, sparse, noise, directory, linked_to_itself)
RESUME = "resume RUN --n-episodes 250"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with two checkpoints."""
    runs = tmp_path_factory.mktemp("runs")
    assert main(TRAIN.replace("RUNS", str(runs)).split()) == 0
    assert len(list((runs / "run" / "checkpoints").iterdir())) == 2
    return runs / "run"


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def ends(command: str, run: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    """Exit status, and lines on standard error."""
    capsys.readouterr()
    status = main(command.replace("RUN", str(run)).split())
    return status, capsys.readouterr().err.splitlines()


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("config.toml", RESUME),
        ("metrics.jsonl", "plot RUN"),
        ("checkpoints/*/state.json", RESUME),
        ("checkpoints/*/manifest.json", RESUME),
        ("checkpoints/*/replay.safetensors", RESUME),
        ("checkpoints/*/opponents.safetensors", "plot RUN"),
    ],
)
def test_one_line(
    damage: Callable[[Path], None],
    name: str,
    command: str,
    run: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for path in run.glob(name):
        damage(path)
    status, lines = ends(command, run, capsys)
    assert status == 2, lines
    assert lines[-1].startswith("sparring: ")
    assert len(lines) == 1


@pytest.mark.parametrize("damage", [truncated, empty, sparse, noise])
def test_an_agent_that_is_damaged_is_one_line(
    damage: Callable[[Path], None], run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(run / "best.safetensors")
    status, lines = ends("evaluate RUN --opponent random --matches 2", run, capsys)
    assert (status, len(lines)) == (2, 1)
    assert "best.safetensors" in lines[0]


@pytest.mark.parametrize("damage", [*DAMAGES, pipe])
@pytest.mark.parametrize("name", ["manifest.json", "state.json", "replay.safetensors"])
def test_the_other_checkpoint_is_used(
    damage: Callable[[Path], None],
    name: str,
    run: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    newest = max((run / "checkpoints").iterdir(), key=lambda path: int(path.name))
    damage(newest / name)
    status, lines = ends(RESUME, run, capsys)
    assert status == 0, lines
    [warning] = [record.getMessage() for record in caplog.records]
    assert warning.startswith(f"warning: checkpoint {newest.name} of run run is skipped: ")


@pytest.mark.parametrize("damage", [truncated, empty, sparse, noise])
def test_metrics_that_were_cut_or_overwritten_do_not_stop_a_resume(
    damage: Callable[[Path], None], run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(run / "metrics.jsonl")
    status, lines = ends(RESUME, run, capsys)
    assert status == 0, lines


@pytest.mark.parametrize("damage", [directory, pipe])
def test_metrics_that_are_no_file_are_one_line(
    damage: Callable[[Path], None], run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(run / "metrics.jsonl")
    status, lines = ends(RESUME, run, capsys)
    assert (status, len(lines)) == (2, 1)
    assert lines[0].startswith(f"sparring: {run}/metrics.jsonl is not a file")


@pytest.mark.parametrize("damage", [truncated, empty, noise, sparse])
def test_whatever_the_lock_says_it_can_be_taken(
    damage: Callable[[Path], None], run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(run / "lock")
    assert ends(RESUME, run, capsys)[0] == 0


@pytest.mark.parametrize("damage", [directory, linked_to_itself, pipe])
def test_a_lock_that_is_no_file_is_one_line(
    damage: Callable[[Path], None], run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(run / "lock")
    status, lines = ends(RESUME, run, capsys)
    assert (status, len(lines)) == (2, 1)
    assert "cannot be locked" in lines[0]
