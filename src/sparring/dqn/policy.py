"""InferencePolicy: the network of workers and evaluation, without optimizer and buffer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

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
_CPU: Final = torch.device("cpu")


class Question(NamedTuple):
    """Positions that a network has to value before moves can be chosen."""

    observation: NDArray[Any]  # [k, *observation_shape]; may be views of the game's arrays
    # from the network's outputs [k, outputs] to the actions
    choose: Callable[[NDArray[np.float32]], NDArray[np.int64]]


def ask(
    spec: PolicySpec,
    game: BatchedGame,
    slots: NDArray[np.int64],
    uniforms: NDArray[np.float64],
    epsilon: float,
) -> Question:
    """The question that leads to epsilon-greedy actions [m] for the seats to move in `slots` [m];
    `uniforms` [m, 2].
    """
    if spec.afterstates:
        return _ask_after_moves(game, slots, uniforms, epsilon)
    if len(slots) == game.num_slots and (slots[1:] > slots[:-1]).all():
        # every slot, in order: the views serve as they are
        return ask_positions(game.observation, game.mask, uniforms, epsilon)
    return ask_positions(game.observation[slots], game.mask[slots], uniforms, epsilon)


def ask_positions(
    observation: NDArray[Any],
    mask: NDArray[np.bool_],
    uniforms: NDArray[np.float64],
    epsilon: float,
) -> Question:
    """The question that leads to epsilon-greedy actions [n] for n observations; `mask` [n, A].

    It has only the positions in which the network decides, unless these are nearly all.
    """
    actions, rows = _decide(mask, uniforms, epsilon)

    def choose_all(q: NDArray[np.float32]) -> NDArray[np.int64]:
        epsilon_greedy(q, mask, uniforms, epsilon, actions)
        return actions

    def choose_undecided(q: NDArray[np.float32]) -> NDArray[np.int64]:
        greedy = np.empty(len(rows), np.int64)
        epsilon_greedy(q, mask[rows], uniforms[rows], 0.0, greedy)
        actions[rows] = greedy
        return actions

    if len(rows) > _GATHER_UP_TO * len(observation):
        return Question(observation, choose_all)
    return Question(observation[rows], choose_undecided)


def _ask_after_moves(
    game: BatchedGame,
    slots: NDArray[np.int64],
    uniforms: NDArray[np.float64],
    epsilon: float,
) -> Question:
    """The same by values of positions after moves."""
    actions, rows = _decide(game.mask[slots], uniforms, epsilon)
    after, movers = afterstates_of(game, slots[rows]), game.seat[slots[rows]]

    def choose(values: NDArray[np.float32]) -> NDArray[np.int64]:
        actions[rows] = values_of_moves(values, after, movers).argmax(axis=1)
        return actions

    return Question(after.observation, choose)


def _decide(
    mask: NDArray[np.bool_], uniforms: NDArray[np.float64], epsilon: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Actions [n] for `mask` [n, A], and the rows [k] whose actions need the network."""
    n = len(mask)
    actions, undecided = np.empty(n, np.int64), np.empty(n, np.int64)
    return actions, undecided[: decide_without_q(mask, uniforms, epsilon, actions, undecided)]


def values_of_moves(
    values: NDArray[np.float32], after: Afterstates, movers: NDArray[np.int64]
) -> NDArray[np.float32]:
    """[m, A] values of the moves that lead to `after`, for the `movers` [m], from the `values`
    [k, 1] of the positions; -inf for illegal moves.
    """
    of_moves = np.empty(after.row.shape, np.float32)
    fill_action_values(values.reshape(-1), after.row, after.seat, after.rewards, movers, of_moves)
    return of_moves


class InferencePolicy:
    """A network for play, in the thread of the caller.

    `weights` are those of `DQNAgent.get_weights()`; without them the network keeps its initial
    ones. With `bfloat16` matrix products of built-in networks are in that precision; users'
    networks always work in float32. Arrays are on the host, whatever the `device` of the network.
    """

    def __init__(
        self,
        spec: PolicySpec,
        weights: Mapping[str, NDArray[Any]] | None = None,
        *,
        bfloat16: bool = False,
        device: torch.device = _CPU,
    ) -> None:
        if not isinstance(spec, PolicySpec):
            raise ConfigurationError(
                "spec", got=shown(spec), expected='a PolicySpec, such as PolicySpec("connect_four")'
            )
        self.spec = spec
        self.network = build_network(spec).eval().requires_grad_(False).to(device)
        self._device = device
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
                self.infer(torch.from_numpy(observation).to(self._device))
                .to("cpu", torch.float32)
                .numpy()
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
        return values_of_moves(self.q_values(after.observation), after, movers)

    def choose(
        self,
        game: BatchedGame,
        slots: NDArray[np.int64],
        uniforms: NDArray[np.float64],
        epsilon: float,
    ) -> NDArray[np.int64]:
        """Epsilon-greedy actions [m] for the seats to move in `slots` [m]; `uniforms` [m, 2]."""
        return self._answer(ask(self.spec, game, slots, uniforms, epsilon))

    def act(
        self,
        observation: NDArray[Any],
        mask: NDArray[np.bool_],
        uniforms: NDArray[np.float64],
        epsilon: float,
    ) -> NDArray[np.int64]:
        """Epsilon-greedy actions [n] for n observations; `mask` [n, A], `uniforms` [n, 2]."""
        return self._answer(ask_positions(observation, mask, uniforms, epsilon))

    def _answer(self, question: Question) -> NDArray[np.int64]:
        return question.choose(self.q_values(question.observation))
