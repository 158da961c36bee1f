"""One worker's plies with the network, beside bare forward passes of the same network, precision
and batch on ready data.

Everything that a worker does but for the passes is what the ratio leaves over: the game, choosing,
the making of transitions. The floors are on torch's own passes, as when the network is called.
Where workers have a faster way to make them, a worker can be faster than those; then there is a
second case, `..._fastest`, whose limit are bare passes made that way.
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
    if _has_a_faster_way(policy):
        steps["fastest"] = forward_step(policy, observation, precision)
    rates = turns(
        {side: repeated(step, settings.seconds) for side, step in steps.items()}, settings.slices
    )
    cases = {name: case(rates["play"], "plies/s", limits=rates["plain"], floor=floor)}
    if "fastest" in rates:
        cases[f"{name}_fastest"] = case(rates["play"], "plies/s", limits=rates["fastest"])
    return cases


def _has_a_faster_way(policy: PolicySpec) -> bool:
    network = InferencePolicy(policy).network
    return isinstance(network, QNetwork) and type(network).infer_hidden is not QNetwork.infer_hidden
