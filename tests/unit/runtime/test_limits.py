"""Limits of the system: what many workers need is asked for, or refused in one line before anything
is written. In processes of their own, because limits can only be lowered.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from child_processes import HANG
from trial_runs import COMMAND, trial
from trial_workers import process_workers

from sparring import training
from sparring.errors import SparringError
from sparring.runtime.limits import FILES_A_WORKER

TINY = ["--preset", "none", "--n-episodes", "40", "--no-tensorboard", "--device", "cpu"]


def train(
    folder: Path, workers: int, *, limits: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """`sparring train tic_tac_toe` in `folder`, after the shell's `ulimit` with `limits`."""
    command = [*COMMAND, "train", "tic_tac_toe", *TINY, "--num-workers", str(workers)]
    prefix = f"ulimit {limits}; " if limits else ""
    return subprocess.run(
        ["bash", "-c", prefix + 'exec "$@"', "_", *command],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )


def test_too_few_open_files_are_one_line_with_the_number_that_is_needed(tmp_path: Path) -> None:
    done = train(tmp_path, 46, limits="-n 128")
    assert done.returncode == 2, done.stderr
    [line] = done.stderr.splitlines()
    assert line.startswith(
        "sparring: the limit of open files is too low for 46 workers: got 128, expected at least "
    )
    assert re.search(r"; use num_workers=\d+ or fewer, or raise it: ulimit -n \d+$", line)
    assert list(tmp_path.iterdir()) == [], "no run directory"


@pytest.mark.full
def test_the_number_that_is_named_is_enough_and_the_number_of_workers_too(tmp_path: Path) -> None:
    line = train(tmp_path, 8, limits="-n 76").stderr
    needed, workers = re.search(r"at least (\d+); use num_workers=(\d+) ", line).groups()  # type: ignore[union-attr]
    for count, limit in ((8, needed), (workers, 76)):
        done = train(tmp_path, int(count), limits=f"-n {limit}")
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_a_worker_takes_as_many_open_files_as_are_counted(start_method: str) -> None:
    def open_files(num_workers: int) -> int:
        with process_workers(num_workers, start_method=start_method):
            return psutil.Process().num_fds()

    open_files(1)  # starts the fork server
    assert open_files(4) - open_files(1) == 3 * FILES_A_WORKER


@pytest.mark.slow
def test_a_soft_limit_is_raised(tmp_path: Path) -> None:
    done = train(tmp_path, 8, limits="-S -n 64")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_long_temporary_directory(tmp_path: Path) -> None:
    """A socket's path has at most 107 bytes; TMPDIR alone is longer here."""
    long = tmp_path / ("x" * 120)
    long.mkdir()
    done = train(tmp_path, 2, TMPDIR=str(long))
    assert done.returncode == 0, done.stderr
    assert "worker" not in done.stderr


def test_a_start_that_fails_leaves_no_run_directory(tmp_path: Path) -> None:
    """For example because this user may start no further process."""
    code = (
        "import sys, multiprocessing\n"
        "from sparring.cli import main\n"
        "def failing(process): raise BlockingIOError(11, 'no more processes')\n"
        "for method in ('forkserver', 'spawn'):\n"
        "    multiprocessing.get_context(method).Process.start = failing\n"
        f"sys.exit(main(['train', 'tic_tac_toe', '--num-workers', '2', *{TINY!r}]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=HANG
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1] == (
        "sparring: worker processes cannot be started: got no more processes; "
        'lower num_workers, or use backend="inline"'
    )
    assert not list((tmp_path / "runs").iterdir())


def test_too_little_shared_memory_leaves_no_run_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, offset: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(SparringError, match=r"^no shared memory: got No space left on device"):
        training.train(trial(tmp_path), console=False)
    assert list(tmp_path.iterdir()) == []
