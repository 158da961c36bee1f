"""A run on a local Ray cluster whose actors are killed and frozen and whose nodes leave and join:
every transition is numbered, and none may be lost or received twice.

    python benchmarks/ray_faults.py --kills 100 --frozen 20 --removals 10

Each removed node is replaced by a new one, so there are as many additions. The replay holds all
rows of the run; the last checkpoint is read and counted.
"""

from __future__ import annotations

import importlib
import os
import random
import secrets
import signal
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from numpy.typing import NDArray

from sparring.config.sources import build_config
from sparring.games import GameSpec
from sparring.runtime import RayWorkers, ray_workers, watch
from sparring.storage.run_directory import read_newest
from sparring.training import assembly, train

psutil: Any = importlib.import_module("psutil")
NODES, WORKERS, STORE = 3, 4, {"object_store_memory": 80 * 2**20}
PLIES = 12
PAUSE = 0.004  # seconds a ply, so that the replay can hold the whole run
LIMIT = 5.0  # seconds without a ply in this benchmark, in place of ten minutes


class Numbered:
    """A match of twelve plies. A position shows the match's number, drawn from its key, and the
    ply, so that each transition has a name of its own.
    """

    spec = GameSpec(
        num_players=2,
        num_actions=2,
        observation_shape=(4,),
        observation_dtype="float32",
        max_plies=PLIES + 1,
        chance=True,
        zero_sum=True,
        returns=(-1.0, 1.0),
    )

    def reset(self, rng: np.random.Generator) -> None:
        self.number = rng.integers(0, 2**20, 3)
        self.plies = self.seat = 0

    def mask(self) -> list[bool]:
        return [True, True]

    def observe(self, seat: int) -> NDArray[np.float32]:
        return np.array([*self.number, self.plies], np.float32)

    def step(self, action: int) -> tuple[list[int] | None, bool]:
        time.sleep(PAUSE)
        self.plies += 1
        self.seat = 1 - self.seat
        if self.plies == PLIES:
            return ([1, -1] if action else [-1, 1]), True
        return None, False


class Watched(RayWorkers):
    """Workers that the faults are aimed at."""

    running: list[RayWorkers]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        Watched.running = [self]


class Faults(threading.Thread):
    """Kill, freeze and remove, each time when all workers have recovered from the last time."""

    def __init__(self, cluster: Any, nodes: list[Any], kills: int, frozen: int, removals: int):
        super().__init__(daemon=True)
        self._cluster, self._nodes = cluster, nodes
        self._left = {"kills": kills, "frozen": frozen, "removals": removals}
        self.done = dict.fromkeys([*self._left, "additions"], 0)
        self._wanted = threading.Event()  # a node is to be removed
        self._random = random.Random(0)

    def run(self) -> None:
        began = time.monotonic()
        while any(self._left.values()):
            self._recovered()
            time.sleep(self._random.uniform(0.0, 0.5))
            kinds = [kind for kind, left in self._left.items() if left]
            kind = max(kinds, key=lambda name: self._left[name] / (self.done[name] + 1))
            [workers] = Watched.running
            before = workers.replaced
            count = self._remove() if kind == "removals" else self._signal(kind)
            while kind != "removals" and workers.replaced < before + count:
                time.sleep(0.05)  # until it is noticed
            self._left[kind] -= count
            self.done[kind] += count
            print(f"{time.monotonic() - began:6.0f} s  {self.done}", flush=True)
        self._recovered()

    def _recovered(self) -> None:
        [workers] = Watched.running
        while any(h.failed_on or h.waits_for_cpu or not h.has_played for h in workers._handles):
            time.sleep(0.05)

    def _signal(self, kind: str) -> int:
        pids = [
            process.pid
            for process in psutil.Process().children(recursive=True)  # of this run's cluster only
            if process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_STOPPED)
            and "ray::WorkerActor" in " ".join(process.cmdline())
        ]
        chosen = self._random.sample(pids, min(len(pids), WORKERS, self._left[kind]))
        for pid in chosen:
            os.kill(pid, signal.SIGKILL if kind == "kills" else signal.SIGSTOP)
        return len(chosen)

    def _remove(self) -> int:
        self._wanted.set()
        while self._wanted.is_set():
            time.sleep(0.05)
        return 1

    def change_nodes(self) -> None:
        """Remove and add a node, if that is wanted: in the main thread, as Ray needs it."""
        if not self._wanted.is_set():
            return
        before = signal.getsignal(signal.SIGTERM)
        node = self._nodes.pop(self._random.randrange(len(self._nodes)))
        self._cluster.remove_node(node, allow_graceful=False)
        self._nodes.append(self._cluster.add_node(num_cpus=1, **STORE))
        self.done["additions"] += 1
        signal.signal(signal.SIGTERM, before)
        self._wanted.clear()


class StopAfter:
    """Ends the run, by False, when all faults have happened."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def on_round(self, event: Any) -> bool:
        if event.rounds == 2:
            self._faults.start()
        self._faults.change_nodes()
        return event.rounds <= 2 or self._faults.is_alive()


def holes_and_repeats(rows: NDArray[Any]) -> tuple[int, int, int]:
    """Rows missing within what was received of a match, rows received twice, and matches."""
    seen: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for *number, ply in rows["observation"].astype(np.int64).tolist():
        seen[tuple(number)].append(ply)
    repeats = sum(len(plies) - len(set(plies)) for plies in seen.values())
    missing = sum(max(plies) + 1 - len(set(plies)) for plies in seen.values())
    return missing, repeats, len(seen)


def main(kills: int = 100, frozen: int = 20, removals: int = 10) -> int:
    home = tempfile.mkdtemp(prefix="ray-faults-")
    token = Path(home) / "token"
    token.write_text(secrets.token_hex(32))
    here = str(Path(__file__).parent)
    os.environ |= {
        "HOME": home,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_raylet_start_wait_time_s": "300",
        "PYTHONPATH": os.pathsep.join([here, os.environ.get("PYTHONPATH", "")]),
    }
    make_cluster: Any = importlib.import_module("ray.cluster_utils").Cluster
    watch.STUCK, watch.PAUSE_FACTOR = LIMIT, 0  # type: ignore[misc]
    ray_workers.PULSE_INTERVAL = 0.5  # type: ignore[misc]
    assembly.RayWorkers = Watched  # type: ignore[attr-defined]
    cluster = make_cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **STORE}
    )
    nodes = [cluster.add_node(num_cpus=1, **STORE) for _ in range(NODES)]
    faults = Faults(cluster, nodes, kills, frozen, removals)
    config = build_config(
        overrides={
            "game": "ray_faults:Numbered", "backend": "ray", "ray_address": cluster.address,
            "num_workers": WORKERS, "n_episodes": 10**7, "episodes_per_batch": 8,
            "buffer_size": 4_000_000, "learning_starts": 100, "batch_size": 32,
            "learning_steps_per_batch": 4, "opponents": {"self": 1.0}, "device": "cpu",
            "bootstrap": "zero_sum", "n_steps": 1, "learn_from": "all", "tensorboard": False,
            "eval_interval": 10**9, "checkpoint_minutes": 4.0, "eval_matches": 2, "runs_dir": home,
            "name": "faults", "policy_kwargs": {"net_arch": [8]},
        }
    )  # fmt: skip
    began = time.monotonic()
    result = train(config, callbacks=StopAfter(faults), console=True)
    state = read_newest(result.run, "replay")
    cluster.shutdown()
    assert state is not None
    rows = state["buffer"]["rows"]
    assert len(rows) == state["buffer"]["inserted"], "the replay holds the whole run"
    missing, repeats, matches = holes_and_repeats(rows)
    print(faults.done, f"in {time.monotonic() - began:.0f} s; replaced {result.workers_replaced}")
    print(f"{result.episodes:,} matches finished, {matches:,} seen, {len(rows):,} transitions")
    print(f"lost: {missing}, received twice: {repeats}")
    ended = int((rows["discount"] == 0).sum())
    print(f"matches whose last transition arrived: {ended:,}")
    return 0 if missing == repeats == 0 and ended == result.episodes else 1


if __name__ == "__main__":
    raise SystemExit(tyro.cli(main, description=__doc__))
