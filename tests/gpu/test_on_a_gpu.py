"""Every path of the learner on a GPU, in whole runs of a second: `make test-gpu`.

Tests of the parts, which run on the CPU too, are in tests/unit/dqn/test_cuda_graphs.py and
tests/unit/replay.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from trial_runs import trial

from sparring.errors import SparringError
from sparring.training import resume, train

DEVICE = "cuda"
# Every test here runs CUDA code, of which the CPU has no stand-in: `make test-gpu` runs them.
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")

PATHS: dict[str, dict[str, Any]] = {
    "uniform": {"prioritized_replay": False},
    "prioritised": {},
    "c51": {"policy_kwargs": {"net_arch": [16], "atoms": 11}},
    "noisy": {"policy_kwargs": {"net_arch": [16], "noisy": True}},
    "averaged": {"weight_averaging": 0.9},
    "resnet": {"game": "connect_four", "policy_kwargs": {"network": "resnet", "blocks": 1}},
    "patches": {"game": "connect_four", "policy_kwargs": {"network": "patches"}},
    "own network": {
        "policy_kwargs": {"network": "user_network:Convolved", "arguments": {"channels": 4}}
    },
    "bfloat16": {"learner_precision": "bfloat16"},
    "async": {"mode": "async"},
    "soft target": {"tau": 0.1, "target_update_interval": 1},
}
SHORT = {"device": DEVICE, "backend": "inline", "n_episodes": 120, "eval_matches": 2}


@pytest.mark.parametrize("changes", PATHS.values(), ids=PATHS)
def test_a_run_learns_and_is_made_longer(changes: dict[str, Any], tmp_path: Path) -> None:
    done = train(trial(tmp_path, name="run", **{**SHORT, **changes}), console=False)
    assert done.updates > 0
    longer = resume("run", runs_dir=str(tmp_path), overrides={"n_episodes": 200}, console=False)
    assert longer.updates > done.updates


def test_the_deterministic_flag_gives_the_same_agent(tmp_path: Path) -> None:
    settings = {**SHORT, "deterministic": True}
    first, second = (
        train(trial(tmp_path, name=name, **settings), console=False).sha256 for name in "ab"
    )
    assert first == second


def test_a_run_goes_on_on_the_cpu(tmp_path: Path) -> None:
    done = train(trial(tmp_path, name="run", **SHORT), console=False)
    moved = {"device": "cpu", "n_episodes": 200}
    assert resume("run", runs_dir=str(tmp_path), overrides=moved).updates > done.updates


def test_out_of_memory_is_one_line_that_says_what_would_fit(tmp_path: Path) -> None:
    huge = {"batch_size": 2**27, "buffer_size": 2**27, "learning_starts": 0}
    wide = {"policy_kwargs": {"net_arch": [4096, 4096]}, "prioritized_replay": False}
    with pytest.raises(SparringError, match=r"batch_size|buffer_size") as caught:
        train(trial(tmp_path, name="run", **{**SHORT, **huge, **wide}), console=False)
    assert "\n" not in str(caught.value)
