"""Place of the workers' networks: in the workers, or on a server (setting `inference`).

By itself a run has a server only on its GPU, and only where that is faster: by rule in `sync` and
`overlap`, in which the machine's speed must not decide what is learned, and by measurement in
`async`.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np
import torch

from sparring.config import system
from sparring.config.schema import ResolvedConfig, TrainConfig
from sparring.dqn.networks import FACTORIES, PolicySpec, build_network
from sparring.dqn.policy import InferencePolicy
from sparring.errors import ConfigurationError
from sparring.opponents.names import lookahead_of
from sparring.runtime import (
    FILES_A_SERVED_WORKER,
    FILES_A_WORKER,
    MAX_SERVED_WORKERS,
    InferenceSettings,
    torch_threads,
)
from sparring.training.autotune import rate

# By rule a server needs a network of so many multiplications a position, and so many positions at a
# time. A CPU core makes 10 to 50 thousand millions a second: at this size more than 20 microseconds
# a position, several times what its transport takes.
_MULTIPLICATIONS: Final = 1_000_000
_POSITIONS: Final = 256


def server_of(config: ResolvedConfig) -> InferenceSettings | None:
    """The server of a run, None if the networks are in the workers.

    Requests share their batches where two runs are never alike anyway: in `async`, and on a GPU
    without `deterministic`.
    """
    if config.inference == "workers":
        return None
    on_gpu = config.device != "cpu"
    joined = config.mode == "async" or (on_gpu and not config.deterministic)
    return InferenceSettings(config.device, joined)


def files_a_worker(config: ResolvedConfig) -> int:
    """Open files of the main process for each worker."""
    return FILES_A_SERVED_WORKER if config.inference == "server" else FILES_A_WORKER


def check_server(config: ResolvedConfig) -> None:
    """Raise `ConfigurationError` for a server that cannot be."""
    if config.inference == "workers":
        return
    if ahead := _looking_ahead(config):
        raise ConfigurationError(
            f"inference=server with opponent {ahead}",
            expected="inference=workers, in which the agent's network is at hand",
            remedy="leave inference out",
        )
    if config.backend not in ("processes", "inline"):
        raise ConfigurationError(
            f"inference=server with backend={config.backend}",
            expected="backend=processes, whose workers share memory with the server",
            remedy="leave inference out",
        )
    if config.num_workers > MAX_SERVED_WORKERS:
        raise ConfigurationError(
            "num_workers with inference=server",
            got=config.num_workers,
            expected=f"at most {MAX_SERVED_WORKERS}",
            remedy="use fewer workers with more envs each, or inference=workers",
        )


def with_inference(
    config: ResolvedConfig, policy: PolicySpec, asked: TrainConfig
) -> tuple[ResolvedConfig, str]:
    """Return the configuration, with a server where the choice was left open and one is faster; and
    a line that says where the networks are and why.
    """
    if asked.inference is not None:
        return config, where(config)
    on_server, why = _decide(config, policy)
    config = config.model_copy(update={"inference": "server" if on_server else "workers"})
    return config, f"{where(config)}: {why}"


def where(config: ResolvedConfig) -> str:
    """A line that says where the networks are."""
    server = server_of(config)
    if server is None:
        return "networks play in the workers"
    if config.backend == "inline":
        return "networks play inline, asked as a server is"
    batches = "batches are shared, no two runs are alike" if server.joined else "a batch a request"
    return f"networks play on a server on {server.device} ({batches})"


def _looking_ahead(config: ResolvedConfig) -> str:
    """An opponent that searches with the agent's network, "" if there is none."""
    opponents = config.opponents.items()
    return next((name for name, share in opponents if share > 0.0 and lookahead_of(name)), "")


def _decide(config: ResolvedConfig, policy: PolicySpec) -> tuple[bool, str]:
    if config.device == "cpu" and config.backend == "processes":
        return False, "the device is no GPU"
    served, why = _on_a_gpu(config, policy)
    if served and config.mode == "async":
        return by_measurement(*_measured(config, policy, _positions(config)))
    return served, why


def may_be_served(config: ResolvedConfig, policy: PolicySpec) -> bool:
    """Return whether a run could choose a server by itself if it learned on a GPU."""
    return _on_a_gpu(config, policy)[0]


def _on_a_gpu(config: ResolvedConfig, policy: PolicySpec) -> tuple[bool, str]:
    """Return the choice by rule for a GPU, and its reason; in `async` measurements have to say."""
    if config.backend != "processes":
        return False, f"backend {config.backend}"
    if ahead := _looking_ahead(config):
        return False, f"opponent {ahead} searches there"
    if config.num_workers > MAX_SERVED_WORKERS:
        return False, f"a server has at most {MAX_SERVED_WORKERS}"
    if config.mode == "async":
        return True, ""
    return by_rule(multiplications(policy), _positions(config))


def _positions(config: ResolvedConfig) -> int:
    """Positions that all workers ask for at a time: half of their envs."""
    return config.num_workers * -(-config.num_envs_per_worker // 2)


def by_rule(multiplied: int, positions: int) -> tuple[bool, str]:
    """Return whether a server on a GPU pays, and the reason: for a network of so many
    multiplications a position, and so many `positions` that are asked for at a time.
    """
    if multiplied < _MULTIPLICATIONS:
        size = f"{multiplied:,} multiplications a position"
        return False, f"the network is small, {size}, below {_MULTIPLICATIONS:,}"
    if positions < _POSITIONS:
        return False, f"{positions} positions at a time are few, below {_POSITIONS}"
    return True, f"{multiplied:,} multiplications a position, {positions:,} positions at a time"


def by_measurement(in_workers: float, on_server: float) -> tuple[bool, str]:
    """The same by positions a second."""
    figures = f"{in_workers:,.0f} positions/s in the workers, {on_server:,.0f} on the GPU, measured"
    return on_server > in_workers, figures


def multiplications(policy: PolicySpec) -> int:
    """Multiplications of a pass over one position."""
    from torch.utils.flop_counter import FlopCounterMode  # takes a while, and is seldom needed

    spec = policy.network_game
    device = "meta" if policy.network.factory in FACTORIES else "cpu"
    with torch.device(device), torch.no_grad(), FlopCounterMode(display=False) as counter:
        network = build_network(policy).eval()
        dtype = torch.from_numpy(np.zeros(0, spec.observation_dtype)).dtype
        network(torch.zeros((1, *spec.observation_shape), dtype=dtype))
    return int(counter.get_total_flops()) // 2  # an addition goes with each


def _measured(config: ResolvedConfig, policy: PolicySpec, positions: int) -> tuple[float, float]:
    """Positions a second of all workers, if they have the CPUs for themselves, and of the GPU."""
    spec, bfloat16 = policy.network_game, config.actor_precision == "bfloat16"
    seen = np.zeros((positions, *spec.observation_shape), spec.observation_dtype)
    part = seen[: config.num_envs_per_worker]
    with torch_threads(1):
        own = InferencePolicy(policy, bfloat16=bfloat16)
        one_worker = len(part) * rate(partial(own.q_values, part))
    served = InferencePolicy(policy, bfloat16=bfloat16, device=torch.device(config.device))
    on_server = positions * rate(partial(served.q_values, seen))
    return one_worker * min(config.num_workers, system.available_cpus()), on_server
