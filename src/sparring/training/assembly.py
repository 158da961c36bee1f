"""From a resolved configuration to the parts of a run; each setting goes to the part it is for."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from sparring.config import system
from sparring.config.schema import ResolvedConfig
from sparring.dqn.agent import DQNAgent
from sparring.dqn.learner import Learner
from sparring.dqn.networks import FlatWeights, NetworkSpec, PolicySpec, count_weights
from sparring.dqn.trainable import Trainable
from sparring.games import GameSpec
from sparring.opponents.pool import OpponentManager
from sparring.opponents.roster import NOBODY, Roster
from sparring.replay import Replay
from sparring.replay.build import build_replay, replay_bytes
from sparring.replay.cuda import DeviceReplay
from sparring.rollout.rollout import RolloutSettings
from sparring.runtime import (
    InlineWorkers,
    ProcessWorkers,
    Workers,
    allow_open_files,
    check_main_module,
    shared_bytes,
)
from sparring.training.rounds import FreeRunning, Pacing, Rounds
from sparring.training.schedule import Schedule

_COPIES_OF_LEARNER: Final = 5  # network, target network, gradient, two moments of Adam
_BYTES_OF_ENV: Final = 64  # about: plies, keys, flags and returns of a match
_MODES: Final = {"sync": "sync", "overlap": "overlap", "async": "async, no two runs are alike"}


@dataclass(frozen=True)
class Parts:
    """Parts of a run; the workers come later, and the pool, whose snapshots lie in their memory."""

    num_workers: int
    rollout: RolloutSettings
    learner: Learner
    replay: Replay | DeviceReplay
    schedule: Schedule
    num_snapshots: int
    num_versions: int
    shared_bytes: int
    opponents: Callable[[NDArray[np.float32]], OpponentManager]
    agent: Callable[[], DQNAgent]


def assemble(config: ResolvedConfig, game: GameSpec, roster: Roster = NOBODY) -> Parts:
    """Make the parts of a run from its resolved configuration, its game, and its opponents from
    outside.
    """
    if config.deterministic and config.device != "cpu":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    policy = policy_of(config, game)
    rollout = _rollout_settings(config, policy, roster)
    if config.backend == "processes":
        check_main_module(rollout)
        allow_open_files(config.num_workers)
    _check_memory(config, policy.network_game, num_weights=count_weights(policy))
    device = torch.device(config.device)
    learner = Learner(
        policy,
        config,
        device=device,
        seed=config.seed,
        bfloat16=config.learner_precision == "bfloat16",
        threads=config.learner_threads if device.type == "cpu" else 1,
    )
    # twice: snapshots that left the pool may still be players of matches in progress
    num_snapshots = 2 * config.max_snapshots
    num_versions = config.max_weight_lag + 1 if config.mode == "async" else 2
    shared = shared_bytes(
        rollout,
        num_workers=config.num_workers,
        size=learner.layout.size,
        num_snapshots=num_snapshots,
        num_versions=num_versions,
        episodes=config.episodes_per_batch,
    )
    _check_memory(config, policy.network_game, shared=shared)
    replay = build_replay(policy.network_game, config, device)
    trainable = Trainable(learner, replay, beta=config.prioritized_replay_beta1)
    opponents = _opponents_maker(config, learner.layout)
    # raises its errors now, before anything is started or written
    opponents(np.empty((0, learner.layout.size), np.float32))
    return Parts(
        num_workers=config.num_workers,
        rollout=rollout,
        learner=learner,
        replay=replay,
        schedule=Schedule(config),
        num_snapshots=num_snapshots,
        num_versions=num_versions,
        shared_bytes=shared,
        opponents=opponents,
        agent=lambda: DQNAgent(policy, trainable=trainable),
    )


def _opponents_maker(
    config: ResolvedConfig, layout: FlatWeights
) -> Callable[[NDArray[np.float32]], OpponentManager]:
    """Return a function that makes the pool from the slots for its snapshots."""

    def make(slots: NDArray[np.float32]) -> OpponentManager:
        return OpponentManager(
            config.opponents,
            game=config.game,
            slots=slots,
            layout=layout,
            snapshot_interval=config.snapshot_interval,
            max_snapshots=config.max_snapshots,
            max_opponents_per_worker=config.max_opponents_per_worker,
            seed=config.seed,
            matchmaking=config.matchmaking,
            pfsp_weighting=config.pfsp_weighting,
            record_half_life=config.record_half_life,
        )

    return make


def open_workers(config: ResolvedConfig, parts: Parts, *, notify: Callable[[str], None]) -> Workers:
    """Make the workers of a run, to be entered by a `with` block."""
    size = parts.learner.layout.size
    if config.backend == "inline":
        return InlineWorkers(
            parts.rollout,
            num_workers=parts.num_workers,
            size=size,
            num_snapshots=parts.num_snapshots,
            num_versions=parts.num_versions,
        )
    return ProcessWorkers(
        parts.rollout,
        num_workers=parts.num_workers,
        size=size,
        num_snapshots=parts.num_snapshots,
        num_versions=parts.num_versions,
        episodes=config.episodes_per_batch,
        start_method=config.start_method,
        notify=notify,
    )


def pacing(
    config: ResolvedConfig, parts: Parts, workers: Workers, opponents: OpponentManager
) -> Pacing:
    """Make the pacing that `mode` names."""
    if config.mode == "async":
        return FreeRunning(
            workers,
            opponents,
            parts.schedule,
            num_workers=parts.num_workers,
            episodes=config.episodes_per_batch,
        )
    return Rounds(
        workers,
        opponents,
        parts.schedule,
        num_workers=parts.num_workers,
        episodes=config.episodes_per_batch,
        overlap=config.mode == "overlap",
    )


def describe(config: ResolvedConfig, parts: Parts) -> str:
    """Return lines on what was resolved and on the memory that replay and workers reserve."""
    counts = ((config.num_workers, "worker"), (config.learner_threads, "thread"))
    workers, threads = (f"{count} {what}{'' if count == 1 else 's'}" for count, what in counts)
    values = ", values of positions after moves" if config.afterstates == "on" else ""
    replay = replay_bytes(parts.rollout.policy.network_game, config)
    return (
        f"{config.game}: {workers} x {config.num_envs_per_worker} envs, {config.actor_precision}, "
        f"{config.bootstrap} bootstrap{values}\n"
        f"learner on {config.device}, {threads}, {config.learner_precision}; "
        f"{_MODES[config.mode]}\n"
        f"{_by_the_clock(config)}"
        f"memory: replay {replay / 2**20:,.0f} MiB, "
        f"shared with workers {parts.shared_bytes / 2**20:,.0f} MiB"
    )


def _by_the_clock(config: ResolvedConfig) -> str:
    if config.max_minutes is None:
        return ""
    return f"ends after {config.max_minutes:g} minutes, schedules by the clock: no two are alike\n"


def policy_of(config: ResolvedConfig, game: GameSpec) -> PolicySpec:
    """Return the game and the network."""
    return PolicySpec(
        config.game,
        NetworkSpec(config.policy_kwargs.network, config.policy_kwargs.network_arguments()),
        afterstates=config.afterstates == "on",
        resolved=game,
    )


def _rollout_settings(
    config: ResolvedConfig, policy: PolicySpec, roster: Roster
) -> RolloutSettings:
    return RolloutSettings(
        policy=policy,
        num_envs=config.num_envs_per_worker,
        seed=config.seed,
        bootstrap=config.bootstrap,
        n_steps=config.n_steps,
        gamma=config.gamma,
        learn_from=config.learn_from,
        opponent_epsilon=config.opponent_epsilon,
        bfloat16=config.actor_precision == "bfloat16",
        roster=roster,
    )


def _check_memory(
    config: ResolvedConfig, game: GameSpec, *, num_weights: int = 0, shared: int = 0
) -> None:
    """Raise `ConfigurationError` if the memory for a run is not there."""
    envs = config.num_workers * (config.num_envs_per_worker or 1)
    position = game.observation_bytes + game.num_actions + 8 * game.num_players + _BYTES_OF_ENV
    system.check_memory(
        {
            "of replay": (replay_bytes(game, config), "lower buffer_size"),
            "for workers and snapshots": (shared, "lower max_snapshots or num_workers"),
            "for matches in progress": (
                envs * position,
                "lower num_envs_per_worker or num_workers",
            ),
            "of networks": (
                4 * num_weights * (_COPIES_OF_LEARNER + config.num_workers),
                "choose a smaller network (policy_kwargs)",
            ),
        }
    )
