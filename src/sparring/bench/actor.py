"""One worker's plies, beside bare forward passes of the same network, precision and batch size on
ready data.

The ratio shows the cost of everything else that a worker does: the game, choosing actions, making
transitions. The floors are relative to torch's own passes, as when the network is called. Workers
may have a faster path than that, and then exceed it; a second case, `..._fastest`, has bare passes
on that path as its limit.
"""

from __future__ import annotations

from typing import Final

from sparring.bench.measure import Cases, Settings, case, repeated, turns
from sparring.bench.work import (
    BATCH,
    MLP,
    PRECISIONS,
    RESNET,
    forward_step,
    rollout_settings,
    round_command,
    transitions,
    weights_in_place,
)
from sparring.dqn.architectures import QNetwork
from sparring.dqn.networks import PolicySpec
from sparring.dqn.policy import InferencePolicy
from sparring.rollout.rollout import Rollout

_ROUND: Final = 3 * BATCH  # matches: more than 50 ticks, also where they are short
_FLOORS: Final = {
    ("mlp", "float32"): 0.85,
    ("mlp", "bfloat16"): 0.75,
    ("resnet", "float32"): 0.90,
    ("resnet", "bfloat16"): 0.90,
}


def measure(settings: Settings) -> Cases:
    """Connect Four, 256 envs, self-play; an MLP 2 x 256 and a residual network of 2 blocks of 32
    channels.
    """
    cases: Cases = {}
    for name, policy in (("mlp", MLP), ("resnet", RESNET)):
        for precision in PRECISIONS:
            settings.say(f"actor: {name} in {precision}")
            cases |= _actor(
                settings, f"{name}_{precision}", policy, precision, _FLOORS[name, precision]
            )
    return cases


def _actor(
    settings: Settings, name: str, policy: PolicySpec, precision: str, floor: float
) -> Cases:
    rollout = Rollout(
        rollout_settings(policy, precision=precision),
        weights_in_place(policy),
        worker=0,
        incarnation=0,
    )
    command = round_command(0, _ROUND)

    def play() -> int:
        return rollout.play_round(command, lambda rows: None).plies

    observation = transitions(policy, BATCH)["observation"][:BATCH].copy()
    steps = {"play": play, "plain": forward_step(policy, observation, precision, plain=True)}
    if _has_fast_path(policy):
        steps["fastest"] = forward_step(policy, observation, precision)
    rates = turns(
        {side: repeated(step, settings.seconds) for side, step in steps.items()}, settings.slices
    )
    cases = {name: case(rates["play"], "plies/s", limits=rates["plain"], floor=floor)}
    if "fastest" in rates:
        cases[f"{name}_fastest"] = case(rates["play"], "plies/s", limits=rates["fastest"])
    return cases


def _has_fast_path(policy: PolicySpec) -> bool:
    network = InferencePolicy(policy).network
    return isinstance(network, QNetwork) and type(network).infer_hidden is not QNetwork.infer_hidden
