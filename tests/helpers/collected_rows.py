"""Transitions of random play, as workers make them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.dqn.policy import InferencePolicy
from sparring.opponents.players import AGENT, AGENT_NAME, Opponent, Plan
from sparring.replay.transitions import join_rows
from sparring.rollout.rollout import Rollout, RolloutSettings
from sparring.rollout.round import RoundCommand

GAMMA = 0.9
ITSELF = Plan((Opponent(AGENT, AGENT_NAME),), (1.0,))
RANDOM = Plan((Opponent(AGENT, AGENT_NAME), Opponent(1, "random")), (0.0, 1.0))


class Weights:
    def __init__(self, vector: NDArray[np.float32]) -> None:
        self.vector = vector

    def published(self, version: int) -> NDArray[np.float32]:
        return self.vector

    def snapshot(self, slot: int) -> NDArray[np.float32]:
        return self.vector


def policy_spec(game: str, *, afterstates: bool) -> PolicySpec:
    return PolicySpec(game, NetworkSpec("mlp", {"net_arch": [4]}), afterstates=afterstates)


def collected(
    game: str,
    bootstrap: Any,
    *,
    n_steps: int = 1,
    gamma: float = GAMMA,
    learn_from: Any = "all",
    plan: Plan = ITSELF,
    matches: int = 4_000,
    afterstates: bool = False,
    epsilon: float = 1.0,
    **changes: Any,
) -> NDArray[Any]:
    """Rows of random play, or of play with `epsilon` by the network of `policy_spec`; `changes` of
    the settings.
    """
    spec = policy_spec(game, afterstates=afterstates)
    settings = RolloutSettings(
        policy=spec,
        num_envs=64,
        seed=11,
        bootstrap=bootstrap,
        n_steps=n_steps,
        gamma=gamma,
        learn_from=learn_from,
        opponent_epsilon=1.0,
    )
    settings = replace(settings, **changes)
    weights = Weights(InferencePolicy(spec).vector())
    rollout = Rollout(settings, weights, worker=0, incarnation=0)
    blocks: list[NDArray[Any]] = []
    rollout.play_round(
        RoundCommand(0, 0, epsilon, plan, matches), lambda block: blocks.append(join_rows([block]))
    )
    return join_rows(blocks)
