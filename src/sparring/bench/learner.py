"""Updates a second as a run makes them, beside the bare update on a ready minibatch.

The ratio shows the cost of sampling, of moving the minibatch to the network's device, of
priorities, statistics and checks.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from sparring.bench.measure import Case, Cases, Settings, case, repeated, turns
from sparring.bench.sessions import CONNECT_FOUR, LEARNING_LIMITED, QUIET, open_session
from sparring.bench.work import MLP, PRECISIONS, transitions
from sparring.config.schema import LearningOptions
from sparring.config.sources import build_config
from sparring.config.system import available_cpus
from sparring.dqn.cuda_graphs import WARM_UPS, CudaGraphs
from sparring.dqn.kernels import fast_float32
from sparring.dqn.learner import UPDATES_PER_LAUNCH
from sparring.dqn.networks import PolicySpec, build_network
from sparring.dqn.optimizer import Adam
from sparring.dqn.update import Update
from sparring.replay.minibatch import TensorMinibatch
from sparring.training.assembly import assemble
from sparring.training.resolve import resolved

_STORED: Final = 50_000  # transitions in the replay
_SERIES: Final = 40  # updates a call of the learner
_FLOOR: Final = 0.90
_CUDA_FLOOR: Final = 0.80  # of several updates at a launch


def measure(settings: Settings) -> Cases:
    """The MLP 2 x 256 for Connect Four and minibatches of 256, on one thread of the CPU; on a GPU
    if there is one.
    """
    rows = transitions(MLP, _STORED)[:_STORED]
    cases: Cases = {}
    for device in ("cpu", *(["cuda"] if torch.cuda.is_available() else [])):
        for precision in PRECISIONS:
            for prioritized in (False, True):
                name = f"{device}_{precision}_{'prioritized' if prioritized else 'uniform'}"
                settings.say(f"learner: {name}")
                cases[name] = _alone(
                    settings, rows, device=device, precision=precision, prioritized=prioritized
                )
    if available_cpus() > 1:
        settings.say("learner: while a worker plays on another core")
        cases["in_training"] = _in_training(settings, rows)
    else:
        settings.note("learner: in_training skipped: a worker would share the only core")
    return cases


def _alone(
    settings: Settings, rows: NDArray[Any], *, device: str, precision: str, prioritized: bool
) -> Case:
    """`Learner.update` on a full replay, while nothing else runs."""
    config, game = resolved(
        build_config(
            overrides={
                **CONNECT_FOUR,
                **QUIET,
                "device": device,
                "learner_precision": precision,
                "prioritized_replay": prioritized,
                "buffer_size": _STORED,
                "backend": "inline",
            }
        )
    )
    parts = assemble(config, game)
    parts.replay.extend(rows)

    def update() -> int:
        return parts.learner.update(parts.replay, _SERIES, beta=0.5).updates

    bfloat16 = precision == "bfloat16"
    if device == "cpu":
        bare = update_step(MLP, rows, config, bfloat16=bfloat16)
        clock, floor = time.thread_time, _FLOOR
    else:
        bare = launched_updates(MLP, rows, config, device, bfloat16=bfloat16)
        clock, floor = _device_clock, _CUDA_FLOOR
    sides = {
        "update": repeated(update, settings.seconds, clock),
        "bare": repeated(bare, settings.seconds, clock),
    }
    rates = turns(sides, settings.slices)
    return case(rates["update"], "updates/s", limits=rates["bare"], floor=floor)


def _in_training(settings: Settings, rows: NDArray[Any]) -> Case:
    """Updates by the clock in a run that learning limits, while its only worker plays, or waits, on
    another core.
    """
    hardware = {"num_workers": 1, "learner_threads": 1, "mode": "overlap"}
    with open_session({**LEARNING_LIMITED, **hardware}) as session:
        session.warm_up(settings.seconds)
        precision = session.config.learner_precision or "float32"
        bare = repeated(
            update_step(MLP, rows, session.config, bfloat16=precision == "bfloat16"),
            settings.seconds,
            time.perf_counter,
        )
        waits: list[float] = []

        def train() -> float:
            pace = session.slice(settings.seconds)
            waits.append(pace.learner_wait)
            return pace.updates_per_s

        rates = turns({"train": train, "bare": bare}, settings.slices)
    also = {"precision": precision, "learner_wait": statistics.median(waits)}
    return case(rates["train"], "updates/s", limits=rates["bare"], floor=_FLOOR, also=also)


def _device_clock() -> float:
    """Seconds, after the device has finished all its work."""
    torch.cuda.synchronize()
    return time.perf_counter()


def update_step(
    policy: PolicySpec,
    rows: NDArray[Any],
    options: LearningOptions,
    *,
    bfloat16: bool,
    threads: int = 1,
) -> Callable[[], int]:
    """A function that makes one bare update on the CPU, with the first `batch_size` of `rows` as
    minibatch, and returns 1.

    With several threads one of them makes the next target pass meanwhile, as in the learner.
    """
    place = torch.device("cpu")
    ahead = threads > 1
    update = _update(policy, options, place, bfloat16=bfloat16, threads=threads - ahead)
    minibatch = _minibatch(rows, 0, options, place)
    thread = ThreadPoolExecutor(1) if ahead else None
    noise = torch.zeros(update.noise_size)
    target_values = update.target_pass(minibatch, noise)

    def step() -> int:
        with fast_float32():
            if thread is None:
                _step(update, minibatch)
            else:
                passing = thread.submit(update.target_pass, minibatch, noise)
                update.step(minibatch, target_values, noise)
                passing.result()
        return 1

    return step


def launched_updates(
    policy: PolicySpec,
    rows: NDArray[Any],
    options: LearningOptions,
    device: str,
    *,
    bfloat16: bool,
) -> Callable[[], int]:
    """A function that makes as many bare updates on a GPU as the learner makes at a launch,
    recorded on minibatches that stay there, and returns their number.
    """
    place = torch.device(device)
    update = _update(policy, options, place, bfloat16=bfloat16)
    minibatches = [_minibatch(rows, k, options, place) for k in range(UPDATES_PER_LAUNCH)]

    def body() -> None:
        for minibatch in minibatches:
            _step(update, minibatch)
        update.statistics.flush()

    graphs = CudaGraphs(place)
    for _ in range(WARM_UPS):
        graphs.warm_up(body)
    launch = graphs.record(body)

    def step() -> int:
        launch()
        return len(minibatches)

    return step


def _step(update: Update, minibatch: TensorMinibatch) -> None:
    noise = torch.zeros(update.noise_size, device=minibatch.R.device)
    update.step(minibatch, update.target_pass(minibatch, noise), noise)


def _update(
    policy: PolicySpec,
    options: LearningOptions,
    place: torch.device,
    *,
    bfloat16: bool,
    threads: int = 1,
) -> Update:
    network, target = (build_network(policy).to(place) for _ in range(2))
    return Update(
        network,
        target.requires_grad_(False),
        Adam(network, options),
        options,
        game=policy.game_spec,
        bfloat16=bfloat16,
        threads=threads,
    )


def _minibatch(
    rows: NDArray[Any], number: int, options: LearningOptions, place: torch.device
) -> TensorMinibatch:
    begin = number * options.batch_size
    ones = np.ones(options.batch_size, np.float32)
    return TensorMinibatch.of(rows[begin : begin + options.batch_size].copy(), ones, place)
