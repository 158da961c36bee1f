"""Number of times that a run builds a user's class, whose constructor may take long."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from sparring.config.sources import build_config
from sparring.training import train

ENVS, EVALUATED = 3, 4  # matches side by side in training, and in an evaluation


@pytest.mark.parametrize("backend", ["inline", "processes"])
def test_a_run_builds_a_users_class_once_and_for_each_slot(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object for the spec, one for each match side by side in a worker, and one for each in the
    evaluations, however many there are; a worker has one more for the spec.
    """
    monkeypatch.setenv("COUNTED_TOE", str(tmp_path / "built"))
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "helpers"))
    config = build_config(
        overrides={
            "game": "counted_toe:CountedToe", "n_episodes": 40, "num_workers": 1,
            "num_envs_per_worker": ENVS, "eval_interval": 5, "eval_matches": EVALUATED,
            "learning_starts": 1, "batch_size": 8, "buffer_size": 500, "backend": backend,
            "start_method": "spawn",  # a fork server may have begun before the variable was set
            "opponents": {"self": 0.5, "random": 0.5}, "policy_kwargs": {"net_arch": [8]},
            "tensorboard": False, "runs_dir": str(tmp_path),
        }
    )  # fmt: skip
    assert train(config, console=False).episodes >= 40
    built = Counter(int(line) for line in (tmp_path / "built").read_text().split())
    main = built.pop(os.getpid())
    if backend == "inline":
        assert main == 1 + ENVS + EVALUATED
    else:
        assert main == 1 + EVALUATED
        assert list(built.values()) == [1 + ENVS], "one worker"
