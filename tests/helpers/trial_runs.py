"""Tiny training runs that tests share: they take a second and exercise every part of a run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from sparring.config.schema import ResolvedConfig, TrainConfig
from sparring.config.sources import build_config, to_toml

COMMAND = [
    sys.executable,
    "-c",
    "import sys; from sparring.cli import main; sys.exit(main())",
]  # `sparring`, wherever it is installed

# Replay overflows, snapshots come and go and are met, the target network moves many times, matches
# last over several rounds.
_EVERYTHING = {
    "game": "tic_tac_toe",
    "n_episodes": 240,
    "seed": 3,
    "device": "cpu",
    "learner_threads": 1,
    "num_workers": 2,
    "num_envs_per_worker": 12,
    "episodes_per_batch": 8,
    "learning_steps_per_batch": 6,
    "batch_size": 16,
    "buffer_size": 700,
    "learning_starts": 100,
    "n_steps": 2,
    "prioritized_replay": True,
    "target_update_interval": 10,
    "policy_kwargs": {"net_arch": [16], "dueling": True},
    "opponents": {"self": 0.3, "snapshots": 0.4, "random": 0.2, "one_ply": 0.1},
    "snapshot_interval": 40,
    "max_snapshots": 2,
    "eval_interval": 50,
    "eval_matches": 10,
    "checkpoint_interval": 1_000_000,
    "log_interval": 0.01,
    "tensorboard": False,
}


def trial(runs_dir: Path, **changes: Any) -> TrainConfig:
    """The configuration of such a run."""
    return build_config(overrides={**_EVERYTHING, "runs_dir": str(runs_dir), **changes})


def resolved_trial(**changes: Any) -> ResolvedConfig:
    """A configuration in which everything is decided, for parts that are tested alone."""
    decided = {
        "game": "tic_tac_toe",
        "num_players": 2,
        "num_workers": 1,
        "inference": "workers",
        "num_envs_per_worker": 1,
        "learner_threads": 1,
        "start_method": "forkserver",
        "actor_precision": "float32",
        "learner_precision": "float32",
        "learning_steps_per_batch": 1,
        "bootstrap": "zero_sum",
        "afterstates": "off",
        "opponents": {"self": 1.0},
    }
    return ResolvedConfig(**{**decided, **changes})


def start(config: TrainConfig, *flags: str, **options: Any) -> subprocess.Popen[str]:
    """`sparring train` with this configuration, as a process group of its own; all that it says
    comes on its standard output.
    """
    path = Path(config.runs_dir) / f"{config.name}.toml"
    path.write_text(to_toml(config), encoding="utf-8")
    command = [*COMMAND, "train", config.game, "--preset", "none", "--config", str(path), *flags]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        start_new_session=True,
        **options,
    )
