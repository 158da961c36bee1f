"""InferencePolicy: the network of workers and evaluation, without optimizer and buffer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparring.dqn.architectures import QNetwork
from sparring.dqn.exploration import decide_without_q, epsilon_greedy
from sparring.dqn.heads import fill_noise, noise_size
from sparring.dqn.inputs import as_weights
from sparring.dqn.networks import (
    FlatWeights,
    PolicySpec,
    Weights,
    build_network,
    get_weights,
    set_weights,
)
from sparring.errors import ConfigurationError, shown
from sparring.games import BatchedGame
from sparring.games.afterstates import Afterstates, afterstates_of, fill_action_values

_GATHER_UP_TO: Final = 0.75  # of all positions; above, copying them costs more than it saves


class InferencePolicy:
    """A network for play, on the CPU, in the thread of the caller.

    `weights` are those of `DQNAgent.get_weights()`; without them the network keeps its initial
    ones. With `bfloat16` matrix products of built-in networks are in that precision; users'
    networks always work in float32.
    """

    def __init__(
        self,
        spec: PolicySpec,
        weights: Mapping[str, NDArray[Any]] | None = None,
        *,
        bfloat16: bool = False,
    ) -> None:
        if not isinstance(spec, PolicySpec):
            raise ConfigurationError(
                "spec", got=shown(spec), expected='a PolicySpec, such as PolicySpec("connect_four")'
            )
        self.spec = spec
        self.network = build_network(spec).eval().requires_grad_(False)
        built_in = self.network if isinstance(self.network, QNetwork) else None
        if built_in is not None and bfloat16:
            built_in.body_to_bfloat16()
        self.infer: Callable[[Tensor], Tensor] = (
            self.network if built_in is None else built_in.infer
        )
        self._flat = FlatWeights(self.network)
        self.noise_size = noise_size(self.network)
        self._num_outputs = spec.network_game.num_actions
        if weights is not None:
            self.set_weights(weights)

    def __repr__(self) -> str:
        game, network = self.spec.game, self.spec.network.factory
        return (
            f"{type(self).__name__}(game={game!r}, network={network!r}, "
            f"parameters={self.num_parameters:_})"
        )

    @property
    def num_parameters(self) -> int:
        """Number of weights of the network."""
        return self._flat.size

    def get_weights(self) -> Weights:
        """Copies of all parameters by name, in float32 whatever the precision."""
        return get_weights(self.network)

    def set_weights(self, weights: Mapping[str, NDArray[Any]]) -> None:
        """Overwrite all parameters. Raises `ConfigurationError` for other names or shapes, and for
        weights that are not finite.
        """
        set_weights(self.network, as_weights(weights))

    def vector(self) -> NDArray[np.float32]:
        """All parameters as one flat vector."""
        return self._flat.vector(self.network)

    def load_vector(self, vector: NDArray[np.float32]) -> None:
        """Overwrite all parameters from one flat vector."""
        self._flat.unpack(vector, self.network)

    def draw_noise(self, rng: np.random.Generator) -> None:
        """Draw new noise for the noisy layers, if any; before the first call there is no noise."""
        if self.noise_size:
            fill_noise(
                self.network, torch.from_numpy(rng.standard_normal(self.noise_size, np.float32))
            )

    def q_values(self, observation: NDArray[Any]) -> NDArray[np.float32]:
        """[n, *observation_shape] -> [n, A] float32; of positions after moves [n, 1]."""
        if not len(observation):
            return np.empty((0, self._num_outputs), np.float32)
        if not observation.flags.writeable:
            observation = observation.copy()  # torch warns of read-only memory
        with torch.inference_mode():
            q: NDArray[np.float32] = (
                self.infer(torch.from_numpy(observation)).to(torch.float32).numpy()
            )
        return q

    def action_values(self, game: BatchedGame, slots: NDArray[np.int64]) -> NDArray[np.float32]:
        """[m, A] values of the moves in `slots` [m] for the seats to move; -inf for illegal moves
        if positions after moves are valued, else meaningless.
        """
        if self.spec.afterstates:
            return self.values_after(afterstates_of(game, slots), game.seat[slots])
        return self.q_values(game.observation[slots])

    def values_after(self, after: Afterstates, movers: NDArray[np.int64]) -> NDArray[np.float32]:
        """[m, A] values of the moves that lead to `after`, for the `movers` [m]; -inf for illegal
        moves.
        """
        values = np.empty(after.row.shape, np.float32)
        fill_action_values(
            self.q_values(after.observation).reshape(-1),
            after.row,
            after.seat,
            after.rewards,
            movers,
            values,
        )
        return values

    def choose(
        self,
        game: BatchedGame,
        slots: NDArray[np.int64],
        uniforms: NDArray[np.float64],
        epsilon: float,
    ) -> NDArray[np.int64]:
        """Epsilon-greedy actions [m] for the seats to move in `slots` [m]; `uniforms` [m, 2]."""
        if not self.spec.afterstates:
            if len(slots) == game.num_slots and (slots[1:] > slots[:-1]).all():
                # every slot, in order: the views serve as they are
                return self.act(game.observation, game.mask, uniforms, epsilon)
            return self.act(game.observation[slots], game.mask[slots], uniforms, epsilon)
        mask = game.mask[slots]
        actions, undecided = np.empty(len(slots), np.int64), np.empty(len(slots), np.int64)
        rows = undecided[: decide_without_q(mask, uniforms, epsilon, actions, undecided)]
        if len(rows):
            actions[rows] = self.action_values(game, slots[rows]).argmax(axis=1)
        return actions

    def act(
        self,
        observation: NDArray[Any],
        mask: NDArray[np.bool_],
        uniforms: NDArray[np.float64],
        epsilon: float,
    ) -> NDArray[np.int64]:
        """Epsilon-greedy actions [n] for n observations; `mask` [n, A], `uniforms` [n, 2].

        The network gets only the positions in which it decides, unless these are nearly all.
        """
        n = len(observation)
        actions, undecided = np.empty(n, np.int64), np.empty(n, np.int64)
        rows = undecided[: decide_without_q(mask, uniforms, epsilon, actions, undecided)]
        if len(rows) > _GATHER_UP_TO * n:
            epsilon_greedy(self.q_values(observation), mask, uniforms, epsilon, actions)
        elif len(rows):
            greedy = np.empty(len(rows), np.int64)
            epsilon_greedy(
                self.q_values(observation[rows]), mask[rows], uniforms[rows], 0.0, greedy
            )
            actions[rows] = greedy
        return actions
