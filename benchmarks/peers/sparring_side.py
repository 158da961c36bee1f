"""Sparring as a side: the command `sparring train`, as people use it, in a process that is stopped
by signal between its turns.

Plies and updates of a turn are read from the run's `metrics.jsonl`, between the first report after
the warm-up and the last one of the turn, so that neither its start nor its pauses count.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self

from sides import Case, Figures, no_gpu
from turns import BATCH, EPSILON, HIDDEN, LEARNING_RATE, REPLAY, WARM_UP

ENVS: Final = 256  # matches that each worker plays side by side, and finishes in a round
NEVER: Final = 10**9
START_SECONDS: Final = 120.0  # until a run has filled its replay, at most
SILENCE_SECONDS: Final = 60.0  # without two reports, at most

Precision = Literal["auto", "float32"]


@dataclass(frozen=True)
class Way:
    """How two cores are used."""

    mode: str
    workers: int
    learner_threads: int


WAYS: Final = {
    "overlap, 1 worker": Way("overlap", 1, 1),
    "overlap, 2 workers": Way("overlap", 2, 1),
    "async, 1 worker": Way("async", 1, 1),
    "async, 2 workers": Way("async", 2, 1),
}


class Sparring:
    """A run for each case and way, started when it is first asked for."""

    def __init__(self, folder: Path, precision: Precision) -> None:
        self.name = "sparring"
        self.versions = {name: importlib.metadata.version(name) for name in ("sparring", "torch")}
        self._folder = folder
        self._precision = precision
        self._runs: dict[tuple[Case, str], _Run] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for run in self._runs.values():
            run.kill()

    def ways(self, case: Case) -> Sequence[str]:
        return tuple(WAYS)

    def turn(self, case: Case, way: str, seconds: float) -> Figures:
        if (case, way) not in self._runs:
            name = f"run_{len(self._runs)}"
            self._runs[case, way] = _Run(
                self._folder, name, _config(case.plies_per_update, WAYS[way], self._precision)
            )
            self._runs[case, way].fill()
        return self._runs[case, way].turn(seconds)

    def keep(self, case: Case, way: str) -> None:
        for key, run in self._runs.items():
            if key[0] == case and key[1] != way:
                run.kill()


class _Run:
    """One `sparring train` that goes on until it is killed; it and its workers are one process
    group.
    """

    def __init__(self, folder: Path, name: str, config: str) -> None:
        path = folder / f"{name}.toml"
        path.write_text(config)
        self._metrics = folder / name / "metrics.jsonl"
        command = [
            sys.executable,
            "-c",
            "import sys; from sparring.cli import main; sys.exit(main())",
            "train",
            "connect_four",
        ]
        options = ["--config", str(path), "--runs-dir", str(folder), "--name", name]
        self._process = subprocess.Popen(
            [*command, *options],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            env=no_gpu(),
        )

    def kill(self) -> None:
        """End it and its workers; nothing of it is wanted."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def fill(self) -> None:
        """Wait until the replay is full, from where on updates come as often as they should; then
        stop.
        """
        deadline = time.monotonic() + START_SECONDS
        while not any(report["replay/fill"] == 1.0 for report in self._reports()):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(
                    f"sparring train ended, or did not fill its replay within {START_SECONDS:.0f} s"
                )
            time.sleep(0.2)
        os.killpg(self._process.pid, signal.SIGSTOP)

    def turn(self, seconds: float) -> Figures:
        """Go on for that long, and on a busy machine for longer, until there are two reports to
        compare.
        """
        begun = time.time()
        os.killpg(self._process.pid, signal.SIGCONT)
        time.sleep(WARM_UP + seconds)
        while len(reports := self._reports(since=begun + WARM_UP)) < 2:
            if self._process.poll() is not None or time.time() > begun + SILENCE_SECONDS:
                raise SystemExit(
                    f"sparring train ended, or had nothing to report for {SILENCE_SECONDS:.0f} s"
                )
            time.sleep(0.2)
        os.killpg(self._process.pid, signal.SIGSTOP)
        first, last = reports[0], reports[-1]
        passed = last["wall_time"] - first["wall_time"]
        return Figures(
            (last["plies"] - first["plies"]) / passed,
            (last["train/n_updates"] - first["train/n_updates"]) / passed,
        )

    def _reports(self, since: float = 0.0) -> list[dict[str, Any]]:
        """Those that were written in full, from a time in seconds since 1970 on."""
        if not self._metrics.exists():
            return []
        reports = [
            json.loads(line)
            for line in self._metrics.read_text().splitlines(keepends=True)
            if line.endswith("\n")
        ]
        return [report for report in reports if report["wall_time"] >= since]


def _config(plies_per_update: int | None, way: Way, precision: Precision) -> str:
    """The agent against itself, so that each ply yields one transition; no mirrored positions, as
    the peers have none.
    """
    return f"""
        n_episodes = {NEVER}
        mode = "{way.mode}"
        num_workers = {way.workers}
        num_envs_per_worker = {ENVS}
        episodes_per_batch = {ENVS}
        learning_steps_per_batch = "adaptive"
        samples_per_insert = {BATCH / plies_per_update if plies_per_update else 1e-12}
        batch_size = {BATCH}
        buffer_size = {REPLAY}
        learning_rate = {LEARNING_RATE}
        symmetry_augmentation = false
        exploration_initial_eps = {EPSILON}
        exploration_final_eps = {EPSILON}
        device = "cpu"
        learner_threads = {way.learner_threads}
        learner_precision = "{precision}"
        actor_precision = "{precision}"
        eval_interval = {NEVER}
        checkpoint_interval = {NEVER}
        snapshot_interval = {NEVER}
        log_interval = 0.25
        tensorboard = false
        opponents = {{ self = 1.0 }}
        policy_kwargs = {{ net_arch = {list(HIDDEN)} }}
    """
