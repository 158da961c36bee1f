"""From the configuration to the parts of a run: every setting is handed to the one part that it is
for.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from sparring.config import system
from sparring.config.schema import TrainConfig
from sparring.dqn.agent import DQNAgent, Training
from sparring.dqn.kernels import has_bfloat16
from sparring.dqn.learner import Learner, LearnerSettings
from sparring.dqn.networks import FlatWeights, NetworkSpec, PolicySpec
from sparring.errors import ConfigurationError
from sparring.games import GameSpec, spec_of, with_players
from sparring.opponents.pool import OpponentManager
from sparring.opponents.scripted import default_shares
from sparring.replay import (
    PrioritizedSampler,
    RandomSymmetry,
    Replay,
    ReplayBuffer,
    UniformSampler,
    transition_dtype,
)
from sparring.replay.cuda import DeviceReplay
from sparring.replay.cuda_samplers import DevicePrioritized, DeviceUniform
from sparring.rollout.rollout import RolloutSettings
from sparring.runtime import (
    InlineWorkers,
    ProcessWorkers,
    Workers,
    allow_open_files,
    check_main_module,
    default_start_method,
    shared_bytes,
)
from sparring.training.autotune import measured_split
from sparring.training.rounds import FreeRunning, Pacing, Rounds
from sparring.training.schedule import PerWorkerEpsilons, Schedule, ScheduleSettings

_MODES: Final = {"sync": "sync", "overlap": "overlap", "async": "async, no two runs are alike"}


@dataclass(frozen=True)
class Parts:
    """What a run is made of, but for the workers and the pool, whose snapshots lie in the workers'
    memory.
    """

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


def resolved(config: TrainConfig) -> tuple[TrainConfig, GameSpec]:
    """The configuration with everything that was left open filled in from the machine's CPUs and
    the game, checked against both; and the spec of the game, whose name is resolved here alone.
    """
    spec = (
        spec_of(config.game)
        if config.num_players is None
        else with_players(config.game, config.num_players)
    )
    game, device = spec.name, _device(config.device)
    config = config.model_copy(
        update={
            "game": game,
            "num_players": spec.num_players,
            "opponents": config.opponents or default_shares(game),
            "num_envs_per_worker": system.resolve_num_envs(
                config.num_envs_per_worker, config.episodes_per_batch
            ),
            "start_method": config.start_method or default_start_method(),
            "device": str(device),
            "actor_precision": config.actor_precision or _precision(torch.device("cpu")),
            "learner_precision": config.learner_precision or _precision(device),
            "bootstrap": _bootstrap(config.bootstrap, spec.allows_zero_sum_bootstrap, game),
        }
    )
    workers, threads = _balance(config, spec)
    steps = config.learning_steps_per_batch or workers * config.episodes_per_batch
    config = config.model_copy(
        update={
            "num_workers": workers,
            "learner_threads": threads,
            "learning_steps_per_batch": steps,
        }
    )
    return config, spec


def _balance(config: TrainConfig, game: GameSpec) -> tuple[int, int]:
    """(workers, threads of the learner): what is asked for; else by the CPUs, or in `async`, where
    it can be told, by measuring.
    """
    workers = system.resolve_num_workers(config.num_workers)
    threads = system.resolve_learner_threads(config.learner_threads, workers)
    if (
        config.mode != "async"
        or config.num_workers
        or config.device != "cpu"
        or config.learning_steps_per_batch != "adaptive"
    ):
        return workers, threads
    assert config.num_envs_per_worker is not None
    cpus = system.available_cpus()
    if threads > cpus:  # more than can run: nothing to be shared out
        return workers, threads
    split = measured_split(
        policy_of(config, game),
        learner_settings(config, game),
        num_envs=config.num_envs_per_worker,
        bfloat16=config.actor_precision == "bfloat16",
        plies_per_update=config.batch_size / config.samples_per_insert,
        cpus=cpus,
        threads=config.learner_threads,
    )
    return split.workers(cpus), split.learner_threads


def assemble(config: TrainConfig, game: GameSpec) -> Parts:
    """The parts of a run of a `resolved` configuration and its game."""
    assert config.num_workers is not None
    if config.deterministic and config.device != "cpu":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    policy = policy_of(config, game)
    if config.backend == "processes":
        check_main_module(policy)
        allow_open_files(config.num_workers)
    learner = Learner(
        policy, learner_settings(config, game), device=torch.device(config.device), seed=config.seed
    )
    rollout = _rollout_settings(config, policy)
    # as many again for those that left the pool while matches still use them
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
    _check_memory(_replay_bytes(config, game), shared)
    replay = _replay(config, game)
    training = Training(learner, replay, config.gamma, config.n_steps)

    opponents = _opponents_maker(config, learner.layout)
    # its errors should come before anything is started or written
    opponents(np.empty((0, learner.layout.size), np.float32))
    return Parts(
        num_workers=config.num_workers,
        rollout=rollout,
        learner=learner,
        replay=replay,
        schedule=Schedule(_schedule_settings(config)),
        num_snapshots=num_snapshots,
        num_versions=num_versions,
        shared_bytes=shared,
        opponents=opponents,
        agent=lambda: DQNAgent(policy, training=training),
    )


def _opponents_maker(
    config: TrainConfig, layout: FlatWeights
) -> Callable[[NDArray[np.float32]], OpponentManager]:
    """Return what makes the pool once there are slots for its snapshots."""
    assert config.opponents is not None
    shares = config.opponents

    def make(slots: NDArray[np.float32]) -> OpponentManager:
        return OpponentManager(
            shares,
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


def open_workers(config: TrainConfig, parts: Parts, *, notify: Callable[[str], None]) -> Workers:
    """The workers of a run, to be entered by a `with` block."""
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
        start_method=config.start_method or default_start_method(),
        notify=notify,
    )


def pacing(
    config: TrainConfig, parts: Parts, workers: Workers, opponents: OpponentManager
) -> Pacing:
    """Who waits for whom, as `mode` says."""
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


def describe(config: TrainConfig, parts: Parts) -> str:
    """Lines on what was resolved, and the memory that replay and workers will reserve."""
    counts = ((config.num_workers, "worker"), (config.learner_threads, "thread"))
    workers, threads = (f"{count} {what}{'' if count == 1 else 's'}" for count, what in counts)
    replay = _replay_bytes(config, parts.rollout.policy.game_spec)
    return (
        f"{config.game}: {workers} x {config.num_envs_per_worker} envs, {config.actor_precision}, "
        f"{config.bootstrap} bootstrap\n"
        f"learner on {config.device}, {threads}, {config.learner_precision}; {_MODES[config.mode]}\n"
        f"memory: replay {replay / 2**20:,.0f} MiB, shared with workers {parts.shared_bytes / 2**20:,.0f} MiB"
    )


def policy_of(config: TrainConfig, game: GameSpec) -> PolicySpec:
    """The game and the network."""
    return PolicySpec(
        config.game,
        NetworkSpec(config.policy_kwargs.network, config.policy_kwargs.network_arguments()),
        resolved=game,
    )


def learner_settings(config: TrainConfig, game: GameSpec) -> LearnerSettings:
    """The hyperparameters of an update, of a `resolved` configuration."""
    return LearnerSettings(
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        double_q=config.double_q,
        tau=config.tau,
        target_update_interval=config.target_update_interval,
        max_grad_norm=config.max_grad_norm,
        returns=game.returns if config.clip_targets else None,
        averaging=config.weight_averaging,
        threads=config.learner_threads or 1 if config.device == "cpu" else 1,
        bfloat16=config.learner_precision == "bfloat16",
    )


def _rollout_settings(config: TrainConfig, policy: PolicySpec) -> RolloutSettings:
    assert config.num_envs_per_worker is not None
    assert config.bootstrap is not None
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
    )


def _schedule_settings(config: TrainConfig) -> ScheduleSettings:
    assert config.learning_steps_per_batch is not None
    assert config.num_workers is not None
    per_worker = PerWorkerEpsilons(
        config.exploration_per_worker_eps, config.exploration_per_worker_alpha, config.num_workers
    )
    return ScheduleSettings(
        n_episodes=config.n_episodes,
        learning_steps=config.learning_steps_per_batch,
        samples_per_insert=config.samples_per_insert,
        batch_size=config.batch_size,
        learning_starts=config.learning_starts,
        exploration_initial_eps=config.exploration_initial_eps,
        exploration_final_eps=config.exploration_final_eps,
        exploration_fraction=config.exploration_fraction,
        per_worker=per_worker if config.exploration == "per_worker" else None,
        beta0=config.prioritized_replay_beta0,
        beta1=config.prioritized_replay_beta1,
        learning_rate=config.learning_rate,
        learning_rate_schedule=config.learning_rate_schedule,
    )


def _replay(config: TrainConfig, spec: GameSpec) -> Replay | DeviceReplay:
    """In this process's memory, or where the learner is a GPU, in the GPU's."""
    capacity, device = config.buffer_size, torch.device(config.device)
    dtype, exponent = (
        transition_dtype(spec),
        (config.prioritized_replay_alpha, config.prioritized_replay_eps),
    )
    augmentation = (
        RandomSymmetry(spec) if config.symmetry_augmentation and spec.symmetries else None
    )
    if device.type == "cuda":
        there = (
            DevicePrioritized(capacity, *exponent, device)
            if config.prioritized_replay
            else DeviceUniform()
        )
        return DeviceReplay(dtype, capacity, there, device, augmentation)
    sampler = (
        PrioritizedSampler(capacity, *exponent) if config.prioritized_replay else UniformSampler()
    )
    return Replay(ReplayBuffer(dtype, capacity), sampler, augmentation)


def _replay_bytes(config: TrainConfig, game: GameSpec) -> int:
    return config.buffer_size * transition_dtype(game).itemsize


def _check_memory(replay: int, shared: int) -> None:
    """Shared memory is reserved page by page: asking for more than there is would end this process
    or another, not raise an error.
    """
    available = system.available_memory()
    if replay + shared > available:
        raise ConfigurationError(
            "not enough memory",
            got=f"{replay / 2**30:,.1f} GiB of replay and {shared / 2**30:,.1f} GiB for workers and snapshots",
            expected=f"at most {available / 2**30:,.1f} GiB",
            remedy="lower buffer_size, max_snapshots or num_workers",
        )


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    count = torch.cuda.device_count() if device.type == "cuda" else 1
    if (device.index or 0) >= count:
        known = ["cpu", *(f"cuda:{i}" for i in range(count))] if count else ["cpu"]
        raise ConfigurationError(
            "device",
            got=name,
            expected=f"one of {', '.join(known)} on this machine",
            remedy="leave it out to choose by itself",
        )
    return device


def _precision(device: torch.device) -> str:
    """bfloat16 where the CPU multiplies matrices of it in hardware: by its flags, not by a
    stopwatch.
    """
    return "bfloat16" if device.type == "cpu" and has_bfloat16() else "float32"


def _bootstrap(asked: str | None, zero_sum_allowed: bool, game: str) -> str:
    if asked == "zero_sum" and not zero_sum_allowed:
        raise ConfigurationError(
            "bootstrap",
            got="zero_sum",
            expected=f"own_turn, as {game} is not declared a zero-sum game of two without hidden information",
        )
    return asked or ("zero_sum" if zero_sum_allowed else "own_turn")
