"""The network as workers and evaluation see it: weights go in, actions come out; no optimizer, no buffer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sparring.dqn.exploration import epsilon_greedy
from sparring.dqn.networks import FlatWeights, PolicySpec, Weights, build_network, get_weights, set_weights


class InferencePolicy:
    """Plays with a network; runs on the CPU in the thread that calls it.

    `weights` as from `DQNAgent.get_weights()`; without them the network keeps its initial ones.
    """

    def __init__(self, spec: PolicySpec, weights: Mapping[str, NDArray[Any]] | None = None) -> None:
        self.spec = spec
        self._network = build_network(spec).eval().requires_grad_(False)
        self._flat = FlatWeights(self._network)
        if weights is not None:
            self.set_weights(weights)

    def get_weights(self) -> Weights:
        """Copies of all parameters by name."""
        return get_weights(self._network)

    def set_weights(self, weights: Mapping[str, NDArray[Any]]) -> None:
        """Overwrite all parameters; raises `ConfigurationError` when a name or shape is not the network's own."""
        set_weights(self._network, weights)

    def vector(self) -> NDArray[np.float32]:
        """All parameters as one flat vector."""
        return self._flat.vector(self._network)

    def load_vector(self, vector: NDArray[np.float32]) -> None:
        """Overwrite all parameters from the flat form in which weights travel."""
        self._flat.unpack(vector, self._network)

    def q_values(self, observation: NDArray[Any]) -> NDArray[np.float32]:
        """[n, *observation_shape] -> [n, A] float32."""
        with torch.inference_mode():
            q: NDArray[np.float32] = self._network(torch.from_numpy(observation)).to(torch.float32).numpy()
        return q

    def act(self, observation: NDArray[Any], mask: NDArray[np.bool_], uniforms: NDArray[np.float64], epsilon: float) -> NDArray[np.int64]:
        """Epsilon-greedy actions [n] for n positions; `mask` [n, A], `uniforms` [n, 2]."""
        actions = np.empty(len(observation), np.int64)
        epsilon_greedy(self.q_values(observation), mask, uniforms, epsilon, actions)
        return actions
