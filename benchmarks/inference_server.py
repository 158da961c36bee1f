"""States a second of workers with an inference server beside workers with networks of their own,
and the updates a second of a learner on the same device meanwhile.

    python benchmarks/inference_server.py                      # on the CPU
    python benchmarks/inference_server.py --device cuda --num-workers 14

Connect Four, self-play; both kinds of workers take turns in one run, in slices of `--seconds`, and
figures are medians. A state is a position of an env, of which the network values those in which it
decides. On the CPU the server shares the cores with the workers, so it cannot win there: those
figures show what the way to the server costs. It has not run on a GPU yet.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import tyro

from sparring.bench.measure import turns
from sparring.bench.sessions import CONNECT_FOUR, open_session
from sparring.bench.work import MLP, RESNET
from sparring.bench.workers import open_group
from sparring.runtime import InferenceSettings

NETWORKS: Final = {"mlp": MLP, "resnet": RESNET}


def states(
    network: str, device: str, *, num_workers: int, num_envs: int, seconds: float, slices: int
) -> dict[str, float]:
    """Median states a second, by where the networks are: in the workers, on a server that answers
    each request by itself, and on one that joins them.
    """
    kinds = {
        "workers": None,
        "server": InferenceSettings(device, joined=False),
        "joined": InferenceSettings(device, joined=True),
    }
    with ExitStack() as stack:
        sides = {}
        for kind, inference in kinds.items():
            group = stack.enter_context(
                open_group(
                    NETWORKS[network],
                    num_workers,
                    "float32",
                    num_envs=num_envs,
                    inference=inference,
                )
            )
            group.slice(0.0)  # touches code and memory for the first time
            sides[kind] = lambda group=group: group.slice(seconds)
        rates = turns(sides, slices)
    return {kind: statistics.median(values) for kind, values in rates.items()}


def updates(
    network: str, device: str, *, num_workers: int, num_envs: int, seconds: float, slices: int
) -> dict[str, dict[str, float]]:
    """Median updates and states a second of whole runs in `async`, by where the networks are."""
    spec = NETWORKS[network].network
    paces: dict[str, list[Any]] = {"workers": [], "server": []}
    with ExitStack() as stack:
        sessions = {
            kind: stack.enter_context(
                _session(
                    {
                        "device": device,
                        "inference": kind,
                        "mode": "async",
                        "num_workers": num_workers,
                        "num_envs_per_worker": num_envs,
                        "learner_threads": 1,
                        "policy_kwargs": {"network": spec.factory, **spec.arguments},
                    },
                    seconds,
                )
            )
            for kind in paces
        }
        for _ in range(slices):
            for kind, session in sessions.items():
                paces[kind].append(session.slice(seconds))
    return {
        kind: {
            "updates_per_s": statistics.median(pace.updates_per_s for pace in measured),
            "states_per_s": statistics.median(pace.plies_per_s for pace in measured),
        }
        for kind, measured in paces.items()
    }


@contextmanager
def _session(options: dict[str, Any], seconds: float) -> Iterator[Any]:
    with open_session({**CONNECT_FOUR, **options}) as session:
        session.warm_up(seconds)
        yield session


def main(
    device: str = "cpu",
    num_workers: int = 2,
    num_envs: int = 256,
    seconds: float = 2.0,
    slices: int = 5,
    networks: tuple[str, ...] = tuple(NETWORKS),
    learner: bool = True,
) -> None:
    """Print one line of JSON a network."""
    how = {"num_workers": num_workers, "num_envs": num_envs, "seconds": seconds, "slices": slices}
    for network in networks:
        line: dict[str, Any] = {"network": network, "device": device, **how}
        line["states_per_s"] = states(network, device, **how)  # type: ignore[arg-type]
        if learner:
            line["with_learner"] = updates(network, device, **how)  # type: ignore[arg-type]
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    tyro.cli(main)
