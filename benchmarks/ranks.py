"""Updates per second of two learners (ranks) on the CPU that share each minibatch, beside one
learner with two threads and one with one thread, in turns.

    python benchmarks/ranks.py                     about two minutes
    python benchmarks/ranks.py --seconds 5 --cases mlp-4096

Connect Four, full replays of 50,000 transitions, no play meanwhile. Each side makes series of 40
updates for the given time, one after another; the figures are medians of the turns, the ratios
medians of the ratios within a turn. Two CPUs are needed.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final

import tyro

from sparring.bench.measure import repeated
from sparring.bench.sessions import QUIET
from sparring.bench.work import transitions
from sparring.config.sources import build_config
from sparring.config.system import available_cpus
from sparring.training.assembly import Parts, assemble
from sparring.training.other_ranks import other_ranks
from sparring.training.resolve import resolved

STORED: Final = 50_000
SERIES: Final = 40  # updates of a call
TURNS: Final = 5
MLP: Final[dict[str, Any]] = {"policy_kwargs": {"net_arch": [256, 256]}}
RESNET: Final[dict[str, Any]] = {
    "policy_kwargs": {"network": "resnet", "channels": 32, "blocks": 2}
}
CASES: Final[dict[str, dict[str, Any]]] = {
    "mlp-256": {**MLP, "batch_size": 256},
    "mlp-256-prioritized": {**MLP, "batch_size": 256, "prioritized_replay": True},
    "mlp-4096": {**MLP, "batch_size": 4096},
    "resnet-256": {**RESNET, "batch_size": 256},
}
SIDES: Final[dict[str, dict[str, Any]]] = {
    "two_ranks": {"devices": "cpu:2", "learner_threads": 2},
    "two_threads": {"learner_threads": 2},
    "one_thread": {"learner_threads": 1},
}


def main(seconds: float = 2.0, cases: tuple[str, ...] = tuple(CASES)) -> int:
    """Print one JSON object; exit status 2 with fewer than two CPUs.

    Args:
        seconds: for each side and turn.
        cases: mlp-256, mlp-256-prioritized, mlp-4096, resnet-256.
    """
    if available_cpus() < 2:
        print("ranks: two CPUs are needed", file=sys.stderr)
        return 2
    print(json.dumps({name: measured(CASES[name], seconds) for name in cases}, indent=1))
    return 0


def measured(changes: dict[str, Any], seconds: float) -> dict[str, float]:
    """Rates of all sides, and their ratios to the ranks."""
    with ExitStack() as stack:
        sides = {
            name: repeated(updates(stack, {**changes, **side}), seconds, time.perf_counter)
            for name, side in SIDES.items()
        }
        turns = [{name: side() for name, side in sides.items()} for _ in range(TURNS)]
    rates = {name: statistics.median(turn[name] for turn in turns) for name in sides}
    ratios = {
        f"two_ranks / {name}": statistics.median(turn["two_ranks"] / turn[name] for turn in turns)
        for name in ("two_threads", "one_thread")
    }
    return {
        **{name: round(rate, 1) for name, rate in rates.items()},
        **{name: round(ratio, 3) for name, ratio in ratios.items()},
    }


def updates(stack: ExitStack, changes: dict[str, Any]) -> Callable[[], int]:
    """Return a function that makes a series of updates; other ranks end with `stack`."""
    common = {**QUIET, "game": "connect_four", "backend": "inline", "buffer_size": STORED}
    config, game = resolved(build_config(overrides={**common, **changes}))
    parts: Parts = assemble(config, game)
    stack.enter_context(other_ranks(config, parts))
    parts.replay.extend(transitions(parts.rollout.policy, STORED)[:STORED])
    return lambda: parts.learner.update(parts.replay, SERIES, beta=0.5).updates


if __name__ == "__main__":
    sys.exit(tyro.cli(main, description=__doc__))
