"""Figures of a game and its network on this machine, in well under a minute.

The parts are those of a run (`training/assembly.py`), with as many workers as CPUs but one. While
updates are measured, the CPUs that they leave free are busy with play, and play is measured
meanwhile: a core is slower when the others work, too. Matches are as long as those of the network
that is measured, which explores as in the middle of a run: that of `init_from`, else one that has
learned only while it was measured.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import torch

from sparring.bench.machine import cpu_model
from sparring.bench.work import AnyReplay
from sparring.config.schema import ResolvedConfig, TrainConfig
from sparring.config.system import available_cpus
from sparring.dqn.networks import TABLES, count_weights
from sparring.dqn.table_learner import AnyLearner
from sparring.errors import counted
from sparring.plan.figures import CPU, CUDA, Figures, UpdateTime
from sparring.plan.workbench import Workbench, disk_bytes_per_s, open_workbench
from sparring.replay.build import build_replay, replay_bytes
from sparring.replay.transitions import transition_dtype
from sparring.runtime import torch_threads
from sparring.training.ranks import make_learner
from sparring.training.resolve import resolved, with_start_weights

THREADS: Final = (1, 2, 4)  # of a learner on the CPU
BATCHES: Final = (1, 4)  # times that of the configuration
_TURNS: Final = 3
_SERIES: Final = 8  # updates in a row
_LONGER: Final = 1.3  # part of a busy worker, beside a slice
_ALONE: Final = 0.5  # slice without play, beside the others
_BETA: Final = 0.5

Say = Callable[[str], None]


def measure(config: TrainConfig, *, seconds: float = 1.0, say: Say = lambda text: None) -> Figures:
    """Measure in slices of `seconds`."""
    with measuring(config, seconds=seconds, say=say) as measurement:
        for _ in range(_TURNS):
            measurement.turn()
        return measurement.figures()


@contextmanager
def measuring(
    config: TrainConfig,
    *,
    seconds: float,
    say: Say,
    threads: Sequence[int] = THREADS,
    batches: Sequence[int] = BATCHES,
) -> Iterator[Measurement]:
    """A measurement whose workers have started and wait; its turns may alternate with other
    things.
    """
    cpus = available_cpus()
    hardware = {"num_workers": max(1, cpus - 1), "learner_threads": 1, "device": "cpu"}
    quiet = {"tensorboard": False, "max_minutes": None}
    settings, game = resolved(config.model_copy(update={**hardware, **quiet}))
    settings, start = with_start_weights(settings)
    with torch_threads(1), open_workbench(settings, game, start) as bench:
        say("plan: workers start and play first rounds")
        bench.warm_up()
        sides = list(_sides(settings, bench, [n for n in threads if n <= cpus], batches))
        yield Measurement(settings, bench, sides, seconds, say)


@dataclass(frozen=True)
class Turn:
    """Figures of one turn."""

    plies_per_s: float  # of a worker, while all CPUs were busy
    plies_per_s_alone: float
    start: float  # seconds of a part in which a worker makes no plies
    updates: tuple[UpdateTime, ...]


class Measurement:
    """Turns of slices of `seconds`, and the figures that are their medians."""

    def __init__(
        self,
        config: ResolvedConfig,
        bench: Workbench,
        sides: Sequence[Side],
        seconds: float,
        say: Say,
    ) -> None:
        self._config = config
        self._bench = bench
        self._sides = sides
        self._seconds = seconds
        self._say = say
        self._turns: list[Turn] = []
        self._published: list[float] = []
        say("plan: parts of rounds")
        self._wait, self._part = bench.short_parts()
        bench.fill(bench.parts.replay)

    def turn(self) -> Turn:
        """Measure each side once."""
        alone, start = self._bench.one_worker(self._seconds)
        slices = []
        for side in self._sides:
            self._say(f"plan: {side}, turn {len(self._turns) + 1}")
            slices.append(side.slice(self._bench, self._seconds))
            self._published.append(self._bench.publish())
        rates = [one.plies_per_s for one in slices if one.plies_per_s]
        updates = tuple(
            side.time(one, slices[0]) for side, one in zip(self._sides, slices, strict=True)
        )
        self._turns.append(Turn(statistics.median(rates or [alone]), alone, start, updates))
        return self._turns[-1]

    def figures(self) -> Figures:
        """Medians over the turns so far; an evaluation and the disk are timed now."""
        self._say("plan: an evaluation, the disk")
        bench, policy = self._bench, self._bench.parts.rollout.policy
        weights = count_weights(policy)
        stored = replay_bytes(policy.network_game, self._config)
        return Figures(
            game=self._config.game,
            source=f"measured on {cpu_model()}, {available_cpus()} CPUs",
            network=f"{self._config.policy_kwargs.network}, {weights:,} weights",
            cpus=available_cpus(),
            plies_per_s=statistics.median(turn.plies_per_s for turn in self._turns),
            plies_per_s_alone=statistics.median(turn.plies_per_s_alone for turn in self._turns),
            plies_per_match=bench.seen.plies_per_match,
            rows_per_match=bench.seen.rows / bench.seen.matches,
            match_spread=bench.seen.match_spread,
            start=self._wait + statistics.median(turn.start for turn in self._turns),
            part=self._part,
            row=bench.seen.row_seconds,
            publish=statistics.median(self._published),
            evaluation=bench.evaluation(),
            checkpoint=(stored + 5 * 4 * weights) / disk_bytes_per_s(),
            row_bytes=transition_dtype(policy.network_game).itemsize,
            replay_bytes=stored,
            weights=weights,
            max_plies=policy.network_game.max_plies,
            updates=tuple(map(_median, zip(*(turn.updates for turn in self._turns), strict=True))),
        )


def _median(times: Sequence[UpdateTime]) -> UpdateTime:
    medians = {
        name: statistics.median(getattr(one, name) for one in times)
        for name in ("seconds", "alone", "cores")
    }
    return dataclasses.replace(times[0], **medians)


@dataclass(frozen=True)
class Slice:
    """Updates of a slice, and the rate of a worker meanwhile: 0 where not all CPUs were busy."""

    seconds: float  # of an update, while other CPUs played
    alone: float
    share: float  # processor time of this process beside the clock
    plies_per_s: float


@dataclass(frozen=True)
class Side:
    """Updates of one device, number of threads and batch, while other CPUs play."""

    device: str
    threads: int
    learner: AnyLearner
    replay: AnyReplay
    playing: int  # workers

    def __str__(self) -> str:
        threads = counted(self.threads, "thread")
        where = "the GPU" if self.device == CUDA else threads
        return f"updates of {self.learner.options.batch_size:,} on {where}"

    def slice(self, bench: Workbench, seconds: float) -> Slice:
        """Updates for `seconds`, while workers play for a little longer; and some alone."""
        alone, _ = self._updates(bench, seconds * _ALONE)
        bench.start(self.playing, bench.episodes_of(_LONGER * seconds))
        busy, share = self._updates(bench, seconds)
        rate = bench.finish(self.playing)
        all_cpus = self.threads + self.playing >= available_cpus()
        return Slice(busy, min(alone, busy), share, rate if all_cpus else 0.0)

    def _updates(self, bench: Workbench, seconds: float) -> tuple[float, float]:
        """Seconds of an update, and the processor time of this process beside the clock."""
        done, begun, worked = 0, time.perf_counter(), time.process_time()
        while (spent := time.perf_counter() - begun) < seconds:
            stats = self.learner.update(self.replay, _SERIES, beta=_BETA, between=bench.poll)
            done += stats.updates
        return spent / done, (time.process_time() - worked) / spent

    def time(self, one: Slice, first: Slice) -> UpdateTime:
        """The update of a slice. `first` is that of one thread, whose share of the clock is less
        than 1 where other programs take the CPUs.
        """
        cores = min(max(one.share / first.share, 1.0), float(self.threads))
        batch = self.learner.options.batch_size
        return UpdateTime(self.device, self.threads, batch, one.seconds, one.alone, cores)


def _sides(
    config: ResolvedConfig, bench: Workbench, threads: Sequence[int], batches: Sequence[int]
) -> Iterator[Side]:
    """All combinations of device, threads and batch that are measured, warmed up."""
    tables = config.policy_kwargs.network == TABLES  # learned on one thread of the CPU
    devices = [(CPU, count) for count in threads if count == 1 or not tables]
    devices += [(CUDA, 1)] if torch.cuda.is_available() and not tables else []
    replays: dict[str, AnyReplay] = {CPU: bench.parts.replay}
    policy, cpus = bench.parts.rollout.policy, available_cpus()
    for device, count in devices:
        if device not in replays:
            replays[device] = build_replay(policy.network_game, config, torch.device(device))
        bench.fill(replays[device])
        for batch in (times * config.batch_size for times in batches):
            if batch > config.buffer_size:
                continue
            learner = bench.parts.learner  # whose weights play
            if (device, count, batch) != (CPU, 1, config.batch_size):
                changes = {"device": device, "learner_threads": count, "batch_size": batch}
                if device == CUDA:
                    changes["learner_precision"] = "float32"
                learner = make_learner(config.model_copy(update=changes), policy, None)
            learner.update(replays[device], _SERIES, beta=_BETA)
            playing = min(config.num_workers, max(0, cpus - count))
            yield Side(device, count, learner, replays[device], playing)
