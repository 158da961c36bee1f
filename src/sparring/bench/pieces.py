"""The bare pieces that whole runs are made of."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from sparring.assembly import learner_settings, policy_of, resolved
from sparring.bench.measure import repeated
from sparring.bench.sessions import QUIET
from sparring.bench.updates import update_step
from sparring.bench.work import forward_step, transitions
from sparring.config_files import build_config
from sparring.resolve import available_cpus
from sparring.runtime import torch_threads

_MOST_THREADS: Final = 2  # of a learner: more do not pay for networks of this size
_GAIN: Final = 1.1


class BarePieces:
    """The passes and updates of a run, alone: networks, precisions and sizes as `options` say, by the clock, one after the other."""

    def __init__(self, options: Mapping[str, Any], seconds: float) -> None:
        config = resolved(build_config(overrides={**QUIET, **options}))
        policy = policy_of(config)
        envs = config.num_envs_per_worker or config.episodes_per_batch
        rows = transitions(policy, max(config.batch_size, envs))
        forward = forward_step(policy, rows["observation"][:envs].copy(), config.actor_precision or "float32")
        self._forward = repeated(forward, seconds, time.perf_counter)
        settings = learner_settings(config)
        self._updates = {
            threads: repeated(update_step(policy, rows, replace(settings, threads=threads)), seconds, time.perf_counter)
            for threads in sorted({1, min(_MOST_THREADS, available_cpus())})
        }

    def speeds(self) -> tuple[float, dict[int, float]]:
        """Plies a second of one CPU, and updates a second by the number of threads."""
        with torch_threads(1):
            return self._forward(), {threads: update() for threads, update in self._updates.items()}


def useful_threads(updates_per_s: Mapping[int, float]) -> tuple[int, ...]:
    """Numbers of learner threads that are worth a trial: one, and those that make bare updates a tenth faster at least."""
    return (1, *(threads for threads, rate in updates_per_s.items() if threads > 1 and rate > _GAIN * updates_per_s[1]))
