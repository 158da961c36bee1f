"""From a resolved configuration to the parts of a run; each setting goes to the part it is for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sparring.config import system
from sparring.config.devices import num_ranks
from sparring.config.schema import ResolvedConfig
from sparring.dqn.agent import DQNAgent
from sparring.dqn.networks import FlatWeights, NetworkSpec, PolicySpec, count_weights
from sparring.dqn.table_learner import AnyLearner
from sparring.dqn.trainable import Trainable
from sparring.errors import ConfigurationError, counted
from sparring.games import GameSpec
from sparring.opponents.pool import SNAPSHOTS, OpponentManager
from sparring.opponents.roster import NOBODY, Roster
from sparring.opponents.shared_pool import SharedPool
from sparring.replay import Replay
from sparring.replay.build import replay_bytes
from sparring.replay.cuda import DeviceReplay
from sparring.replay.shared import SharedReplay
from sparring.rollout.rollout import RolloutSettings
from sparring.runtime import (
    InlineWorkers,
    ProcessWorkers,
    RayWorkers,
    Workers,
    allow_open_files,
    check_importable,
    check_main_module,
    load_ray,
    shared_bytes,
)
from sparring.training.inference import check_server, files_a_worker, server_of
from sparring.training.needs import check_disk, checkpoint_bytes, memory_needed
from sparring.training.out_of_memory import out_of_memory_told
from sparring.training.ranks import Leader, make_learner, make_replay
from sparring.training.rounds import FreeRunning, Pacing, Rounds
from sparring.training.schedule import Schedule

_MODES: Final = {"sync": "sync", "overlap": "overlap", "async": "async, no two runs are alike"}


@dataclass(frozen=True)
class Parts:
    """Parts of a run; the workers come later, and the pool, whose snapshots lie in their memory."""

    num_workers: int
    rollout: RolloutSettings
    learner: AnyLearner
    leader: Leader | None  # of the other ranks, with several learners
    replay: Replay | DeviceReplay | SharedReplay
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
    check_pool_dir(config)
    check_server(config)
    policy = policy_of(config, game)
    rollout = rollout_settings(config, policy, roster)
    if config.backend == "processes":
        check_main_module(rollout)
        allow_open_files(config.num_workers, files_a_worker(config))
    elif config.backend == "ray":
        load_ray()
        check_importable(rollout)
        allow_open_files(config.num_workers)
    weights = count_weights(policy)
    system.check_memory(memory_needed(config, policy.network_game, num_weights=weights))
    leader = Leader(ranks) if (ranks := num_ranks(config.devices)) > 1 else None
    with out_of_memory_told(config, policy):
        learner = make_learner(config, policy, leader)
        own = make_replay(config, policy, leader)
    shared = shared_with_workers(config, rollout, learner.layout.size)
    system.check_memory(memory_needed(config, policy.network_game, shared=shared))
    replay = own if leader is None else SharedReplay(own, leader)
    opponents = _opponents_maker(config, learner.layout)
    # raises its errors now, before anything is started or written
    opponents(np.empty((0, learner.layout.size), np.float32))
    return Parts(
        num_workers=config.num_workers,
        rollout=rollout,
        learner=learner,
        leader=leader,
        replay=replay,
        schedule=Schedule(config),
        num_snapshots=_num_snapshots(config),
        num_versions=_num_versions(config),
        shared_bytes=shared,
        opponents=opponents,
        agent=partial(_agent, policy, learner, replay, config.prioritized_replay_beta1),
    )


def _agent(
    policy: PolicySpec,
    learner: AnyLearner,
    replay: Replay | DeviceReplay | SharedReplay,
    beta: float,
) -> DQNAgent:
    """Return the agent so far; only that of a single learner can be trained without the run."""
    if isinstance(replay, SharedReplay):
        return DQNAgent(policy, weights=learner.layout.named(learner.evaluated_vector()))
    return DQNAgent(policy, trainable=Trainable(learner, replay, beta=beta))


def _num_snapshots(config: ResolvedConfig) -> int:
    """Twice as many: snapshots that left the pool may still be players of matches in progress.

    A shared pool holds as many of other runs again.
    """
    return 2 * config.max_snapshots * (2 if config.pool_dir else 1)


def _num_versions(config: ResolvedConfig) -> int:
    return config.max_weight_lag + 1 if config.mode == "async" else 2


def shared_with_workers(config: ResolvedConfig, rollout: RolloutSettings, size: int) -> int:
    """Bytes of the memory that the workers of a run share with it; `size`: of the network."""
    if config.backend == "ray":
        return RayWorkers.memory_here(size, _num_snapshots(config), _num_versions(config))
    return shared_bytes(
        rollout,
        num_workers=config.num_workers,
        size=size,
        num_snapshots=_num_snapshots(config),
        num_versions=_num_versions(config),
        episodes=config.episodes_per_batch,
        served=config.inference == "server",
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
    if config.backend == "ray":
        return RayWorkers(
            parts.rollout,
            num_workers=parts.num_workers,
            size=size,
            num_snapshots=parts.num_snapshots,
            num_versions=parts.num_versions,
            address=config.ray_address,
            insecure=config.ray_insecure,
            notify=notify,
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
        inference=server_of(config),
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


def shared_pool(
    config: ResolvedConfig, parts: Parts, member: str, *, warn: Callable[[str], None]
) -> SharedPool | None:
    """Return the directory in which the run called `member` shares snapshots, if it does."""
    if not config.pool_dir:
        return None
    directory, size = Path(config.pool_dir), config.max_snapshots
    return SharedPool(directory, member, parts.rollout.policy, size=size, warn=warn)


def describe(config: ResolvedConfig, parts: Parts) -> str:
    """Return lines on what was resolved and on the memory that replay and workers reserve."""
    counts = ((config.num_workers, "worker"), (config.learner_threads, "thread"))
    workers, threads = (counted(number, noun) for number, noun in counts)
    values = ", values of positions after moves" if config.afterstates == "on" else ""
    replay = replay_bytes(parts.rollout.policy.network_game, config)
    return (
        f"{config.game}: {workers} x {config.num_envs_per_worker} envs, {config.actor_precision}, "
        f"{config.bootstrap} bootstrap{values}\n"
        f"learner on {config.devices or config.device}, {threads}, {config.learner_precision}; "
        f"{_MODES[config.mode]}\n"
        f"{_by_the_clock(config)}{_with_others(config)}"
        f"memory: replay {replay / 2**20:,.0f} MiB, "
        f"shared with workers {parts.shared_bytes / 2**20:,.0f} MiB"
    )


def disk_warning(config: ResolvedConfig, parts: Parts, run: Path) -> str:
    """Return a line where the disk has no space for the checkpoints of a run, else ""."""
    size = checkpoint_bytes(config, parts.rollout.policy.network_game, parts.learner.layout.size)
    try:
        check_disk(str(run.parent), size, shutil.disk_usage(run).free)
    except ConfigurationError as error:
        return str(error)
    return ""


def _by_the_clock(config: ResolvedConfig) -> str:
    if config.max_minutes is None:
        return ""
    return f"ends after {config.max_minutes:g} minutes, schedules by the clock: no two are alike\n"


def _with_others(config: ResolvedConfig) -> str:
    if not config.pool_dir:
        return ""
    return f"meets snapshots of other runs in {config.pool_dir}: no two are alike\n"


def check_pool_dir(config: ResolvedConfig) -> None:
    """Raise `ConfigurationError` if the run would never meet snapshots of other runs."""
    if not config.pool_dir:
        return
    if not config.max_snapshots:
        raise ConfigurationError("max_snapshots with a shared pool", got=0, expected="at least 1")
    if not config.opponents.get(SNAPSHOTS):
        raise ConfigurationError(
            "opponents with a shared pool",
            got=dict(config.opponents),
            expected="a positive share of snapshots",
        )
    if config.matchmaking == "self":
        raise ConfigurationError(
            "matchmaking with a shared pool",
            got="self, which meets one snapshot only",
            expected="uniform, recent or pfsp",
        )
    if os.path.exists(config.pool_dir) and not os.path.isdir(config.pool_dir):
        raise ConfigurationError("pool_dir", got=config.pool_dir, expected="a directory")


def policy_of(config: ResolvedConfig, game: GameSpec) -> PolicySpec:
    """Return the game and the network."""
    return PolicySpec(
        config.game,
        NetworkSpec(config.policy_kwargs.network, config.policy_kwargs.network_arguments()),
        afterstates=config.afterstates == "on",
        resolved=game,
    )


def rollout_settings(
    config: ResolvedConfig, policy: PolicySpec, roster: Roster = NOBODY
) -> RolloutSettings:
    """Return what every worker's body is told."""
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
        td_lambda=config.td_lambda,
        random_start_share=config.random_start_share,
        random_start_plies=config.random_start_plies,
        groups=2 if config.inference == "server" else 1,
    )
