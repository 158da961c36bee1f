"""A worker's body: playing matches and making transitions of them; knows nothing of processes."""

from sparring.rollout.collect import Collected, rollout_worker
from sparring.rollout.rollout import Rollout, RolloutSettings
from sparring.rollout.round import RoundCommand, RoundReport

__all__ = [
    "Collected",
    "Rollout",
    "RolloutSettings",
    "RoundCommand",
    "RoundReport",
    "rollout_worker",
]
