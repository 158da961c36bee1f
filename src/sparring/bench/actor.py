"""One worker's plies with the network, beside bare forward passes of the same network, precision and batch on ready data.

Everything that a worker does but for the passes is what the ratio leaves over: the game, choosing, the making of transitions.
"""

from __future__ import annotations

from typing import Final

from sparring.bench.measure import Case, Cases, Settings, compared
from sparring.bench.work import BATCH, MLP, PRECISIONS, RESNET, forward_step, rollout_settings, round_command, transitions, weights_in_place
from sparring.dqn.networks import PolicySpec
from sparring.rollout.rollout import Rollout

_ROUND: Final = 3 * BATCH  # matches: more than 50 ticks, also where they are short
# From the issue that asked for them: shares of the bare passes that have to be reached.
_FLOORS: Final = {("mlp", "float32"): 0.85, ("mlp", "bfloat16"): 0.75, ("resnet", "float32"): 0.90, ("resnet", "bfloat16"): 0.90}


def measure(settings: Settings) -> Cases:
    """Connect Four, 256 envs, self-play; an MLP 2 x 256 and a residual network of 2 blocks of 32 channels."""
    cases = {}
    for name, policy in (("mlp", MLP), ("resnet", RESNET)):
        for precision in PRECISIONS:
            settings.say(f"actor: {name} in {precision}")
            cases[f"{name}_{precision}"] = _actor(settings, policy, precision, _FLOORS[name, precision])
    return cases


def _actor(settings: Settings, policy: PolicySpec, precision: str, floor: float) -> Case:
    rollout = Rollout(rollout_settings(policy, precision=precision), weights_in_place(policy), worker=0, incarnation=0)
    command = round_command(0, _ROUND)

    def play() -> int:
        return rollout.play_round(command, lambda rows: None).plies

    observation = transitions(policy, BATCH)["observation"][:BATCH].copy()
    return compared(settings, play, forward_step(policy, observation, precision), "plies/s", floor=floor)
