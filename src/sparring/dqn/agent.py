"""The façade: an agent that predicts, is saved and loaded, and while it is trained, learns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sparring.atomic import write_file
from sparring.dqn import agent_file
from sparring.dqn.learner import Learner, LearnStats
from sparring.dqn.networks import NetworkSpec, PolicySpec, Weights
from sparring.dqn.policy import InferencePolicy
from sparring.dqn.trajectory import Trajectory, trajectory_transitions
from sparring.errors import ConfigurationError, FileFormatError, SparringError
from sparring.games import names, spec_of
from sparring.replay import Replay


@dataclass(frozen=True)
class Training:
    """What an agent has while it can be trained; `n_steps` and `gamma` count own decisions."""

    learner: Learner
    replay: Replay
    gamma: float
    n_steps: int


class DQNAgent:
    """An agent for one game: `predict` for play, `get_weights` and `set_weights`, `save` and `load`.

    An agent that came out of training also takes trajectories and learns on; one that was loaded plays only.
    """

    def __init__(self, spec: PolicySpec, *, weights: Mapping[str, NDArray[Any]] | None = None, training: Training | None = None) -> None:
        self.spec = spec
        self.game = spec_of(spec.game)
        self._training = training
        self._policy = InferencePolicy(spec, weights)
        if training is not None:
            self._follow_learner()

    def predict(self, observation: NDArray[Any], *, action_masks: NDArray[np.bool_] | None = None) -> tuple[NDArray[np.int64] | int, None]:
        """The greedy action for one position [*observation_shape], or actions [n] for a batch of them, and None (there is no state).

        `action_masks` [A] or [n, A] says what is legal; without it every action is. Raises `ConfigurationError` for another shape.
        """
        single = np.ndim(observation) == len(self.game.observation_shape)
        batch = np.asarray(observation)[None] if single else np.asarray(observation)
        if batch.shape[1:] != self.game.observation_shape:
            shape = np.shape(observation)
            raise ConfigurationError("observation", got=f"shape {shape}", expected=f"{self.game.observation_shape} or a batch of such")
        mask = np.ones((len(batch), self.game.num_actions), np.bool_)
        if action_masks is not None:
            expected = mask.shape[1:] if single else mask.shape
            if np.shape(action_masks) != expected:
                raise ConfigurationError("action_masks", got=f"shape {np.shape(action_masks)}", expected=f"{expected}")
            mask = np.asarray(action_masks, np.bool_).reshape(mask.shape)
        actions = self._policy.act(np.ascontiguousarray(batch), mask, np.zeros((len(batch), 2)), epsilon=0.0)
        return (int(actions[0]) if single else actions), None

    def policy(self) -> InferencePolicy:
        """A copy of the network for play."""
        return InferencePolicy(self.spec, self.get_weights())

    def get_weights(self) -> Weights:
        """Copies of the policy's parameters by name."""
        return self._policy.get_weights()

    def set_weights(self, weights: Mapping[str, NDArray[Any]]) -> None:
        """Overwrite the policy's parameters, the learner's too; the target network and the optimizer stay as they are."""
        self._policy.set_weights(weights)
        if self._training is not None:
            self._training.learner.set_weights(weights)

    def add_trajectory_to_buffer(self, trajectory: Trajectory) -> None:
        """Store one seat's decisions of one match. Raises `InputError` when they do not fit the game, `SparringError` after `load`."""
        training = self._require_training("add_trajectory_to_buffer")
        rows = trajectory_transitions(trajectory, self.game, gamma=training.gamma, n_steps=training.n_steps)
        training.replay.extend(rows)

    def learn(self, updates: int) -> LearnStats:
        """Make updates from what the replay holds. Raises `SparringError` after `load` or while the replay is empty."""
        training = self._require_training("learn")
        if not len(training.replay):
            raise SparringError("learn: the replay is empty; add trajectories first")
        training.learner.set_learning_rate(training.learner.settings.learning_rate)  # the schedule of a finished run may have left it at 0
        stats = training.learner.update(training.replay, updates)
        self._follow_learner()
        return stats

    def save(self, path: str | PathLike[str]) -> None:
        """Write the agent file, whole or not at all."""
        write_file(Path(path), self.to_bytes())

    def to_bytes(self) -> bytes:
        """The agent file: equal weights and equal networks give equal bytes."""
        network = {"factory": self.spec.network.factory, "arguments": dict(self.spec.network.arguments)}
        encoding = {"shape": list(self.game.observation_shape), "dtype": self.game.observation_dtype, "actions": self.game.num_actions}
        return agent_file.encode(dict(self.get_weights()), {"game": self.spec.game, "network": network, "encoding": encoding})

    @classmethod
    def load(cls, path: str | PathLike[str], *, game: str | None = None) -> Self:
        """An agent for play from its file.

        Raises `FileFormatError` when the file is damaged, or is for another game than `game` or than this version's game of its name.
        """
        tensors, description = agent_file.decode(Path(path))
        try:
            name, network, encoding = description["game"], description["network"], description["encoding"]
            spec = PolicySpec(name, NetworkSpec(network["factory"], network["arguments"]))
        except (KeyError, TypeError):
            raise FileFormatError(f"{path} does not describe an agent; was it written by another version?") from None
        if name not in names() or (game is not None and game != name):
            raise FileFormatError(f"{path} is an agent of another game", got=repr(name), expected=game or f"one of {', '.join(names())}")
        known = spec_of(name)
        if encoding != {"shape": list(known.observation_shape), "dtype": known.observation_dtype, "actions": known.num_actions}:
            raise FileFormatError(f"{path} sees {name} in another form than this version", got=f"{encoding}")
        try:
            return cls(spec, weights=tensors)
        except (TypeError, ValueError, RuntimeError) as error:  # whatever torch and we have against such arguments and weights
            raise FileFormatError(f"{path} names a network that cannot be built", got=str(error).partition("\n")[0]) from None

    def _follow_learner(self) -> None:
        assert self._training is not None
        self._policy.load_vector(self._training.learner.vector())

    def _require_training(self, method: str) -> Training:
        if self._training is None:
            raise SparringError(f"{method}: this agent was loaded for play; train_dqn and `sparring resume` train")
        return self._training
