"""Division of the CPUs between play and learning, by measurement; in `async` only.

Deterministic modes never measure: there the machine's speed must not decide what is learned.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import torch

from sparring.config.schema import LearningOptions
from sparring.dqn.learner import Learner
from sparring.dqn.networks import PolicySpec
from sparring.dqn.policy import InferencePolicy
from sparring.replay import Replay, ReplayBuffer, UniformSampler, transition_dtype
from sparring.runtime import torch_threads

_SECONDS: Final = 0.2  # of each measurement
_SERIES: Final = 8  # updates in a row: with several threads one prefetches
_ROWS: Final = 4_096
_LEGAL_MOVES: Final = 20  # in a position, assumed at most


def measured_split(
    policy: PolicySpec,
    options: LearningOptions,
    *,
    num_envs: int,
    actor_bfloat16: bool,
    learner_bfloat16: bool,
    plies_per_update: float,
    cpus: int,
    threads: int | None,
) -> Split:
    """Measure passes over `num_envs` positions, and updates on `threads` threads, or on 1, 2, 4,
    ...; return the best split of `cpus` CPUs.
    """
    actor = InferencePolicy(policy, bfloat16=actor_bfloat16)
    spec = policy.network_game
    # With afterstates one for each legal move, of which games have seldom more.
    moves = min(policy.game_spec.num_actions, _LEGAL_MOVES) if policy.afterstates else 1
    passed = num_envs * moves
    positions = np.zeros((passed, *spec.observation_shape), spec.observation_dtype)
    replay = Replay(ReplayBuffer(transition_dtype(spec), _ROWS), UniformSampler())
    replay.extend(np.zeros(_ROWS, transition_dtype(spec)))
    updates = {}
    with torch_threads(1):
        passes = rate(partial(actor.q_values, positions))
        for count in [threads] if threads else [2**k for k in range(cpus.bit_length())]:
            learner = Learner(
                policy,
                options,
                device=torch.device("cpu"),
                seed=0,
                bfloat16=learner_bfloat16,
                threads=count,
            )
            updates[count] = _SERIES * rate(partial(learner.update, replay, _SERIES))
    return best_split(
        cpus=cpus,
        plies_per_update=plies_per_update,
        plies_per_s=num_envs * passes,
        updates_per_s=updates,
    )


def rate(call: Callable[[], Any]) -> float:
    """Return calls per second."""
    call()
    calls, began = 0, time.perf_counter()
    while time.perf_counter() - began < _SECONDS:
        call()
        calls += 1
    return calls / (time.perf_counter() - began)


@dataclass(frozen=True)
class Split:
    """One division of the CPUs."""

    plies_per_s: float  # of the whole run, if coordination were free
    learner_threads: int
    learner_cpus: float  # that are busy with learning, on average

    def workers(self, cpus: int) -> int:
        """Return the number of workers that keep `cpus` CPUs busy: a learner that has little to do
        shares its CPU with one of them.
        """
        return max(1, round(cpus - self.learner_cpus))


def best_split(
    *, cpus: int, plies_per_update: float, plies_per_s: float, updates_per_s: Mapping[int, float]
) -> Split:
    """Return the fastest split of `cpus` CPUs, if both sides keep the speeds that they have alone.

    A CPU that only plays makes `plies_per_s`; a learner of k threads makes `updates_per_s[k]` and
    occupies k CPUs meanwhile. Play can use any CPU whenever learning leaves it free. Learners with
    more threads than CPUs are left out.
    """
    splits = []
    for threads, rate in updates_per_s.items():
        if threads <= cpus:
            learning = 1.0 / (plies_per_update * rate)  # learner seconds per ply
            playing = 1.0 / plies_per_s  # CPU seconds per ply
            seconds = max(learning, (playing + threads * learning) / cpus)
            splits.append(Split(1.0 / seconds, threads, threads * learning / seconds))
    return max(splits, key=lambda split: split.plies_per_s)
