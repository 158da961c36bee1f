"""Figures of a game and its network on this machine, in well under a minute.

The parts are those of a run (`training/assembly.py`), with as many workers as CPUs but one. While
updates are measured, the CPUs that they leave free are busy with play, and play is measured
meanwhile: a core is slower when the others work, too. Matches are as long as those of the network
that is measured, which explores as in the middle of a run: that of `init_from`, else one that has
learned only while it was measured.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from sparring.bench.machine import cpu_model
from sparring.config.schema import ResolvedConfig, TrainConfig
from sparring.config.system import available_cpus
from sparring.dqn.learner import Learner
from sparring.dqn.networks import count_weights
from sparring.dqn.start_weights import StartWeights, start_with
from sparring.games import GameSpec
from sparring.plan.figures import CPU, CUDA, Figures, UpdateTime
from sparring.replay import Replay
from sparring.replay.build import build_replay, replay_bytes
from sparring.replay.cuda import DeviceReplay
from sparring.replay.shared import SharedReplay
from sparring.replay.transitions import join_rows, transition_dtype
from sparring.rollout.round import RoundCommand
from sparring.runtime import Batch, Workers, torch_threads
from sparring.training.assembly import Parts, assemble, open_workers
from sparring.training.evaluator import Evaluator
from sparring.training.resolve import opponents_from_outside, resolved, with_start_weights

_TURNS: Final = 3
_LARGER_BATCH: Final = 4
_THREADS: Final = (1, 2, 4)  # of a learner on the CPU
_SERIES: Final = 8  # updates in a row
_LONGER: Final = 1.3  # part of a busy worker, beside a slice
_SHORT_PARTS: Final = 30
_FIRST_ROUNDS: Final = 2
_LEAST_ROWS: Final = 4_096
_EVALUATED: Final = 0.1  # share of an evaluation's matches that is timed
_WRITTEN: Final = 32 * 2**20  # bytes, to time the disk
_MIDDLE: Final = 0.5  # of a run

Say = Callable[[str], None]


def measure(config: TrainConfig, *, seconds: float = 1.0, say: Say = lambda text: None) -> Figures:
    """Measure in slices of `seconds`."""
    cpus = available_cpus()
    hardware = {"num_workers": max(1, cpus - 1), "learner_threads": 1, "device": "cpu"}
    quiet = {"tensorboard": False, "max_minutes": None}
    settings, game = resolved(config.model_copy(update={**hardware, **quiet}))
    settings, start = with_start_weights(settings)
    with torch_threads(1), _open(settings, game, start) as bench:
        say("plan: workers start and play a first round")
        bench.warm_up()
        say("plan: parts of rounds")
        wait, part = bench.short_parts()
        bench.fill()
        sides = list(_sides(settings, bench, cpus))
        published = []
        for turn in range(_TURNS):
            for side in sides:
                say(f"plan: {side}, turn {turn + 1} of {_TURNS}")
                side.slice(bench, seconds)
                published.append(bench.publish())
        say("plan: an evaluation, the disk")
        costs = {"start": wait, "part": part, "publish": statistics.median(published)}
        return _figures(settings, game, bench, sides, costs)


def _figures(
    config: ResolvedConfig,
    game: GameSpec,
    bench: _Bench,
    sides: list[_Side],
    costs: Mapping[str, float],
) -> Figures:
    policy, seen = bench.parts.rollout.policy, bench.seen
    weights = count_weights(policy)
    stored = replay_bytes(policy.network_game, config)
    return Figures(
        game=config.game,
        source=f"measured on {cpu_model()}, {available_cpus()} CPUs",
        network=f"{config.policy_kwargs.network}, {weights:,} weights",
        plies_per_s=statistics.median(seen.rates),
        plies_per_match=seen.plies_per_match,
        rows_per_match=seen.rows / seen.matches,
        match_spread=seen.match_spread,
        **costs,
        row=seen.row_seconds,
        evaluation=bench.evaluation(),
        checkpoint=(stored + 5 * 4 * weights) / _disk_bytes_per_s(),
        row_bytes=transition_dtype(policy.network_game).itemsize,
        replay_bytes=stored,
        weights=weights,
        max_plies=policy.network_game.max_plies,
        updates=tuple(side.time(share_of_one=sides[0].share) for side in sides),
    )


class _Seen:
    """What was received so far."""

    def __init__(self) -> None:
        self.matches = self.rows = 0
        self.rates: list[float] = []  # plies a second of a worker, while all CPUs were busy
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


class _Bench:
    """The parts and workers of a run, and the rounds that they are given."""

    def __init__(self, config: ResolvedConfig, parts: Parts, workers: Workers) -> None:
        self.config = config
        self.parts = parts
        self.workers = workers
        self.seen = _Seen()
        self._opponents = parts.opponents(workers.weights.snapshots)
        self._round = self._version = 0
        self._rows: list[NDArray[Any]] = []  # of the first rounds
        parts.schedule.receive(episodes=int(_MIDDLE * config.n_episodes), plies=0, transitions=0)
        workers.weights.publish(0, parts.learner.vector())

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
        self.seen = _Seen()

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

    def fill(self) -> None:
        """Fill the replay with copies of what was played."""
        self.fill_with_rows(self.parts.replay)

    def fill_with_rows(self, replay: Replay | DeviceReplay | SharedReplay) -> None:
        """Fill a replay with copies of what was played: before it is full, it fits into caches."""
        rows = join_rows(self._rows)
        while len(replay) < replay.capacity:
            replay.extend(rows[: replay.capacity - len(replay)])

    def episodes_of(self, seconds: float) -> int:
        """Matches that a worker plays in this time, about."""
        return max(1, round(seconds * self.rate / self.seen.plies_per_match))

    def poll(self) -> bool:
        """Between updates: receive what workers have ready, and go on."""
        self.workers.poll()
        return False

    def publish(self) -> float:
        """Publish the weights of the parts' learner; the seconds that it takes."""
        begun = time.perf_counter()
        self._version += 1
        self.workers.weights.publish(self._version, self.parts.learner.vector())
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
def _open(config: ResolvedConfig, game: GameSpec, start: StartWeights | None) -> Iterator[_Bench]:
    parts = assemble(config, game, opponents_from_outside(config, game))
    if start is not None:
        start_with(parts.learner, start, parts.rollout.policy)
    with open_workers(config, parts, notify=lambda text: None) as workers:
        yield _Bench(config, parts, workers)


@dataclass
class _Side:
    """Updates of one device, number of threads and batch, while other CPUs play."""

    device: str
    threads: int
    learner: Learner
    replay: Replay | DeviceReplay | SharedReplay
    playing: int  # workers

    def __post_init__(self) -> None:
        self._seconds: list[float] = []
        self._shares: list[float] = []
        self.learner.update(self.replay, _SERIES, beta=_MIDDLE)

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'' if self.threads == 1 else 's'}"
        where = "the GPU" if self.device == CUDA else threads
        return f"updates of {self.learner.options.batch_size:,} on {where}"

    def slice(self, bench: _Bench, seconds: float) -> None:
        """Updates for `seconds`, while workers play for a little longer."""
        bench.start(self.playing, bench.episodes_of(_LONGER * seconds))
        done, begun, worked = 0, time.perf_counter(), time.process_time()
        while (spent := time.perf_counter() - begun) < seconds:
            done += self.learner.update(
                self.replay, _SERIES, beta=_MIDDLE, between=bench.poll
            ).updates
        self._seconds.append(spent / done)
        self._shares.append((time.process_time() - worked) / spent)
        rate = bench.finish(self.playing)
        if self.playing and self.threads + self.playing >= available_cpus():
            bench.seen.rates.append(rate)
        elif not bench.seen.rates and available_cpus() == 1:
            bench.seen.rates.append(bench.rate)

    @property
    def share(self) -> float:
        """Processor time of this process beside the clock."""
        return statistics.median(self._shares)

    def time(self, *, share_of_one: float) -> UpdateTime:
        """Medians over the slices; `share_of_one`: of a learner with one thread, which is less than
        1 where other programs take the CPUs.
        """
        cores = min(max(self.share / share_of_one, 1.0), float(self.threads))
        batch = self.learner.options.batch_size
        return UpdateTime(self.device, self.threads, batch, statistics.median(self._seconds), cores)


def _sides(config: ResolvedConfig, bench: _Bench, cpus: int) -> Iterator[_Side]:
    """All combinations of device, threads and batch that are measured."""
    devices = [(CPU, threads) for threads in _THREADS if threads <= cpus]
    devices += [(CUDA, 1)] if torch.cuda.is_available() else []
    replays = {CPU: bench.parts.replay}
    policy = bench.parts.rollout.policy
    for device, threads in devices:
        if device not in replays:
            replays[device] = build_replay(policy.network_game, config, torch.device(device))
            bench.fill_with_rows(replays[device])
        for batch in (config.batch_size, _LARGER_BATCH * config.batch_size):
            if batch > config.buffer_size:
                continue
            learner = bench.parts.learner  # the one that a run would have plays, too
            if (device, threads, batch) != (CPU, 1, config.batch_size):
                learner = Learner(
                    policy,
                    config.model_copy(update={"batch_size": batch}),
                    device=torch.device(device),
                    seed=config.seed,
                    bfloat16=device == CPU and config.learner_precision == "bfloat16",
                    threads=threads,
                )
            playing = min(config.num_workers, max(0, cpus - threads))
            yield _Side(device, threads, learner, replays[device], playing)


def _disk_bytes_per_s() -> float:
    """Speed of writing here, where runs are saved; elsewhere if nothing can be written here."""
    folder = "." if os.access(".", os.W_OK) else None
    with tempfile.TemporaryFile(dir=folder) as file:
        begun = time.perf_counter()
        file.write(bytes(_WRITTEN))
        file.flush()
        os.fsync(file.fileno())
        return _WRITTEN / (time.perf_counter() - begun)
