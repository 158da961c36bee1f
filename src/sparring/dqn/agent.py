"""The façade: an agent that predicts, is saved and loaded, and while it is trained, learns."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import numpy as safetensors_numpy

from sparring.dqn.learner import Learner, LearnStats
from sparring.dqn.networks import FACTORIES, NetworkSpec, PolicySpec, Weights, check_fit
from sparring.dqn.policy import InferencePolicy
from sparring.dqn.trajectory import Trajectory, trajectory_transitions
from sparring.errors import ConfigurationError, FileFormatError, SparringError
from sparring.games import canonical, is_built_in, is_own, name_of
from sparring.replay import Replay
from sparring.replay.cuda import DeviceReplay
from sparring.storage.atomic import write_file
from sparring.user_code import name_of as factory_name


@dataclass(frozen=True)
class Training:
    """Parts of an agent that can be trained; `n_steps` and `gamma` count own decisions."""

    learner: Learner
    replay: Replay | DeviceReplay
    gamma: float
    n_steps: int


class DQNAgent:
    """An agent for one game: `predict` for play, `get_weights` and `set_weights`, `save` and
    `load`.

    An agent that came out of training also takes trajectories and learns on; one that was loaded
    plays only.
    """

    def __init__(
        self,
        spec: PolicySpec,
        *,
        weights: Mapping[str, NDArray[Any]] | None = None,
        training: Training | None = None,
    ) -> None:
        self.spec = spec
        self.game = spec.game_spec
        self._training = training
        self._policy = InferencePolicy(spec, weights)
        if training is not None:
            self._follow_learner()

    def __repr__(self) -> str:
        parts = [
            f"game={self.spec.game!r}",
            f"network={self.spec.network.factory!r}",
            f"parameters={self._policy.num_parameters:_}",
        ]
        if self._training is not None:
            parts.append(f"updates={self._training.learner.updates:_}")
        return f"{type(self).__name__}({', '.join(parts)})"

    def predict(
        self, observation: NDArray[Any], *, action_masks: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64] | int, None]:
        """The greedy action for one position [*observation_shape], or actions [n] for a batch of
        them, and None (there is no state).

        `action_masks` [A] or [n, A] says what is legal; without it every action is. Raises
        `ConfigurationError` for another shape.
        """
        single = np.ndim(observation) == len(self.game.observation_shape)
        batch = np.asarray(observation)[None] if single else np.asarray(observation)
        if batch.shape[1:] != self.game.observation_shape:
            shape = np.shape(observation)
            raise ConfigurationError(
                "observation",
                got=f"shape {shape}",
                expected=f"{self.game.observation_shape} or a batch of such",
            )
        mask = np.ones((len(batch), self.game.num_actions), np.bool_)
        if action_masks is not None:
            expected = mask.shape[1:] if single else mask.shape
            if np.shape(action_masks) != expected:
                raise ConfigurationError(
                    "action_masks", got=f"shape {np.shape(action_masks)}", expected=f"{expected}"
                )
            mask = np.asarray(action_masks, np.bool_).reshape(mask.shape)
        actions = self._policy.act(
            np.ascontiguousarray(batch), mask, np.zeros((len(batch), 2)), epsilon=0.0
        )
        return (int(actions[0]) if single else actions), None

    def policy(self) -> InferencePolicy:
        """A copy of the network for play."""
        return InferencePolicy(self.spec, self.get_weights())

    def get_weights(self) -> Weights:
        """Copies of the policy's parameters by name."""
        return self._policy.get_weights()

    def set_weights(self, weights: Mapping[str, NDArray[Any]]) -> None:
        """Overwrite the policy's parameters, the learner's too; the target network and the
        optimizer stay as they are.
        """
        self._policy.set_weights(weights)
        if self._training is not None:
            self._training.learner.set_weights(weights)

    def add_trajectory_to_buffer(self, trajectory: Trajectory) -> None:
        """Store one seat's decisions of one match. Raises `InputError` when they do not fit the
        game, `SparringError` after `load`.
        """
        training = self._require_training("add_trajectory_to_buffer")
        rows = trajectory_transitions(
            trajectory, self.game, gamma=training.gamma, n_steps=training.n_steps
        )
        training.replay.extend(rows)

    def learn(self, updates: int) -> LearnStats:
        """Make updates from what the replay holds. Raises `SparringError` after `load` or while the
        replay is empty.
        """
        training = self._require_training("learn")
        if not len(training.replay):
            raise SparringError("learn: the replay is empty; add trajectories first")
        training.learner.set_learning_rate(
            training.learner.settings.learning_rate
        )  # the schedule of a finished run may have left it at 0
        stats = training.learner.update(training.replay, updates)
        self._follow_learner()
        return stats

    def save(self, path: str | PathLike[str]) -> None:
        """Write the agent file, whole or not at all."""
        write_file(Path(path), self.to_bytes())

    def to_bytes(self) -> bytes:
        """The agent file: equal weights and equal networks give equal bytes."""
        network = {
            "factory": self.spec.network.factory,
            "arguments": dict(self.spec.network.arguments),
        }
        encoding = {
            "shape": list(self.game.observation_shape),
            "dtype": self.game.observation_dtype,
            "actions": self.game.num_actions,
        }
        return encode_agent(
            dict(self.get_weights()),
            {"game": self.spec.game, "network": network, "encoding": encoding},
        )

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        *,
        game: str | object | None = None,
        network: str | Callable[..., Any] | None = None,
    ) -> Self:
        """An agent for play from its file.

        Nothing is imported because a file names it: for an agent of your own game pass `game`, its
        class or `"module:Class"`, and for one with a network of your own `network`, its factory or
        `"module:factory"`. Raises `FileFormatError` when the file is damaged, or is for another
        game than `game` or than this version's game of its name, or has another network than
        `network`.
        """
        tensors, description = decode_agent(Path(path))
        try:
            name, encoding = description["game"], description["encoding"]
            factory, arguments = (
                description["network"]["factory"],
                description["network"]["arguments"],
            )
            spec = PolicySpec(
                _game_to_play(path, name, game),
                NetworkSpec(_network_to_build(path, factory, network), arguments),
            )
        except (KeyError, TypeError):
            raise FileFormatError(
                f"{path} does not describe an agent; was it written by another version?"
            ) from None
        known = spec.game_spec
        if encoding != {
            "shape": list(known.observation_shape),
            "dtype": known.observation_dtype,
            "actions": known.num_actions,
        }:
            raise FileFormatError(
                f"{path} sees {name} in another form than it is played in here", got=f"{encoding}"
            )
        try:
            if spec.network.factory in FACTORIES:
                check_fit(spec, tensors)
            return cls(spec, weights=tensors)
        except (
            TypeError,
            ValueError,
            RuntimeError,
        ) as error:  # whatever torch and we have against such arguments and weights
            raise FileFormatError(
                f"{path} names a network that cannot be built", got=str(error).partition("\n")[0]
            ) from None

    def _follow_learner(self) -> None:
        assert self._training is not None
        self._policy.load_vector(self._training.learner.evaluated_vector())

    def _require_training(self, method: str) -> Training:
        if self._training is None:
            raise SparringError(
                f"{method}: this agent was loaded for play; train_dqn and `sparring resume` train"
            )
        return self._training


def _game_to_play(path: str | PathLike[str], named: object, given: str | object | None) -> str:
    """The game of an agent file that names one, and for which the caller may have given one."""
    if not isinstance(named, str):
        raise TypeError("a game is named by text")
    if given is not None:
        wanted = canonical(name_of(given))
        if wanted != named and not (
            is_own(wanted) and is_own(named)
        ):  # a class of one's own may have moved; its encoding is compared
            raise FileFormatError(
                f"{path} is an agent of another game", got=repr(named), expected=wanted
            )
        return wanted
    try:
        if is_built_in(named):
            return canonical(named)
    except ConfigurationError as error:
        raise FileFormatError(f"{path} is an agent of a game that is not here: {error}") from None
    remedy = f"pass game={named!r} (--game {named}) to say that its code may run"
    raise FileFormatError(
        f"{path} is an agent of a game that does not come with Sparring",
        got=repr(named),
        remedy=remedy,
    )


def _network_to_build(
    path: str | PathLike[str], named: str, given: str | Callable[..., Any] | None
) -> str:
    """The factory for the network of an agent file that names one, and for which the caller may
    have given one.
    """
    wanted = (
        given if given is None or isinstance(given, str) else factory_name(given, what="network")
    )
    if named in FACTORIES or wanted in FACTORIES:
        if wanted not in (None, named):
            raise FileFormatError(
                f"{path} is an agent with another network", got=repr(named), expected=wanted
            )
        return named
    if wanted is None:
        remedy = "pass network=..., its factory or 'module:factory', to say that its code may run"
        raise FileFormatError(
            f"{path} is an agent with a network that does not come with Sparring",
            got=repr(named),
            remedy=remedy,
        )
    return wanted


# An agent as one safetensors file: its tensors and, under the one metadata key `sparring`, what it
# is, as canonical JSON.
#
# One key, because the library writes several in random order; sorted and without spaces, so that
# equal agents are equal bytes. Reading runs no code from the file: the description holds names, and
# whoever loads the agent decides what they may stand for.


Tensors = dict[str, NDArray[Any]]

_KEY = "sparring"
_FORMAT = 1


def encode_agent(tensors: Mapping[str, NDArray[Any]], description: Mapping[str, Any]) -> bytes:
    """The agent file. The description is plain JSON (str keys; a tuple is read back as a list; no
    NaN) without a key "format".
    """
    if "format" in description:
        raise ValueError(
            "the description of an agent has no key 'format': the file's own version goes there"
        )
    text = json.dumps(
        {**description, "format": _FORMAT}, sort_keys=True, separators=(",", ":"), allow_nan=False
    )
    # The library writes the memory of an array as it lies: a transposed one would come back
    # scrambled.
    contiguous = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    return safetensors_numpy.save(contiguous, metadata={_KEY: text})


def decode_agent(source: bytes | str | Path) -> tuple[Tensors, dict[str, Any]]:
    """Tensors by name and the description of an agent file, given as its bytes or its path;
    FileFormatError says what is wrong with it.
    """
    label, data = (
        ("the agent file", source)
        if isinstance(source, bytes)
        else (str(source), _read(Path(source)))
    )
    try:
        tensors = safetensors_numpy.load(data)
        metadata = _header(data).get("__metadata__", {})
    except (SafetensorError, ValueError, KeyError, RecursionError):
        raise FileFormatError(
            f"{label} is damaged, or no agent file at all: not a safetensors file of numbers"
        ) from None
    try:
        description = json.loads(metadata[_KEY])
        version = description.pop("format")
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        raise FileFormatError(
            f"{label} is a safetensors file, but not an agent that Sparring saved"
        ) from None
    if version != _FORMAT:
        raise FileFormatError(
            f"{label} is an agent file of another version", got=repr(version), expected=str(_FORMAT)
        )
    return tensors, description


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileFormatError(f"the agent file {path} cannot be read: {error.strerror}") from None


def _header(data: bytes) -> dict[str, Any]:
    """The JSON in front of the tensors, which the library has checked but gives away only for files
    on the disk.
    """
    size = int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8 : 8 + size])
    return header
