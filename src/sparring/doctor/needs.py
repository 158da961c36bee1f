"""Needs of a run on its machine, from its settings."""

from __future__ import annotations

from dataclasses import dataclass, field

from sparring.config import system
from sparring.config.schema import ResolvedConfig, TrainConfig
from sparring.dqn.networks import count_all_weights
from sparring.games import GameSpec
from sparring.opponents.pool import check_shares
from sparring.replay.build import replay_bytes
from sparring.runtime import FILES_A_WORKER
from sparring.training.assembly import policy_of, rollout_settings, shared_with_workers
from sparring.training.inference import check_server, files_a_worker, may_be_served
from sparring.training.needs import Needed, checkpoint_bytes, memory_needed
from sparring.training.resolve import opponents_from_outside, resolved


@dataclass(frozen=True)
class Needs:
    """The defaults are those of a run that fits anywhere."""

    device: str = "cpu"  # as asked for: auto, cpu, cuda:1
    backend: str = "processes"
    num_workers: int = 2
    learner_threads: int = 1
    files_a_worker: int = FILES_A_WORKER  # open in the main process
    may_be_served: bool = False  # on a GPU, where a run chooses an inference server by itself
    memory: Needed = field(default_factory=dict)
    shared: int = 0  # bytes that workers and learner share
    replay: int = 0  # bytes, which lie on a GPU where one learns
    checkpoint: int = 0  # bytes
    weights: int = 0  # bytes of one network
    ray_address: str | None = None

    @property
    def starts_processes(self) -> bool:
        """True if workers are processes of this machine."""
        return self.backend == "processes"


def ray_address_of(config: TrainConfig) -> str | None:
    """Return the address of the Ray cluster that a run uses, or that is named all the same."""
    return config.ray_address if config.backend == "ray" or config.ray_address != "auto" else None


def needs_of(config: TrainConfig) -> Needs:
    """Return the needs of a run; nothing of it is made but, for a network of a user, the network.

    Raises `ConfigurationError` for settings with which it could not start on any machine.
    """
    # `async` with an open number of workers would measure for seconds
    workers = system.resolve_num_workers(config.num_workers)
    decided, game = resolved(config.model_copy(update={"device": "cpu", "num_workers": workers}))
    check_server(decided)
    check_shares(decided.opponents, decided.game, decided.max_opponents_per_worker)
    opponents_from_outside(decided, game)
    return _needs(decided, game, device=config.device, open_inference=config.inference is None)


def _needs(
    config: ResolvedConfig, game: GameSpec, *, device: str, open_inference: bool = False
) -> Needs:
    policy = policy_of(config, game)
    size = count_all_weights(policy)
    seen = policy.network_game
    processes = config.backend == "processes"
    shared = shared_with_workers(config, rollout_settings(config, policy), size) if processes else 0
    return Needs(
        device=device,
        backend=config.backend,
        num_workers=config.num_workers,
        learner_threads=config.learner_threads,
        files_a_worker=files_a_worker(config),
        may_be_served=open_inference and may_be_served(config, policy),
        memory=memory_needed(config, seen, num_weights=size, shared=shared),
        shared=shared,
        replay=replay_bytes(seen, config),
        checkpoint=checkpoint_bytes(config, seen, size),
        weights=4 * size,
        ray_address=ray_address_of(config),
    )
