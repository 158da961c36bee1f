"""Turns of the drivers of the peers: each works when it is asked to.

A driver reads orders from standard input, one JSON object a line, and answers each with one line:

    {"plies_per_update": 64, "threads": 1, "seconds": 10}
    {"plies_per_s": 5400.0, "updates_per_s": 84.4, ...}

`plies_per_update` null means play without learning. Its first line, once it can play steadily, says
what it is. Between two orders it waits, so that the sides of a comparison disturb one another as
little as possible, and what it takes to start counts for none of them. An update is a step of a
torch optimizer, counted by a hook and not by what the library says of itself.

This file runs in the environments of the peers, where nothing of Sparring is installed.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from typing import Any, Final, Protocol

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

WARM_UP: Final = 1.0  # seconds at the beginning of a turn that do not count: caches, clocks
BATCH: Final = 256
REPLAY: Final = 100_000
HIDDEN: Final = (256, 256)
EPSILON: Final = 0.1
LEARNING_RATE: Final = 1e-3


class Side(Protocol):
    """One library at work; `plies` counts all that were played so far."""

    plies: int
    plies_per_update: int | None

    def play_match(self) -> None:
        """Play one match, with an update after every `plies_per_update` plies."""


def serve(side: Side, versions: Mapping[str, str]) -> None:
    """Announce the side, then play as ordered until there are no more orders."""
    steps = _StepCounter()
    _say({"versions": {**versions, "torch": torch.__version__}})
    for line in sys.stdin:
        order = json.loads(line)
        torch.set_num_threads(order["threads"])
        side.plies_per_update = order["plies_per_update"]
        _play(side, min(WARM_UP, order["seconds"]))
        plies, updates, cpu, begun = (
            side.plies,
            steps.count,
            time.process_time(),
            time.perf_counter(),
        )
        _play(side, order["seconds"])
        seconds = time.perf_counter() - begun
        figures = {
            "plies_per_s": (side.plies - plies) / seconds,
            "updates_per_s": (steps.count - updates) / seconds,
            "cpus": (time.process_time() - cpu) / seconds,
        }
        _say({name: round(value, 3) for name, value in figures.items()})


def _play(side: Side, seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        side.play_match()


class _StepCounter:
    """Counts the steps of all optimizers of this process."""

    def __init__(self) -> None:
        self.count = 0
        register_optimizer_step_post_hook(self._stepped)

    def _stepped(self, *_: Any) -> None:
        self.count += 1


def _say(answer: Mapping[str, Any]) -> None:
    print(json.dumps(answer), flush=True)
