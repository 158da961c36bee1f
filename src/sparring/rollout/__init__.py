"""A worker's body: plays matches and makes transitions of them; without processes."""

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
