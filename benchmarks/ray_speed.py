"""Plies per second of workers as Ray actors beside workers as processes, in turns in one run.

    python benchmarks/ray_speed.py --workers 2 --slices 6 --seconds 5

Connect Four with the network of the preset `quick-dqn`, two rounds in flight, on a local Ray
cluster; each slice plays whole rounds with one kind of workers while the other kind is idle.
"""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack

import numpy as np
import tyro

from sparring.config.sources import build_config
from sparring.opponents.players import AGENT, AGENT_NAME, Opponent, Plan
from sparring.rollout.round import RoundCommand
from sparring.runtime import Workers
from sparring.training.assembly import assemble, open_workers
from sparring.training.resolve import resolved

SELF = Plan((Opponent(AGENT, AGENT_NAME),), (1.0,))


class Player:
    """Keeps two rounds in flight, and counts plies."""

    def __init__(self, workers: Workers, count: int, episodes: int, size: int) -> None:
        self._workers, self._count, self._episodes = workers, count, episodes
        self._round = 0
        weights = np.random.default_rng(0).normal(0.0, 0.05, size).astype(np.float32)
        workers.weights.publish(0, weights)

    def play(self, seconds: float) -> float:
        """Return plies per second of whole rounds, for about so many seconds."""
        self._start()
        self._start()
        self._workers.finish_round().release()
        began, plies = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            self._start()
            batch = self._workers.finish_round()
            plies += batch.plies
            batch.release()
        rate = plies / (time.perf_counter() - began)
        self._workers.finish_round().release()
        return rate

    def _start(self) -> None:
        for worker in range(self._count):
            command = RoundCommand(self._round, 0, 0.1, SELF, self._episodes)
            self._workers.start(worker, command)
        self._round += 1


def main(workers: int = 2, slices: int = 6, seconds: float = 5.0, address: str = "local") -> None:
    with ExitStack() as stack:
        players = {}
        for backend in ("processes", "ray"):  # the fork server starts before Ray's threads do
            changes = {"backend": backend, "num_workers": workers, "device": "cpu"}
            overrides = {**changes, "ray_address": address}
            config, game = resolved(build_config(preset="quick-dqn", overrides=overrides))
            parts = assemble(config, game)
            opened = stack.enter_context(open_workers(config, parts, notify=print))
            size = parts.learner.layout.size
            players[backend] = Player(opened, workers, config.episodes_per_batch, size)
        for each in players.values():
            each.play(1.0)  # compiles and imports
        rates: dict[str, list[float]] = {backend: [] for backend in players}
        for _ in range(slices):
            for backend, each in players.items():
                rates[backend].append(each.play(seconds))
    for backend, measured in rates.items():
        spread = f"{min(measured):,.0f} to {max(measured):,.0f}"
        print(f"{backend:10} {statistics.median(measured):10,.0f} plies/s  ({spread})")
    pairs = zip(rates["ray"], rates["processes"], strict=True)
    print(f"ray / processes: {statistics.median(ray / other for ray, other in pairs):.2f}")


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
