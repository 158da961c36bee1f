"""Updates a second as a run makes them, beside the bare update on a minibatch that is in place already.

What the ratio leaves over is sampling, moving the minibatch to the network's device, priorities, figures and checks.
"""

from __future__ import annotations

import statistics
import time
from typing import Any, Final

import torch
from numpy.typing import NDArray

from sparring.assembly import assemble, resolved
from sparring.bench.measure import Case, Cases, Settings, case, repeated, turns
from sparring.bench.sessions import CONNECT_FOUR, LEARNING_BINDS, QUIET, open_session
from sparring.bench.updates import launched_updates, learner_settings, update_step
from sparring.bench.work import MLP, PRECISIONS, transitions
from sparring.config_files import build_config
from sparring.resolve import available_cpus

_STORED: Final = 50_000  # transitions in the replay
_SERIES: Final = 40  # updates a call of the learner
_FLOOR: Final = 0.90
_CUDA_FLOOR: Final = 0.80  # of several updates at a launch


def measure(settings: Settings) -> Cases:
    """The MLP 2 x 256 for Connect Four and minibatches of 256, on one thread of the CPU; on a GPU if there is one."""
    rows = transitions(MLP, _STORED)[:_STORED]
    cases: Cases = {}
    for device in ("cpu", *(["cuda"] if torch.cuda.is_available() else [])):
        for precision in PRECISIONS:
            for prioritized in (False, True):
                name = f"{device}_{precision}_{'prioritized' if prioritized else 'uniform'}"
                settings.say(f"learner: {name}")
                cases[name] = _alone(settings, rows, device=device, precision=precision, prioritized=prioritized)
    if available_cpus() > 1:
        settings.say("learner: while a worker plays on another core")
        cases["in_training"] = _in_training(settings, rows)
    else:
        settings.note("learner: in_training is left out: a worker would share the only core")
    return cases


def _alone(settings: Settings, rows: NDArray[Any], *, device: str, precision: str, prioritized: bool) -> Case:
    """`Learner.update` on a full replay, with nothing else going on."""
    config = resolved(
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
    parts = assemble(config)
    parts.replay.extend(rows)

    def update() -> int:
        return parts.learner.update(parts.replay, _SERIES, beta=0.5).updates

    plain = learner_settings(MLP, precision)
    if device == "cpu":
        bare, clock, floor = update_step(MLP, rows, plain), time.thread_time, _FLOOR
    else:
        bare, clock, floor = launched_updates(MLP, rows, plain, device), _device_clock, _CUDA_FLOOR
    sides = {"update": repeated(update, settings.seconds, clock), "bare": repeated(bare, settings.seconds, clock)}
    rates = turns(sides, settings.slices)
    return case(rates["update"], "updates/s", limits=rates["bare"], floor=floor)


def _in_training(settings: Settings, rows: NDArray[Any]) -> Case:
    """Updates by the clock of a run where learning binds, while its only worker plays, and waits, on another core."""
    hardware = {"num_workers": 1, "learner_threads": 1, "mode": "overlap"}
    with open_session({**LEARNING_BINDS, **hardware}) as session:
        session.warm_up(settings.seconds)
        precision = session.config.learner_precision or "float32"
        bare = repeated(update_step(MLP, rows, learner_settings(MLP, precision)), settings.seconds, time.perf_counter)
        waits: list[float] = []

        def train() -> float:
            pace = session.slice(settings.seconds)
            waits.append(pace.learner_wait)
            return pace.updates_per_s

        rates = turns({"train": train, "bare": bare}, settings.slices)
    also = {"precision": precision, "learner_wait": statistics.median(waits)}
    return case(rates["train"], "updates/s", limits=rates["bare"], floor=_FLOOR, also=also)


def _device_clock() -> float:
    """Seconds, once the device has done all that it was given."""
    torch.cuda.synchronize()
    return time.perf_counter()
