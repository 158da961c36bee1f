"""Sparring: self-play DQN on every core you have.

    from sparring import train_dqn
    agent = train_dqn("connect_four", n_episodes=100_000)

Names are imported on first use, so that commands that do not need torch do not wait for it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from sparring import numba_setup

if TYPE_CHECKING:
    from sparring.config.schema import TrainConfig
    from sparring.dqn.agent import DQNAgent
    from sparring.dqn.networks import NetworkSpec, PolicySpec
    from sparring.dqn.policy import InferencePolicy
    from sparring.dqn.trajectory import Trajectory
    from sparring.errors import SparringError
    from sparring.opponents.pool import OpponentManager
    from sparring.population import train_population
    from sparring.rollout import rollout_worker
    from sparring.training import train_dqn
    from sparring.training.trackers import MlflowCallback, WandbCallback

__version__ = "0.1.0"

__all__ = [
    "DQNAgent",
    "InferencePolicy",
    "MlflowCallback",
    "NetworkSpec",
    "OpponentManager",
    "PolicySpec",
    "SparringError",
    "TrainConfig",
    "Trajectory",
    "WandbCallback",
    "rollout_worker",
    "train_dqn",
    "train_population",
]

_HOMES = {
    "DQNAgent": "sparring.dqn.agent",
    "InferencePolicy": "sparring.dqn.policy",
    "MlflowCallback": "sparring.training.trackers",
    "NetworkSpec": "sparring.dqn.networks",
    "OpponentManager": "sparring.opponents.pool",
    "PolicySpec": "sparring.dqn.networks",
    "SparringError": "sparring.errors",
    "TrainConfig": "sparring.config.schema",
    "Trajectory": "sparring.dqn.trajectory",
    "WandbCallback": "sparring.training.trackers",
    "rollout_worker": "sparring.rollout",
    "train_dqn": "sparring.training",
    "train_population": "sparring.population",
}

numba_setup.prepare()


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sparring' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
