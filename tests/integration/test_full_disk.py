"""A run whose disk is full for a while: it goes on, says so in one line, and saves again later.

The disk is a small one in memory, which needs a mount namespace of the test's own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from child_processes import HANG

pytestmark = pytest.mark.slow

IN_NAMESPACE = ("unshare", "--map-root-user", "--mount")
RUN = """
import os, subprocess, sys
from pathlib import Path

disk = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], check=True)

from sparring.cli import main
from sparring.training.loop import Session

checkpoint, ballast, left, calls = Session._checkpoint, disk / "ballast", 0, 0

def watched(session):
    global calls, left
    calls += 1
    if calls == 2:
        space = os.statvfs(disk)
        left = int(sys.argv[2])
        ballast.write_bytes(bytes(space.f_bavail * space.f_frsize - left))
    if calls == 4 and left:
        ballast.unlink()
    try:
        return checkpoint(session)
    finally:
        there = (disk / "runs" / "run" / "checkpoints").glob("[0-9]*")
        print("kept", *sorted(int(path.name) for path in there), flush=True)

Session._checkpoint = watched
sys.exit(main([
    "train", "tic_tac_toe", "--runs-dir", str(disk / "runs"), "--name", "run", "--backend",
    "inline", "--num-workers", "1", "--learner-threads", "1", "--n-episodes", "400",
    "--episodes-per-batch", "16", "--learning-steps-per-batch", "5", "--learning-starts", "32",
    "--buffer-size", "20000", "--batch-size", "8", "--checkpoint-interval", "20",
    "--checkpoint-minutes", "1000",
    "--eval-interval", "40", "--eval-matches", "2", "--log-interval", "0.001",
    "--policy-kwargs.net-arch", "32",
]))
"""


def run_on_a_full_disk(left: int, tmp_path: Path) -> tuple[int, list[str], list[str]]:
    """Exit status, the checkpoints that there were after each attempt, and the other lines.

    From the second checkpoint on `left` bytes are free; if that is not 0, all from the fourth on.
    """
    probe = subprocess.run([*IN_NAMESPACE, "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("this system allows no mount namespaces")
    done = subprocess.run(
        [*IN_NAMESPACE, sys.executable, "-c", RUN, str(tmp_path), str(left)],
        capture_output=True, text=True, timeout=HANG, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    lines = (done.stdout + done.stderr).splitlines()
    kept = [line for line in lines if line.startswith("kept ")]
    return done.returncode, kept, [line for line in lines if line not in kept]


def test_a_run_goes_on_and_saves_when_there_is_room_again(tmp_path: Path) -> None:
    status, kept, lines = run_on_a_full_disk(80_000, tmp_path)
    assert status == 0, lines
    assert kept[:5] == ["kept 20", "kept 20", "kept 20", "kept 20 80", "kept 80 100"]
    warnings = [line for line in lines if line.startswith("warning: cannot ")]
    assert len(warnings) == 2
    for warning, updates in zip(warnings, (40, 60), strict=True):
        assert re.fullmatch(
            rf"warning: cannot save {tmp_path}/runs/run/checkpoints/{updates}: "
            r"No space left on device; [\d,]+ bytes are needed, [\d,]+ are free; "
            r"the checkpoint of 20 updates is kept; "
            r"training continues, and the next checkpoint is tried again",
            warning,
        )


def test_a_run_that_cannot_write_at_all_trains_to_its_end_and_says_so(tmp_path: Path) -> None:
    status, kept, lines = run_on_a_full_disk(0, tmp_path)
    assert status == 1
    assert len(kept) > 5
    assert set(kept) == {"kept 20"}
    missing = [line for line in lines if "reports are missing there" in line]
    assert ["metrics.jsonl" in line for line in missing].count(True) == 1
    assert ["tfevents" in line for line in missing].count(True) == 1
    assert lines[-1].startswith("sparring: cannot save ")
