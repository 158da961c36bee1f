"""The bare pieces that whole runs are made of."""

from __future__ import annotations

import time
from collections.abc import Mapping
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
        self._threads = sorted({1, min(_MOST_THREADS, available_cpus())})
        forward = forward_step(policy, rows["observation"][:envs].copy(), config.actor_precision or "float32")
        update = update_step(policy, rows, learner_settings(config))
        self._forward, self._update = (repeated(step, seconds, time.perf_counter) for step in (forward, update))

    def speeds(self) -> tuple[float, dict[int, float]]:
        """Plies a second of one CPU, and updates a second by the number of threads."""
        with torch_threads(1):
            plies_per_s = self._forward()
        updates_per_s = {}
        for threads in self._threads:
            with torch_threads(threads):
                updates_per_s[threads] = self._update()
        return plies_per_s, updates_per_s


def useful_threads(updates_per_s: Mapping[int, float]) -> tuple[int, ...]:
    """Numbers of learner threads that are worth a trial: one, and those that make bare updates a tenth faster at least.

    On a machine that others use, two threads can be many times slower than one: each waits for the other, which may not be running.
    """
    return (1, *(threads for threads, rate in updates_per_s.items() if threads > 1 and rate > _GAIN * updates_per_s[1]))
