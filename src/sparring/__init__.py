"""Sparring: self-play DQN on every core you have.

    from sparring import train_dqn
    agent = train_dqn("connect_four", n_episodes=100_000)

Names are imported when they are first used: a command that only prints a list should not wait for
torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparring.dqn.agent import DQNAgent
    from sparring.dqn.networks import NetworkSpec, PolicySpec
    from sparring.dqn.policy import InferencePolicy
    from sparring.dqn.trajectory import Trajectory
    from sparring.errors import SparringError
    from sparring.rollout import rollout_worker
    from sparring.training import train_dqn

__version__ = "0.1.0"

__all__ = [
    "DQNAgent",
    "InferencePolicy",
    "NetworkSpec",
    "PolicySpec",
    "SparringError",
    "Trajectory",
    "rollout_worker",
    "train_dqn",
]

_HOMES = {
    "DQNAgent": "sparring.dqn.agent",
    "InferencePolicy": "sparring.dqn.policy",
    "NetworkSpec": "sparring.dqn.networks",
    "PolicySpec": "sparring.dqn.networks",
    "SparringError": "sparring.errors",
    "Trajectory": "sparring.dqn.trajectory",
    "rollout_worker": "sparring.rollout",
    "train_dqn": "sparring.training",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sparring' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
