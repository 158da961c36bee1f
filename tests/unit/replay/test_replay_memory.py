"""Memory of a prioritised replay that is filled, saved and restored, against its prediction."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from child_processes import HANG

FILL_AND_RESTORE = """
import sys
from pathlib import Path
import numpy as np
from sparring.games import GameSpec
from sparring.replay import PrioritizedSampler, Replay, ReplayBuffer, transition_dtype
from sparring.storage import checkpoint

DTYPE = transition_dtype(GameSpec(
    num_players=2, num_actions=5, observation_shape=(37,), observation_dtype="int8", max_plies=9
))
CAPACITY = 700_000

def peak():  # bytes
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

def make(capacity):
    return Replay(ReplayBuffer(DTYPE, capacity), PrioritizedSampler(capacity, 0.6, 1e-6))

def work(replay, path):
    if path.exists():
        tree = checkpoint.load(path, into=replay.memory("/replay"))
        replay.set_state(tree.pop("replay"))
    for _ in range(2 * replay.capacity // 100):
        replay.extend(np.ones(100, DTYPE))
    batch = replay.sample(64, rng=np.random.default_rng(0), beta=0.5)
    replay.update(batch.indices, np.ones(64, np.float32))
    checkpoint.save(path, {"replay": replay.get_state()})

work(make(200), Path(sys.argv[1]) / "warm")
work(make(200), Path(sys.argv[1]) / "warm")
before = peak()
work(make(CAPACITY), Path(sys.argv[1]) / "large")
print((peak() - before) / (CAPACITY * DTYPE.itemsize + PrioritizedSampler.bytes_needed(CAPACITY)))
"""


@pytest.mark.parametrize("when", ["fresh", "restored"])
def test_rows_and_priorities_are_held_once(when: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", FILL_AND_RESTORE, str(tmp_path)]
    for _ in range(1 if when == "fresh" else 2):
        done = subprocess.run(command, capture_output=True, text=True, timeout=HANG, check=True)
    assert 0.9 <= float(done.stdout) <= 1.1
