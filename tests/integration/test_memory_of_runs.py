"""Memory of a run: the replay is held once, as printed at the start, in training, at checkpoints
and after a resume.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import wide_match
from child_processes import HANG

pytestmark = pytest.mark.slow

RUN = """
import re, sys
from pathlib import Path

from sparring.config.sources import build_config
from sparring.training import resume, train

what, buffer_size, runs_dir = sys.argv[1], int(sys.argv[2]), sys.argv[3]
config = build_config(overrides={
    "game": "wide_match:Wide", "name": "run", "runs_dir": runs_dir, "backend": "inline",
    "num_workers": 1, "num_envs_per_worker": 4, "episodes_per_batch": 8, "device": "cpu",
    "learner_threads": 1, "learning_starts": 50, "batch_size": 4, "learning_steps_per_batch": 2,
    "buffer_size": buffer_size, "n_episodes": 320, "checkpoint_interval": 20, "tensorboard": False,
    "eval_interval": 10**9, "eval_matches": 1, "policy_kwargs": {"net_arch": [4]},
    "opponents": {"self": 1.0}, "max_snapshots": 0, "prioritized_replay": True,
})
if what == "train":
    train(config)
else:
    resume("run", runs_dir=runs_dir, overrides={"n_episodes": 400})
status = Path("/proc/self/status").read_text()
print("peak", int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) / 1024)
"""


def peak_and_prediction(what: str, buffer_size: int, runs_dir: Path) -> tuple[float, float]:
    """MiB of a process that trains or resumes, at most; and MiB of replay as it prints them."""
    command = [sys.executable, "-c", RUN, what, str(buffer_size), str(runs_dir)]
    path = [str(Path(wide_match.__file__).parent), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=HANG, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [predicted] = re.findall(r"^memory: replay ([\d,]+) MiB", done.stdout, re.MULTILINE)
    [peak] = re.findall(r"^peak (.+)$", done.stdout, re.MULTILINE)
    return float(peak), float(predicted.replace(",", ""))


@pytest.mark.full
def test_a_replay_is_held_once_as_predicted(tmp_path: Path) -> None:
    """Two runs that differ only in the size of their replay; the larger one is full before its
    last checkpoints.
    """
    for what in ("train", "resume"):
        small, large = (
            peak_and_prediction(what, size, tmp_path / str(size)) for size in (60, 1500)
        )
        predicted = large[1] - small[1]
        assert predicted > 250
        assert 0.9 * predicted <= large[0] - small[0] <= 1.1 * predicted, what
