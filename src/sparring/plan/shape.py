"""Arithmetic of a run of some shape: what each resource takes for a round, what it could do alone,
and the memory and disk that go with it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sparring.config.schema import TrainConfig
from sparring.plan.figures import CPU, CUDA, Figures
from sparring.plan.simulation import Mode, Outcome, Pause, Run, simulate
from sparring.storage.run_directory import KEPT_CHECKPOINTS
from sparring.training.needs import COPIES_OF_LEARNER

# Assumed where nothing was measured, and marked so in what is printed.
GPU_LAUNCH: Final = 0.3e-3  # seconds of an update on a GPU, however small it is
GPU_TIMES_CORE: Final = 100.0  # speed of a GPU in the arithmetic of an update
RAY_PART: Final = 1e-3  # seconds of the main process for a part of a worker on another machine
LINK_GBIT: Final = 10.0
REDUCE: Final = 0.1e-3  # seconds to begin summing gradients over GPUs
REDUCE_BYTES_PER_S: Final = 10e9
_WORKER_BYTES: Final = 40e6  # private memory of a worker
_RING_BYTES: Final = 64 * 2**20  # at most
_FLOAT: Final = 4  # bytes
_ITERATIONS: Final = 4
_CLOSE: Final = 0.02  # loads that make no difference
_CUDA_CONTEXT: Final = 0.6e9  # bytes of a GPU before anything lies there


@dataclass(frozen=True)
class Assumptions:
    """The caller's word on machines that are not there; None: as assumed above."""

    gpu_updates_per_s: float | None = None
    link_gbit: float = LINK_GBIT


@dataclass(frozen=True)
class Shape:
    """A run on `cores` cores of `nodes` machines: its workers, and a learner on so many `gpus`, or
    on `threads` threads.
    """

    cores: int
    workers: int
    episodes: int
    batch: int
    mode: Mode
    gpus: int = 0
    threads: int = 1
    nodes: int = 1


def shape_of(config: TrainConfig, *, cores: int, workers: int, **more: int) -> Shape:
    """The shape with the rounds, the batch and the mode of a configuration."""
    mode: Mode = config.mode
    plain = {"episodes": config.episodes_per_batch, "batch": config.batch_size, **more}
    return Shape(cores=cores, workers=workers, mode=mode, **plain)


@dataclass(frozen=True)
class Load:
    """Shares of the cores that are busy while a worker plays, and while the learner learns."""

    playing: float = 1.0
    learning: float = 1.0


_FULL: Final = Load()


def expected(
    figures: Figures, config: TrainConfig, shape: Shape, assumed: Assumptions, rounds: int
) -> tuple[Run, Outcome]:
    """Simulate a run at the speeds that go with the load that it makes: first at full load, then
    at that of the run before.
    """
    load = _FULL
    for _ in range(_ITERATIONS):
        run = run_of(figures, config, shape, assumed, load)
        outcome = simulate(run, rounds)
        before, load = load, _load_of(run, outcome)
        if max(abs(load.playing - before.playing), abs(load.learning - before.learning)) < _CLOSE:
            break
    return run, outcome


def _load_of(run: Run, outcome: Outcome) -> Load:
    others, learning = outcome.playing * (run.workers - 1), outcome.main["update"] * run.threads
    return Load(
        min(1.0, (1.0 + others + learning) / run.cores),
        min(1.0, (run.threads + outcome.playing * run.workers) / run.cores),
    )


def update_seconds(
    figures: Figures, shape: Shape, assumed: Assumptions, load: float = 1.0
) -> float:
    """Seconds of an update; on several GPUs each takes its share of the minibatch, and the
    gradients are summed (a ring: twice the bytes of the weights pass each link).
    """
    if not shape.gpus:
        seconds = figures.update_seconds(CPU, shape.threads, shape.batch, load)
        assert seconds is not None
        return seconds
    share = math.ceil(shape.batch / shape.gpus)
    seconds = _gpu_seconds(figures, share, assumed)
    if shape.gpus > 1:
        seconds += REDUCE + 2 * _FLOAT * figures.weights / REDUCE_BYTES_PER_S
    return seconds


def _gpu_seconds(figures: Figures, batch: int, assumed: Assumptions) -> float:
    if assumed.gpu_updates_per_s is not None:
        return 1.0 / assumed.gpu_updates_per_s
    measured = figures.update_seconds(CUDA, 1, batch)
    if measured is not None:
        return measured
    on_core = figures.update_seconds(CPU, min(figures.threads()), batch)
    assert on_core is not None
    return GPU_LAUNCH + on_core / GPU_TIMES_CORE


def updates_per_part(figures: Figures, config: TrainConfig, shape: Shape) -> float:
    """Updates for what one worker plays of a round, with a full replay buffer."""
    rows = shape.episodes * figures.rows_per_match
    steps = config.learning_steps_per_batch
    if steps == "adaptive":
        return rows * config.samples_per_insert / shape.batch
    return shape.episodes if steps is None else steps / shape.workers


def run_of(
    figures: Figures,
    config: TrainConfig,
    shape: Shape,
    assumed: Assumptions,
    load: Load = _FULL,
) -> Run:
    """The input of the simulation, on a machine as busy as that."""
    ply = figures.slowdown(load.playing, 1.0 / figures.plies_per_s_alone, 1.0 / figures.plies_per_s)
    rows = shape.episodes * figures.rows_per_match
    ranks = max(1, shape.gpus)
    elsewhere = 1.0 - 1.0 / shape.nodes  # share of the workers on other machines
    part = figures.part + elsewhere * max(0.0, RAY_PART - figures.part)
    return Run(
        mode=shape.mode,
        workers=shape.workers,
        cores=shape.cores,
        play=figures.start + shape.episodes * figures.plies_per_match * ply,
        spread=figures.match_spread / math.sqrt(shape.episodes),
        receive=part + rows * figures.row,
        updates=updates_per_part(figures, config, shape) * shape.workers,
        update=update_seconds(figures, shape, assumed, load.learning),
        threads=ranks if shape.gpus else figures.update_cores(CPU, shape.threads),
        publish=figures.publish,
        part_bytes=elsewhere * rows * figures.row_bytes,
        weight_bytes=(shape.nodes - 1) * _FLOAT * figures.weights,
        link_bytes_per_s=assumed.link_gbit * 1e9 / 8,
        pauses=_pauses(figures, config),
    )


def _pauses(figures: Figures, config: TrainConfig) -> tuple[Pause, ...]:
    """Evaluations and checkpoints."""
    return (
        Pause(figures.evaluation, updates=config.eval_interval),
        Pause(
            figures.checkpoint,
            updates=config.checkpoint_interval,
            seconds=60.0 * config.checkpoint_minutes,
            settles=True,
        ),
    )


def limits(run: Run) -> dict[str, float]:
    """Parts a second that each resource could do if all others took no time: workers that play, the
    learner's updates, the main process besides them and pauses, the link, all cores together.
    """
    workers, updates = run.workers, run.updates / run.workers
    seconds = {
        "play": run.play / workers,
        "updates": updates * run.update,
        "main process": run.receive + run.publish / workers,
        "link": (run.part_bytes + run.weight_bytes / workers) / run.link_bytes_per_s,
        "cores": (run.play + run.receive + updates * run.update * run.threads) / run.cores,
    }
    return {name: 1.0 / spent if spent > 0.0 else math.inf for name, spent in seconds.items()}


def saturation(run: Run) -> dict[str, float]:
    """Number of workers, busy all the time, that one learner, one main process without updates, and
    one link can serve.
    """
    one = dataclasses.replace(run, updates=run.updates / run.workers, workers=1)
    learner = one.updates * one.update + one.receive
    serve = {"learner": learner, "main process": one.receive, "link": one.part_bytes}
    serve["link"] /= run.link_bytes_per_s
    return {name: run.play / spent for name, spent in serve.items() if spent > 0.0}


def balanced_samples_per_insert(
    figures: Figures, config: TrainConfig, shape: Shape, assumed: Assumptions
) -> float:
    """Samples per insert with which the learner is just busy while all workers play."""
    run = run_of(figures, config, shape, assumed)
    left = run.play / run.workers - run.receive  # seconds of the learner for the updates of a part
    rows = shape.episodes * figures.rows_per_match
    return max(0.0, left) / run.update * shape.batch / rows


def memory(figures: Figures, config: TrainConfig, shape: Shape) -> Mapping[str, float]:
    """Bytes of the main process's machine, of each GPU, and on disk for checkpoints."""
    local = math.ceil(shape.workers / shape.nodes)
    rows = (shape.episodes + (config.num_envs_per_worker or shape.episodes)) * (
        figures.max_plies + 1
    )
    ring = min(rows * figures.row_bytes, _RING_BYTES)
    weights = _FLOAT * figures.weights
    snapshots = 2 * config.max_snapshots * weights
    learner = COPIES_OF_LEARNER * weights
    host = figures.replay_bytes + local * (ring + _WORKER_BYTES + weights) + snapshots
    replay_of_gpu = figures.replay_bytes / max(1, shape.gpus)
    saved = figures.replay_bytes + learner + snapshots
    return {
        "memory": host + learner,
        "gpu": _CUDA_CONTEXT + replay_of_gpu + learner if shape.gpus else 0.0,
        "disk": (KEPT_CHECKPOINTS + 1) * saved,  # one more while it is saved
    }
