"""Work that the parts measure: networks, transitions of self-play, bare forward passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from numpy.typing import NDArray

from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.dqn.policy import InferencePolicy
from sparring.opponents.players import AGENT, AGENT_NAME, Opponent, Plan
from sparring.replay import Replay
from sparring.replay.cuda import DeviceReplay
from sparring.replay.shared import SharedReplay
from sparring.replay.transitions import join_rows
from sparring.rollout.rollout import Rollout, RolloutSettings
from sparring.rollout.round import RoundCommand
from sparring.runtime.weights import WeightStore

AnyReplay = Replay | DeviceReplay | SharedReplay

BATCH: Final = 256  # envs a worker, transitions an update
MLP: Final = PolicySpec("connect_four", NetworkSpec("mlp", {"net_arch": [256, 256]}))
RESNET: Final = PolicySpec("connect_four", NetworkSpec("resnet", {"channels": 32, "blocks": 2}))
EPSILON: Final = 0.05
SELF_PLAY: Final = Plan((Opponent(AGENT, AGENT_NAME),), (1.0,))
PRECISIONS: Final = ("float32", "bfloat16")


def rollout_settings(
    policy: PolicySpec, *, precision: str = "float32", **changes: Any
) -> RolloutSettings:
    """A worker of `BATCH` envs that plays the agent against itself."""
    spec = policy.game_spec
    plain: dict[str, Any] = {
        "num_envs": BATCH,
        "seed": 0,
        "bootstrap": "zero_sum" if spec.allows_zero_sum_bootstrap else "own_turn",
        "n_steps": 1,
        "gamma": 0.99,
        "learn_from": "agent",
        "opponent_epsilon": EPSILON,
        "bfloat16": precision == "bfloat16",
    }
    return RolloutSettings(policy=policy, **{**plain, **changes})


def round_command(number: int, episodes: int, epsilon: float = EPSILON) -> RoundCommand:
    """A round of self-play with the weights of version 0."""
    return RoundCommand(number, 0, epsilon, SELF_PLAY, episodes)


def weights_in_place(policy: PolicySpec) -> WeightStore:
    """Initial weights, published as version 0 in memory of this process."""
    vector = InferencePolicy(policy).vector()
    store = WeightStore.private(len(vector), num_snapshots=0, num_versions=2)
    store.publish(0, vector)
    return store


def transitions(policy: PolicySpec, count: int) -> NDArray[Any]:
    """At least `count` transitions of self-play, half of the moves random, in a worker's order."""
    rollout = Rollout(rollout_settings(policy), weights_in_place(policy), worker=0, incarnation=0)
    blocks: list[NDArray[Any]] = []
    while sum(map(len, blocks)) < count:
        rollout.play_round(
            round_command(0, BATCH, epsilon=0.5), lambda rows: blocks.append(join_rows([rows]))
        )
    return join_rows(blocks)


def fill(replay: AnyReplay, rows: NDArray[Any]) -> None:
    """Fill a replay with copies of a few transitions: before it is full, it fits into caches, and a
    run makes fewer updates.
    """
    while len(replay) < replay.capacity:
        replay.extend(rows[: replay.capacity - len(replay)])


def forward_step(
    policy: PolicySpec, observation: NDArray[Any], precision: str, *, plain: bool = False
) -> Callable[[], int]:
    """A function that makes a bare forward pass of `observation` [n, ...], ready in the network's
    own precision, and returns n.

    It takes the workers' fastest path; `plain`: torch's, as when the network is called.
    """
    actor = InferencePolicy(policy, bfloat16=precision == "bfloat16")
    infer = actor.network if plain else actor.infer
    ready, count = (
        torch.from_numpy(observation).to(next(actor.network.parameters()).dtype),
        len(observation),
    )

    def step() -> int:
        with torch.inference_mode():
            infer(ready)
        return count

    return step
