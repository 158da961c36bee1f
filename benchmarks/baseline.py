"""A first baseline of Sparring's rates on this machine: whole training runs beside the bare pieces that they are made of.

    python benchmarks/baseline.py                      all of it, some minutes on two idle cores
    python benchmarks/baseline.py --parts games actor learner

Bare pieces run in this process on one thread: random play, forward passes, update steps. Whole runs are the command `sparring train` in
its own processes, with 1 and 2 workers in both modes. Every rate is the median of some repetitions. The last line of standard output is
one JSON object, {"machine", PART: {CASE: {"rate", "limit", "ratio", "floor", "unit", "spread": [min, max], "runs"}}}; `limit` is the rate
of the bare piece that bounds the case, `ratio` the share of it that is reached; both are null where nothing bounds it.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
import tyro
from random_play import random_play

from sparring import games
from sparring.dqn.networks import PolicySpec, build_network
from sparring.dqn.policy import InferencePolicy
from sparring.dqn.targets import td_targets
from sparring.games.random import EXPLORATION, uniforms
from sparring.games.spec import BatchedGame
from sparring.opponents.players import NetworkPlayer
from sparring.opponents.scripted import RandomPlayer

GAME: Final = "connect_four"
BATCH: Final = 256  # positions a forward pass, transitions an update, envs a worker
SLOTS: Final = 1024  # matches side by side in random play
NETWORK: Final = PolicySpec(GAME)  # the default MLP, two layers of 256

Part = Literal["games", "actor", "learner", "whole"]
Case = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What to measure, and for how long."""

    parts: tuple[Part, ...] = ("games", "actor", "learner", "whole")
    """Parts to report; actor and learner always are, as the limits of the whole runs."""
    runs: int = 5
    """Repetitions of each bare piece."""
    seconds: float = 1.0
    """Length of each repetition of a bare piece."""
    whole_runs: int = 3
    """Repetitions of each whole run."""
    n_episodes: int = 20_000
    """Matches of each whole run."""


def main(settings: Settings) -> None:
    torch.set_num_threads(1)
    report: dict[str, Any] = {"machine": machine()}
    report["actor"], report["learner"] = actor(settings), learner(settings)
    if "games" in settings.parts:
        report["games"] = {"random_play": repeat(settings, random_play(GAME, SLOTS), "plies/s")}
    if "whole" in settings.parts:
        report["whole"] = whole(settings, forward=report["actor"]["forward"]["rate"], update=report["learner"]["bare_update"]["rate"])
    print(json.dumps(report))


def repeat(settings: Settings, step: Callable[[], int], unit: str, limit: float | None = None) -> Case:
    """Call `step`, which says how much it did, for `seconds`, `runs` times; the first call (compilation, caches) does not count."""
    step()
    rates = []
    for _ in range(settings.runs):
        done, begun = 0, time.perf_counter()
        while time.perf_counter() - begun < settings.seconds:
            done += step()
        rates.append(done / (time.perf_counter() - begun))
    return case(rates, unit, limit)


def case(rates: list[float], unit: str, limit: float | None = None) -> Case:
    rate = statistics.median(rates)
    return {
        "rate": round(rate, 1),
        "limit": None if limit is None else round(limit, 1),
        "ratio": None if limit is None else round(rate / limit, 3),
        "floor": None,
        "unit": unit,
        "spread": [round(min(rates), 1), round(max(rates), 1)],
        "runs": len(rates),
    }


def positions() -> BatchedGame:
    """A game with a position from the middle of a random match in each of its slots."""
    game, player, slots = games.make(GAME, BATCH), RandomPlayer(), np.arange(BATCH)
    keys = np.arange(BATCH, dtype=np.uint64)
    game.reset(slots, keys)
    for _ in range(6):  # nobody has four in a row after six plies
        game.step(player.act(game, slots, uniforms(keys, game.plies, EXPLORATION, 2)))
    return game


def actor(settings: Settings) -> dict[str, Case]:
    """Forward passes at batch 256, bare and as a player makes them (cast, mask, greedy choice)."""
    game = positions()
    network = build_network(NETWORK).eval()
    floats = torch.from_numpy(game.observation).to(torch.float32)
    player = NetworkPlayer("agent", InferencePolicy(NETWORK))
    slots, draws = np.arange(BATCH), np.zeros((BATCH, 2))

    def forward() -> int:
        with torch.inference_mode():
            network(floats)
        return BATCH

    def act() -> int:
        player.act(game, slots, draws)
        return BATCH

    bare = repeat(settings, forward, "states/s")
    return {"forward": bare, "act": repeat(settings, act, "states/s", bare["rate"])}


def learner(settings: Settings) -> dict[str, Case]:
    """Double-DQN updates of one minibatch of 256 that is already there as tensors: no replay, no casts, no statistics."""
    game = positions()
    policy, target = build_network(NETWORK), build_network(NETWORK)
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-4, fused=True)
    observation = torch.from_numpy(game.observation).to(torch.float32)
    mask = torch.from_numpy(game.mask)
    action = mask.to(torch.int64).argmax(dim=1, keepdim=True)
    R, discount, sign = torch.zeros(BATCH), torch.full((BATCH,), 0.99), -torch.ones(BATCH)

    def update() -> int:
        with torch.no_grad():
            goal = td_targets(target(observation), policy(observation), mask, R, discount, sign, returns=(-1.0, 1.0))
        loss = torch.nn.functional.huber_loss(policy(observation).gather(1, action).squeeze(1), goal)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 10.0)
        optimizer.step()
        return 1

    return {"bare_update": repeat(settings, update, "updates/s")}


def whole(settings: Settings, *, forward: float, update: float) -> dict[str, Case]:
    """`sparring train` with 1 and 2 workers in both modes. Plies are bounded by the workers' forward passes, updates by bare ones."""
    cases = {}
    for mode in ("sync", "overlap"):
        for workers in (1, 2):
            results = [train(settings, mode, workers) for _ in range(settings.whole_runs)]
            name = f"{mode}_{workers}_workers"
            updates = [result["updates"] / result["seconds"] for result in results]
            cases[f"{name}_plies"] = case([result["plies_per_s"] for result in results], "plies/s", workers * forward)
            cases[f"{name}_episodes"] = case([result["episodes_per_min"] for result in results], "episodes/min")
            cases[f"{name}_updates"] = case(updates, "updates/s", update)
    return cases


def train(settings: Settings, mode: str, workers: int) -> dict[str, Any]:
    """The JSON line of one training run: replay ratio 1, minibatches of 256, one learner thread, no evaluation; its files are deleted."""
    config = f"""
        n_episodes = {settings.n_episodes}
        mode = "{mode}"
        num_workers = {workers}
        num_envs_per_worker = {BATCH}
        episodes_per_batch = {BATCH}
        learning_steps_per_batch = "adaptive"
        samples_per_insert = 1.0
        batch_size = {BATCH}
        buffer_size = 50_000
        device = "cpu"
        learner_threads = 1
        learner_precision = "float32"
        eval_interval = 1_000_000_000
        checkpoint_interval = 1_000_000_000
        tensorboard = false
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "baseline.toml")
        path.write_text(config)
        command = "import sys; from sparring.cli import main; sys.exit(main())"
        arguments = ["train", GAME, "--config", str(path), "--runs-dir", folder, "--json"]
        print(f"sparring train: {mode}, {workers} workers", file=sys.stderr)
        done = subprocess.run([sys.executable, "-c", command, *arguments], cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def machine() -> dict[str, Any]:
    return {
        "cpu": next(_cpu_models(), platform.machine()),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "simd": torch.backends.cpu.get_cpu_capability(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def _cpu_models() -> Iterator[str]:
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        yield from (line.partition(":")[2].strip() for line in listing.read_text().splitlines() if line.startswith("model name"))


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
