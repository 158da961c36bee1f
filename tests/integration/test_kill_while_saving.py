"""A run that is killed while it saves: the newest acknowledged checkpoint loads, at any moment.

Kills at random moments of a tight loop (SPARRING_KILLS of them, 20 if not set), and one kill at
every single step that a save takes on the file system. The children import no torch, so that a kill
costs a fraction of a second.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from child_processes import HANG

from sparring.storage.run_directory import RunDirectory

KILLS = int(os.environ.get("SPARRING_KILLS", "20"))

TREE = """
import sys
import numpy as np
from sparring.storage.run_directory import RunDirectory

def tree(n, size):
    fields = [("observation", "i1", (2, 6, 7)), ("R", "f4"), ("sign", "i1")]
    rows = np.empty(size, np.dtype(fields, align=True))
    for name in rows.dtype.names:
        rows[name] = n % 100
    return {
        "networks": {"w": np.full(size, n, "f4")}, "replay": {"rows": rows},
        "counters": {"n": n}, "workers": [{"plies": np.full(3, n)}],
    }

def number(tree):
    n = tree["counters"]["n"]
    assert (tree["networks"]["w"] == n).all() and (tree["workers"][0]["plies"] == n).all()
    rows = tree["replay"]["rows"]
    assert all((rows[name] == n % 100).all() for name in rows.dtype.names)
    return n
"""

LOOP = """
run = RunDirectory.open(sys.argv[1], "run")
heavy = {"torch", "numba", "pydantic"} & set(sys.modules)
assert not heavy, f"the child is slow: it imported {heavy}"
n = int(sys.argv[2])
while True:
    n += 1
    run.save_checkpoint(n, tree(n, 4000))
    print(n, flush=True)
"""

EVERY_STEP = """
import os, shutil, signal
from pathlib import Path

root, new = Path(sys.argv[1]), int(sys.argv[2])

def save_until(step):
    left = [step]
    def hook(event, arguments):
        "Count what a save changes in the file system and each file that it opens, before it does."
        opens = event == "open" and str(root) in str(arguments[0])
        if opens or event.split(".")[0] in ("os", "shutil"):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    run = RunDirectory.open(root, "run")
    sys.addaudithook(hook)
    run.save_checkpoint(new, tree(new + 1000, 10))
    os._exit(0)

for step in range(1, 10_000):
    shutil.rmtree(root, ignore_errors=True)
    with RunDirectory.create(root, "run", "tic_tac_toe") as run:
        run.save_checkpoint(1, tree(1, 10))
        run.save_checkpoint(2, tree(2, 10))
    child = os.fork()
    if child == 0:
        save_until(step)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL), f"step {step}: exit status {status}"
    with RunDirectory.open(root, "run") as run:
        n = number(run.load_checkpoint())
        assert n == new + 1000 or (n == 2 and status != 0), f"step {step}: loaded {n}"
        run.save_checkpoint(5, tree(5, 10))
        left = sorted(path.name for path in run.checkpoints_path.iterdir())
        assert left == [str(new if n > 1000 else 2), "5"], f"step {step}: {left} are left"
        assert number(run.load_checkpoint()) == 5
    print(step, n)
    if status == 0:
        break
"""


def number(tree: dict[str, object]) -> int:
    namespace: dict[str, object] = {}
    exec(TREE, namespace)
    result = namespace["number"](tree)  # type: ignore[operator]
    assert isinstance(result, int)
    return result


def child_environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def kill_while_saving(root: Path, start: int, delay: float) -> int:
    """Start the child, kill it `delay` seconds after its first save, and return the newest number
    that it acknowledged.
    """
    command = [sys.executable, "-c", TREE + LOOP, str(root), str(start)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=child_environment()
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        first = child.stdout.readline()
        time.sleep(delay)
        child.kill()
        lines = (first + child.stdout.read()).splitlines(keepends=True)
        assert child.wait(timeout=HANG) == -9, child.stderr.read()
    return max(int(line) for line in lines if line.endswith("\n"))


@pytest.mark.slow
def test_kills_at_random_moments(tmp_path: Path) -> None:
    RunDirectory.create(tmp_path, "run", "tic_tac_toe").close()
    moments = random.Random(20260101)
    loaded = 0
    for kill in range(KILLS):
        acknowledged = kill_while_saving(tmp_path, loaded, moments.uniform(0.005, 0.150))
        with RunDirectory.open(tmp_path, "run") as run:
            loaded = number(run.load_checkpoint())
        assert acknowledged <= loaded <= acknowledged + 1, f"kill {kill}"


@pytest.mark.slow
@pytest.mark.parametrize("new", [3, 2], ids=["new number", "same number again"])
def test_a_kill_at_every_step(new: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", TREE + EVERY_STEP, str(tmp_path / "runs"), str(new)]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=HANG, env=child_environment(), check=False
    )
    assert result.returncode == 0, result.stderr
    outcomes = [int(line.split()[1]) for line in result.stdout.splitlines()]
    assert outcomes == sorted(outcomes), "once the new one is there it stays"
    assert outcomes.count(2) >= 15
    assert outcomes.count(new + 1000) >= 5
