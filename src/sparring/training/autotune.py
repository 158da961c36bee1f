"""What a run in `async` chooses by measuring: how many workers, and how many threads for the
learner.

Deterministic modes never do: there the machine's speed must not decide what is learned.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
import torch

from sparring.dqn.learner import Learner, LearnerSettings
from sparring.dqn.networks import PolicySpec
from sparring.dqn.policy import InferencePolicy
from sparring.replay import Replay, ReplayBuffer, UniformSampler, transition_dtype
from sparring.runtime import torch_threads

_SECONDS: Final = 0.2  # of each measurement
_SERIES: Final = 8  # updates in a row: of several threads one works ahead
_ROWS: Final = 4_096


def measured_split(
    policy: PolicySpec,
    settings: LearnerSettings,
    *,
    num_envs: int,
    bfloat16: bool,
    plies_per_update: float,
    cpus: int,
    threads: int | None,
) -> Split:
    """The best split of `cpus` CPUs for this network: passes over `num_envs` positions against
    updates on `threads`, or on 1, 2, 4 ...
    """
    actor = InferencePolicy(policy, bfloat16=bfloat16)
    spec = policy.game_spec
    positions = np.zeros((num_envs, *spec.observation_shape), spec.observation_dtype)
    replay = Replay(ReplayBuffer(transition_dtype(spec), _ROWS), UniformSampler())
    replay.extend(np.zeros(_ROWS, transition_dtype(spec)))
    updates = {}
    with torch_threads(1):
        passes = _rate(partial(actor.q_values, positions))
        for count in [threads] if threads else [2**k for k in range(cpus.bit_length())]:
            learner = Learner(
                policy, replace(settings, threads=count), device=torch.device("cpu"), seed=0
            )
            updates[count] = _SERIES * _rate(partial(learner.update, replay, _SERIES))
    return best_split(
        cpus=cpus,
        plies_per_update=plies_per_update,
        plies_per_s=num_envs * passes,
        updates_per_s=updates,
    )


def _rate(call: Callable[[], Any]) -> float:
    """Calls per second."""
    call()
    calls, began = 0, time.perf_counter()
    while time.perf_counter() - began < _SECONDS:
        call()
        calls += 1
    return calls / (time.perf_counter() - began)


# How to share CPUs between play and learning: the split at which both together get on fastest, each
# at the speed it has alone.


@dataclass(frozen=True)
class Split:
    """`plies_per_s` of the whole, if coordination were free; `learner_threads`; `learner_cpus` that
    are busy learning, on average.
    """

    plies_per_s: float
    learner_threads: int
    learner_cpus: float

    def workers(self, cpus: int) -> int:
        """How many workers keep `cpus` CPUs busy: a learner that has little to do shares its CPU
        with one of them.
        """
        return max(1, round(cpus - self.learner_cpus))


def best_split(
    *, cpus: int, plies_per_update: float, plies_per_s: float, updates_per_s: Mapping[int, float]
) -> Split:
    """The fastest split of `cpus` CPUs.

    Each of them plays `plies_per_s` when it does nothing else; a learner of k threads makes
    `updates_per_s[k]` and takes k CPUs while it does. Play can use any CPU at any moment that
    learning leaves it. With more threads than CPUs nothing is considered.
    """
    splits = []
    for threads, rate in updates_per_s.items():
        if threads <= cpus:
            learning = 1.0 / (plies_per_update * rate)  # seconds of the learner for a ply
            playing = 1.0 / plies_per_s  # seconds of one CPU for a ply
            seconds = max(learning, (playing + threads * learning) / cpus)
            splits.append(Split(1.0 / seconds, threads, threads * learning / seconds))
    return max(splits, key=lambda split: split.plies_per_s)
