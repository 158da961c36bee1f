"""Settings that were left open ("auto"), decided from the machine's CPUs, its GPU and the game."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import torch

from sparring.config import system
from sparring.config.devices import device_names
from sparring.config.schema import Precision, ResolvedConfig, TrainConfig
from sparring.config.sources import read_toml, to_toml
from sparring.dqn.kernels import has_bfloat16
from sparring.dqn.networks import FACTORIES, TABLES
from sparring.dqn.start_weights import StartWeights, read_start_weights
from sparring.dqn.trainable import check_afterstates, resolve_bootstrap, resolve_device
from sparring.errors import ConfigurationError, FileFormatError
from sparring.games import GameSpec, make, spec_of, with_players
from sparring.opponents.roster import Roster, load_roster, opponent_name
from sparring.opponents.scripted import default_shares
from sparring.runtime import default_start_method, torchrun_size
from sparring.training.assembly import policy_of
from sparring.training.autotune import measured_split

# Settings that make no difference to the agent.
_MAKE_NO_AGENT: Final = (
    "name", "runs_dir", "device", "log_interval", "tensorboard", "backend", "start_method",
    "ray_address", "ray_insecure",
    "init_from",  # its SHA-256 does
)  # fmt: skip


def resolved(config: TrainConfig) -> tuple[ResolvedConfig, GameSpec]:
    """Return the configuration with every setting decided and checked, and the spec of its game.

    The name of the game is resolved here alone.
    """
    spec = _game(config)
    tables = config.policy_kwargs.network == TABLES
    device = _devices(config)[0]
    workers = system.resolve_num_workers(config.num_workers)
    open_settings = {
        "game": spec.name,
        "num_players": spec.num_players,
        "opponents": _opponents(config, spec),
        "num_envs_per_worker": config.num_envs_per_worker or config.episodes_per_batch,
        "num_workers": workers,
        "learner_threads": 1
        if tables
        else system.resolve_learner_threads(config.learner_threads, workers),
        "inference": config.inference or "workers",  # `with_inference` may choose a server
        "start_method": config.start_method or default_start_method(),
        "device": str(device),
        "actor_precision": config.actor_precision or _precision(config, torch.device("cpu")),
        "learner_precision": config.learner_precision or _precision(config, device),
        "bootstrap": resolve_bootstrap(config.bootstrap, spec),
        "afterstates": _afterstates(config, spec),
        "pool_dir": config.pool_dir and os.path.abspath(config.pool_dir),
        "symmetry_augmentation": config.symmetry_augmentation and not tables,
        "learning_steps_per_batch": _learning_steps(config, workers),
    }
    settings = {name: getattr(config, name) for name in TrainConfig.model_fields}
    decided = ResolvedConfig(**{**settings, **open_settings})
    return _balanced(decided, spec, asked=config), spec


def _devices(config: TrainConfig) -> list[torch.device]:
    """Return the device of each learner. Raises `ConfigurationError` for one that is not there, and
    for n-tuple tables elsewhere than on the CPU.
    """
    if config.policy_kwargs.network == TABLES:
        got, expected = config.devices or config.device, f"cpu: network {TABLES} works there only"
        if got not in ("auto", "cpu"):
            remedy = (
                "remove it, choose a preset that ends in -dqn, or another policy_kwargs.network"
            )
            raise ConfigurationError("device", got=got, expected=expected, remedy=remedy)
        return [torch.device("cpu")]
    names = [config.device] if config.devices is None else device_names(config.devices)
    devices = [resolve_device(name) for name in names]
    ranks = torchrun_size()
    if ranks > 1 and ranks != len(devices):
        raise ConfigurationError(
            "devices",
            got=config.devices or "one device",
            expected=f"{ranks} devices, one for each rank of torchrun",
        )
    twice = devices[0].type == "cuda" and len(set(devices)) < len(devices)
    if twice and not ranks:
        raise ConfigurationError("devices", got=config.devices, expected="each GPU once")
    return devices


def with_start_weights(config: ResolvedConfig) -> tuple[ResolvedConfig, StartWeights | None]:
    """Return the configuration with absolute path and SHA-256 of `init_from`, and what it holds.

    Raises `FileFormatError` if that cannot be used, or is not what the configuration names.
    """
    if not config.init_from:
        return config, None
    start = read_start_weights(Path(config.init_from).absolute())
    if config.init_from_sha256 not in ("", start.sha256):
        raise FileFormatError(
            f"init_from: SHA-256 of {start.path}",
            got=start.sha256,
            expected=config.init_from_sha256,
            remedy="leave init_from_sha256 out to start with another file",
        )
    noted = {"init_from": str(start.path), "init_from_sha256": start.sha256}
    return config.model_copy(update=noted), start


def same_seed_remark(run: Path, config: ResolvedConfig) -> str:
    """A line where another run beside `run` has the same settings and seed: it makes the same
    agent. "" where there is none, and for `async`, minutes and a shared pool, which are not
    reproducible.
    """
    if config.mode == "async" or config.max_minutes is not None or config.pool_dir:
        return ""
    own = tomllib.loads(to_toml(config))
    for other in sorted(run.parent.glob("*/config.toml")):
        if other.parent != run and _same_agent(other, own):
            return (
                f"\nsame settings and seed as {other.parent}: the agents will be identical; "
                f"--seed {config.seed + 1} makes another one"
            )
    return ""


def _same_agent(file: Path, own: Mapping[str, object]) -> bool:
    try:
        settings = read_toml(file)
    except FileFormatError:
        return False
    names = (settings.keys() | own.keys()) - set(_MAKE_NO_AGENT)
    return all(settings.get(name) == own.get(name) for name in names)


def _game(config: TrainConfig) -> GameSpec:
    if config.num_players is None:
        return spec_of(config.game)
    return with_players(config.game, config.num_players)


def _opponents(config: TrainConfig, spec: GameSpec) -> dict[str, float]:
    """Shares by the one spelling of each name."""
    if not config.opponents:
        return default_shares(spec.name)
    shares = {opponent_name(name): share for name, share in config.opponents.items()}
    if len(shares) < len(config.opponents):
        raise ConfigurationError(
            "opponents", got=", ".join(config.opponents), expected="each opponent once"
        )
    return shares


def opponents_from_outside(
    config: ResolvedConfig,
    game: GameSpec,
    kept: Path | None = None,
    playing: Collection[str] = (),
) -> Roster:
    """Load and try out the players of users and the agents that a run plays against; `kept` is the
    run's folder with copies of the agents, `playing` are opponents in matches in progress.
    """
    network = config.policy_kwargs.network
    roster = load_roster(
        {name for name, share in config.opponents.items() if share > 0.0}.union(playing),
        game,
        runs_dir=config.runs_dir,
        network=None if network in FACTORIES else network,
        kept=kept,
    )
    roster.try_out(partial(make, game.name))
    return roster


def _balanced(config: ResolvedConfig, game: GameSpec, *, asked: TrainConfig) -> ResolvedConfig:
    """Return the configuration with workers and learner threads that share the CPUs best.

    Only `async` measures, and only where the number of workers is open and the replay ratio says
    how much learning goes with how much play.
    """
    cpus = system.available_cpus()
    if (
        config.mode != "async"
        or asked.num_workers
        or config.device != "cpu"
        or config.devices is not None
        or config.learning_steps_per_batch != "adaptive"
        or config.policy_kwargs.network == TABLES  # on one thread
        or config.learner_threads > cpus  # more than can run: nothing to share out
    ):
        return config
    split = measured_split(
        policy_of(config, game),
        config,
        num_envs=config.num_envs_per_worker,
        actor_bfloat16=config.actor_precision == "bfloat16",
        learner_bfloat16=config.learner_precision == "bfloat16",
        plies_per_update=config.batch_size / config.samples_per_insert,
        cpus=cpus,
        threads=asked.learner_threads,
    )
    shares = {"num_workers": split.workers(cpus), "learner_threads": split.learner_threads}
    return config.model_copy(update=shares)


def _learning_steps(config: TrainConfig, workers: int) -> object:
    """Updates per round; by default one per match."""
    return config.learning_steps_per_batch or workers * config.episodes_per_batch


def _precision(config: TrainConfig, device: torch.device) -> Precision:
    """bfloat16 where the CPU multiplies matrices of it in hardware, by its flags: a measurement
    would make runs differ. Networks of users work in float32.
    """
    ours = config.policy_kwargs.network in FACTORIES and config.policy_kwargs.network != TABLES
    return "bfloat16" if ours and device.type == "cpu" and has_bfloat16() else "float32"


def _afterstates(config: TrainConfig, spec: GameSpec) -> str:
    """With chance, a Q-network has to learn what each move does from one sample of the dice at a
    time; a value of the position after it does not.
    """
    if config.afterstates == "on":
        check_afterstates(spec)
    suits = spec.chance or config.policy_kwargs.network == TABLES
    decided = config.afterstates or ("on" if suits and spec.afterstates else "off")
    if decided == "off" and config.td_lambda < 1.0:
        raise ConfigurationError(
            "td_lambda", got=config.td_lambda, expected="1, or afterstates = on"
        )
    return decided
