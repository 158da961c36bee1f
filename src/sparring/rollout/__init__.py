"""A worker's body: plays matches and makes transitions of them; without processes."""

from sparring.rollout.collect import Collected, rollout_worker
from sparring.rollout.rollout import Rollout, RolloutSettings
from sparring.rollout.round import Between, RoundCommand, RoundReport, to_the_end

__all__ = [
    "Between",
    "Collected",
    "Rollout",
    "RolloutSettings",
    "RoundCommand",
    "RoundReport",
    "rollout_worker",
    "to_the_end",
]
