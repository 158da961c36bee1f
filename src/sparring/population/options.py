"""Settings of a population, and those of its members that follow from them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch

from sparring.config import system
from sparring.config.schema import TrainConfig
from sparring.dqn.networks import TABLES
from sparring.errors import ConfigurationError, nearest
from sparring.games.rng import stream_key
from sparring.opponents.names import AGENT_SCHEME, is_agent

# Settings that population-based training may change, with the most that each may be.
TUNABLE: Final = {
    "learning_rate": 1.0,
    "samples_per_insert": 1_000.0,
    "exploration_final_eps": 1.0,
    "opponent_epsilon": 1.0,
}
SHARED: Final = "shared"  # folder of a population with the snapshots that its members share
_MAX_AGENTS: Final = 1_000
_SPREAD: Final = 2.0  # first values lie within this factor of those that were given
_SPREADING: Final = 0x504F_5055_0001
_DEVICES: Final = "auto, one device for all, or one for each agent: cuda:0,cuda:1,..."


@dataclass(frozen=True)
class PopulationOptions:
    """`pbt`: settings that population-based training changes; `pbt_interval`: evaluations of a
    member between its decisions.
    """

    agents: int
    devices: str = "auto"
    shared_pool: bool = False
    pbt: tuple[str, ...] = ()
    pbt_interval: int = 2


def check_options(options: PopulationOptions, config: TrainConfig) -> None:
    """Raise `ConfigurationError` for options that cannot work."""
    if not 1 <= options.agents <= _MAX_AGENTS:
        raise ConfigurationError("agents", got=options.agents, expected=f"1 to {_MAX_AGENTS:,}")
    if options.pbt_interval < 1:
        raise ConfigurationError("pbt_interval", got=options.pbt_interval, expected="1 or more")
    if config.seed + options.agents > 2**63:
        raise ConfigurationError(
            "seed", got=config.seed, expected=f"at most 2^63 - {options.agents}, for all agents"
        )
    for name in options.pbt:
        if name not in TUNABLE:
            raise ConfigurationError(
                "unknown setting of pbt",
                got=repr(name),
                expected=f"one of {', '.join(TUNABLE)}",
                remedy=nearest(name, TUNABLE),
            )
    if len(set(options.pbt)) < len(options.pbt):
        got = ",".join(options.pbt)
        raise ConfigurationError("pbt", got=got, expected="each setting once")
    if options.pbt and options.agents < 2:
        raise ConfigurationError("pbt", got="1 agent", expected="at least 2 to compare")
    if "samples_per_insert" in options.pbt and config.learning_steps_per_batch != "adaptive":
        raise ConfigurationError(
            "pbt of samples_per_insert",
            got=f"learning_steps_per_batch {config.learning_steps_per_batch or 'auto'}",
            expected="adaptive",
        )


def devices_of(text: str, agents: int) -> list[str]:
    """Return the device of each agent. auto: the GPUs in turn, or the CPU without one."""
    names = [name.strip() for name in text.split(",")]
    if names == ["auto"]:
        names = [f"cuda:{number}" for number in range(torch.cuda.device_count())] or ["cpu"]
        return [names[member % len(names)] for member in range(agents)]
    if len(names) not in (1, agents) or not all(names):
        noun = "device" if len(names) == 1 else "devices"
        raise ConfigurationError(
            f"devices of {agents} agents", got=f"{len(names)} {noun}", expected=_DEVICES
        )
    return names * agents if len(names) == 1 else names


def cpus_of(agents: int) -> list[int]:
    """Return the CPUs of each agent: all that are available, divided evenly, at least one each."""
    cpus = system.available_cpus()
    return [max(1, cpus // agents + (member < cpus % agents)) for member in range(agents)]


def member_configs(
    config: TrainConfig, options: PopulationOptions, folder: Path
) -> list[TrainConfig]:
    """Return the settings of each member, which is a run in `folder`.

    Member k has seed + k. One CPU of each is for the learner; its workers have the rest. With
    population-based training all members but the first start with other values of the settings
    that it changes: the given one times 1/2 to 2, drawn evenly on a logarithmic scale.
    """
    tables = config.policy_kwargs.network == TABLES  # are learned on the CPU only
    text = "cpu" if tables and options.devices == "auto" else options.devices
    devices, cpus = devices_of(text, options.agents), cpus_of(options.agents)
    shared = str(folder.absolute() / SHARED) if options.shared_pool else ""
    return [
        config.model_copy(
            update={
                "name": f"member-{member}",
                "runs_dir": str(folder),
                "seed": config.seed + member,
                "device": devices[member],
                "opponents": _from(config.runs_dir, config.opponents),
                "pool_dir": shared,
                **_cpu_settings(config, cpus[member]),
                **_first_values(config, options.pbt, member),
            }
        )
        for member in range(options.agents)
    ]


def _cpu_settings(config: TrainConfig, cpus: int) -> dict[str, int]:
    workers = config.num_workers or max(1, cpus - 1)
    threads = config.learner_threads or max(1, cpus - workers)
    return {"num_workers": workers, "learner_threads": threads}


def _first_values(config: TrainConfig, tuned: Sequence[str], member: int) -> dict[str, float]:
    if member == 0:
        return {}
    rng = np.random.default_rng(stream_key(config.seed, _SPREADING, member))
    factors = _SPREAD ** rng.uniform(-1.0, 1.0, len(tuned))
    return {
        name: within(name, getattr(config, name) * float(factor))
        for name, factor in zip(tuned, factors, strict=True)
    }


def within(name: str, value: float) -> float:
    """Return a value of a setting that may be changed, within its range and in four digits."""
    return min(TUNABLE[name], float(f"{value:.4g}"))


def _from(runs_dir: str, opponents: dict[str, float] | None) -> dict[str, float] | None:
    """Opponents in which `agent:RUN` names a run in `runs_dir`, wherever the members are."""
    if opponents is None:
        return None
    return {_anywhere(runs_dir, name): share for name, share in opponents.items()}


def _anywhere(runs_dir: str, opponent: str) -> str:
    run = opponent.removeprefix(AGENT_SCHEME)
    if not is_agent(opponent) or os.path.isfile(run):
        return opponent
    where, slash, snapshot = run.partition("/snapshot:")
    return opponent if os.sep in where else f"{AGENT_SCHEME}{runs_dir}/{where}{slash}{snapshot}"
