"""Learner and replay of an agent that can be trained: of a run, or made here without one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from sparring.config import system
from sparring.config.devices import DEVICE_PATTERN
from sparring.config.schema import AgentOptions
from sparring.dqn.gpus import device_error, find_gpus
from sparring.dqn.learner import Learner
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.dqn.start_weights import read_start_weights, start_with
from sparring.dqn.table_learner import AnyLearner
from sparring.errors import ConfigurationError, shown
from sparring.games.spec import GameSpec
from sparring.replay import Replay
from sparring.replay.build import build_replay, replay_bytes
from sparring.replay.cuda import DeviceReplay

Bootstrap = Literal["own_turn", "zero_sum"]


@dataclass(frozen=True)
class Trainable:
    """Parts of an agent that can be trained."""

    learner: AnyLearner
    replay: Replay | DeviceReplay
    learning_starts: int = 0  # transitions in the replay before the first update
    beta: float = 1.0  # importance-sampling exponent


def make_trainable(
    game: GameSpec, options: AgentOptions, *, device: torch.device, seed: int
) -> tuple[PolicySpec, Trainable]:
    """A new network with learner and replay for an agent that is trained without a run.

    `gamma` and `n_steps` count own turns unless `bootstrap` says otherwise. Raises
    `ConfigurationError` for settings that cannot work, `FileFormatError` for start weights that
    cannot be used.
    """
    kwargs = options.policy_kwargs
    network = NetworkSpec(kwargs.network, kwargs.network_arguments())
    spec = PolicySpec(game.name, network, resolved=game)
    bootstrap = resolve_bootstrap(options.bootstrap or "own_turn", game)
    options = options.model_copy(update={"bootstrap": bootstrap})
    system.check_memory({"of replay": (replay_bytes(game, options), "lower buffer_size")})
    learner = Learner(spec, options, device=device, seed=seed)
    if options.init_from:
        start_with(learner, read_start_weights(Path(options.init_from)), spec)
    return spec, Trainable(
        learner,
        build_replay(game, options, device),
        options.learning_starts,
        options.prioritized_replay_beta1,
    )


def resolve_device(name: Any) -> torch.device:
    """The device of that name, for "auto" a GPU if there is one. Raises `ConfigurationError`."""
    if not isinstance(name, str) or not re.fullmatch(DEVICE_PATTERN, name):
        raise ConfigurationError(
            "device", got=shown(name), expected="auto, cpu, cuda or cuda:0, cuda:1, ..."
        )
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    count = torch.cuda.device_count() if device.type == "cuda" else 1
    if (device.index or 0) >= count and (error := device_error(name, find_gpus())):
        raise error
    return device


def resolve_bootstrap(wanted: Bootstrap | None, game: GameSpec) -> Bootstrap:
    """`wanted`, or else what suits the game. Raises `ConfigurationError` if the game does not allow
    it.
    """
    if wanted == "zero_sum" and not game.allows_zero_sum_bootstrap:
        raise ConfigurationError(
            "bootstrap",
            got="zero_sum",
            expected=f"own_turn: {game.name} is not declared as a zero-sum game of two players "
            "without hidden information",
        )
    return wanted or ("zero_sum" if game.allows_zero_sum_bootstrap else "own_turn")


def check_afterstates(game: GameSpec) -> None:
    """Raise `ConfigurationError` unless the game offers positions after moves."""
    if not game.afterstates:
        raise ConfigurationError(
            "afterstates",
            got="on",
            expected=f"off: {game.name} does not offer positions after moves",
            remedy="docs/your-game.md says what a game needs for it",
        )
