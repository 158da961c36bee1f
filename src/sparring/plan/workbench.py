"""Workers and learner of a run, given short work and timed (`plan/measure.py`)."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparring.bench.work import AnyReplay, fill
from sparring.config.schema import ResolvedConfig
from sparring.dqn.start_weights import StartWeights, start_with
from sparring.games import GameSpec
from sparring.replay.transitions import join_rows
from sparring.rollout.round import RoundCommand
from sparring.runtime import Batch, Workers
from sparring.training.assembly import Parts, assemble, open_workers
from sparring.training.evaluator import Evaluator
from sparring.training.resolve import opponents_from_outside

_SHORT_PARTS: Final = 30
_PARTS_IN_A_TURN: Final = 3
_FIRST_ROUNDS: Final = 2
_LEAST_ROWS: Final = 4_096
_EVALUATED: Final = 0.1  # share of an evaluation's matches that is timed
_WRITTEN: Final = 32 * 2**20  # bytes, to time the disk
_MIDDLE: Final = 0.5  # of a run


class Seen:
    """Everything received so far."""

    def __init__(self) -> None:
        self.matches = self.rows = 0
        self.row_times: list[float] = []
        self._lengths: list[NDArray[np.int64]] = []

    @property
    def plies_per_match(self) -> float:
        return float(np.concatenate(self._lengths).mean())

    @property
    def match_spread(self) -> float:
        lengths = np.concatenate(self._lengths)
        return float(lengths.std() / lengths.mean())

    @property
    def row_seconds(self) -> float:
        return statistics.median(self.row_times)

    def add(self, batch: Batch) -> None:
        self.matches += len(batch.results)
        self.rows += batch.transitions
        self._lengths.append(batch.results["plies"].copy())


class Workbench:
    """The parts and workers of a run, and the rounds that they are given."""

    def __init__(self, config: ResolvedConfig, parts: Parts, workers: Workers) -> None:
        self.config = config
        self.parts = parts
        self.workers = workers
        self.seen = Seen()
        self._opponents = parts.opponents(workers.weights.snapshots)
        self._round = self._version = 0
        self._rows: list[NDArray[Any]] = []  # of the first rounds
        # as in the middle of a run: exploration, and the pool
        played, vector = int(_MIDDLE * config.n_episodes), parts.learner.vector()
        parts.schedule.receive(episodes=played, plies=0, transitions=0)
        for number in range(min(config.max_snapshots, played // config.snapshot_interval)):
            self._opponents.maybe_snapshot((number + 1) * config.snapshot_interval, vector)
        self._given = vector if config.init_from else None
        workers.weights.publish(0, vector)

    def start(self, count: int, episodes: int) -> None:
        """Give a part of a round to each of the first `count` workers."""
        for worker in range(count):
            plan = self._opponents.plan(self._round, worker)
            epsilon = self.parts.schedule.epsilon(worker)
            command = RoundCommand(self._round, self._version, epsilon, plan, episodes)
            self.workers.start(worker, command)
        self._round += 1

    def finish(self, count: int, *, keep: bool = False) -> float:
        """Receive what `count` workers were given; return the mean rate of those workers."""
        rates = []
        for _ in range(count):
            batch = self.workers.finish_any()
            self.seen.add(batch)
            begun = time.perf_counter()
            for block in batch.blocks:
                self.parts.replay.extend(block)
            if batch.transitions:
                spent = time.perf_counter() - begun
                self.seen.row_times.append(spent / batch.transitions)
            if keep and batch.transitions:
                self._rows.append(join_rows(batch.blocks))
            batch.release()
            rates.append(batch.plies / max(batch.play_seconds, 1e-9))
        return statistics.fmean(rates) if rates else 0.0

    def warm_up(self) -> None:
        """Play until envs are in different stages of their matches, and there are some rows; what
        was seen until then does not count, because short matches end first.
        """
        count, rounds = self.config.num_workers, 0
        while rounds < _FIRST_ROUNDS or sum(map(len, self._rows)) < _LEAST_ROWS:
            self.start(count, self.config.num_envs_per_worker)
            self.rate = self.finish(count, keep=True)
            rounds += 1
        self.seen = Seen()

    def short_parts(self) -> tuple[float, float]:
        """Seconds of a part besides play: the worker's, and the main process's without its rows;
        from parts of one match.
        """
        waits, own = [], []
        for _ in range(_SHORT_PARTS):
            before = len(self.seen.row_times)
            begun, worked = time.perf_counter(), time.process_time()
            self.start(1, 1)
            batch = self.workers.finish_any()
            spent, busy = time.perf_counter() - begun, time.process_time() - worked
            self.seen.add(batch)
            batch.release()
            assert len(self.seen.row_times) == before
            waits.append(spent - batch.play_seconds)
            own.append(busy if self.config.backend == "processes" else busy - batch.play_seconds)
        part = max(0.0, statistics.median(own))
        return max(0.0, statistics.median(waits) - part), part

    def one_worker(self, seconds: float) -> tuple[float, float]:
        """Plies a second of one worker while nothing else works; and what the parts of a round
        take longer than their plies.
        """
        self.start(1, self.episodes_of(seconds))
        rate = self.finish(1)
        waits = []
        for _ in range(_PARTS_IN_A_TURN):
            self.start(1, self.config.episodes_per_batch)
            batch = self.workers.finish_any()
            self.seen.add(batch)
            batch.release()
            waits.append(batch.play_seconds - batch.plies / rate)
        return rate, max(0.0, statistics.median(waits))

    def fill(self, replay: AnyReplay) -> None:
        """Fill a replay with copies of what was played."""
        fill(replay, join_rows(self._rows))

    def episodes_of(self, seconds: float) -> int:
        """Matches that a worker plays in this time, about."""
        return max(1, round(seconds * self.rate / self.seen.plies_per_match))

    def poll(self) -> bool:
        """Between updates: receive what workers have ready, and go on."""
        self.workers.poll()
        return False

    def publish(self) -> float:
        """Publish the weights of the parts' learner, or again those that were given; the seconds
        that it takes.
        """
        begun = time.perf_counter()
        self._version += 1
        vector = self.parts.learner.vector()
        self.workers.weights.publish(self._version, vector if self._given is None else self._given)
        return time.perf_counter() - begun

    def evaluation(self) -> float:
        """Seconds of an evaluation, from one of fewer matches; the second, because only from then
        on there is a best agent to play against.
        """
        full = self.config.eval_matches
        fewer = max(2, int(_EVALUATED * full) // 2 * 2)
        config = self.config.model_copy(update={"eval_matches": fewer})
        with tempfile.TemporaryDirectory() as folder:
            best = Path(folder) / "best.safetensors"
            evaluator = Evaluator(config, self.parts, self._opponents, best, lambda text: None)
            evaluator.evaluate()
            begun = time.perf_counter()
            evaluator.evaluate()
        return (time.perf_counter() - begun) * full / fewer


@contextmanager
def open_workbench(
    config: ResolvedConfig, game: GameSpec, start: StartWeights | None
) -> Iterator[Workbench]:
    """The parts and the started workers of a run that begins with these weights."""
    parts = assemble(config, game, opponents_from_outside(config, game))
    if start is not None:
        start_with(parts.learner, start, parts.rollout.policy)
    with open_workers(config, parts, notify=lambda text: None) as workers:
        yield Workbench(config, parts, workers)


def disk_bytes_per_s() -> float:
    """Speed of writing here, where runs are saved; elsewhere if nothing can be written here."""
    folder = "." if os.access(".", os.W_OK) else None
    with tempfile.TemporaryFile(dir=folder) as file:
        begun = time.perf_counter()
        file.write(bytes(_WRITTEN))
        file.flush()
        os.fsync(file.fileno())
        return _WRITTEN / (time.perf_counter() - begun)
