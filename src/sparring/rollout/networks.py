"""The networks that a Rollout plays with, the agent's and those of snapshots: its own, or a
server's that answers requests (`runtime/requests.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from sparring.dqn.networks import PolicySpec
from sparring.dqn.policy import InferencePolicy
from sparring.opponents.players import AGENT
from sparring.rollout.round import WeightSource

Asked = tuple[int, NDArray[Any]]
"""The id of a player, and the observations [k, *observation_shape] that its network is to value."""


class Networks(Protocol):
    """Networks by the ids of their players. Each group of a worker's envs asks for itself."""

    def load_agent(self, version: int) -> None:
        """Give the agent the weights of a version."""

    def add_snapshot(self, player: int, slot: int) -> None:
        """Make the player of the snapshot whose weights are in `slot`."""

    def drop_snapshot(self, player: int) -> None:
        """Forget a snapshot, which is not asked any more."""

    def draw_noise(self, rng: np.random.Generator) -> None:
        """Draw new noise for the noisy layers of the agent, if any."""

    def ask(self, group: int, asked: Sequence[Asked]) -> None:
        """Have these observations valued; `answers` is to follow."""

    def answers(self, group: int) -> list[NDArray[np.float32]]:
        """The network's outputs [k, outputs] for each of the observations that were asked for."""


class OwnNetworks:
    """Networks in the worker itself."""

    def __init__(
        self, policy: PolicySpec, weights: WeightSource, *, bfloat16: bool = False
    ) -> None:
        self._spec, self._weights, self._bfloat16 = policy, weights, bfloat16
        self._policies: Final = {AGENT: self._made()}
        # of dropped snapshots: to make a network takes longer than to load its weights
        self._spare: list[InferencePolicy] = []
        self._answers: dict[int, list[NDArray[np.float32]]] = {}

    @property
    def agent(self) -> InferencePolicy:
        """The agent's network, always with the weights that were loaded last."""
        return self._policies[AGENT]

    def _made(self) -> InferencePolicy:
        return InferencePolicy(self._spec, bfloat16=self._bfloat16)

    def load_agent(self, version: int) -> None:
        self._policies[AGENT].load_vector(self._weights.published(version))

    def add_snapshot(self, player: int, slot: int) -> None:
        policy = self._spare.pop() if self._spare else self._made()
        policy.load_vector(self._weights.snapshot(slot))
        self._policies[player] = policy

    def drop_snapshot(self, player: int) -> None:
        self._spare.append(self._policies.pop(player))

    def draw_noise(self, rng: np.random.Generator) -> None:
        self._policies[AGENT].draw_noise(rng)

    def ask(self, group: int, asked: Sequence[Asked]) -> None:
        self._answers[group] = [
            self._policies[player].q_values(observation) for player, observation in asked
        ]

    def answers(self, group: int) -> list[NDArray[np.float32]]:
        return self._answers[group]
