"""What a run in `async` chooses by measuring: how many workers, and how many threads for the learner.

Deterministic modes never do: there the machine's speed must not decide what is learned.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np
import torch

from sparring.balance import Split, best_split
from sparring.dqn.learner import Learner, LearnerSettings
from sparring.dqn.networks import PolicySpec
from sparring.dqn.policy import InferencePolicy
from sparring.games import spec_of
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
    """The best split of `cpus` CPUs for this network: passes over `num_envs` positions against updates on `threads`, or on 1, 2, 4 ..."""
    actor = InferencePolicy(policy, bfloat16=bfloat16)
    spec = spec_of(policy.game)
    positions = np.zeros((num_envs, *spec.observation_shape), spec.observation_dtype)
    replay = Replay(ReplayBuffer(transition_dtype(spec), _ROWS), UniformSampler())
    replay.extend(np.zeros(_ROWS, transition_dtype(spec)))
    updates = {}
    with torch_threads(1):
        passes = _rate(partial(actor.q_values, positions))
        for count in [threads] if threads else [2**k for k in range(cpus.bit_length())]:
            learner = Learner(policy, replace(settings, threads=count), device=torch.device("cpu"), seed=0)
            updates[count] = _SERIES * _rate(partial(learner.update, replay, _SERIES))
    return best_split(cpus=cpus, plies_per_update=plies_per_update, plies_per_s=num_envs * passes, updates_per_s=updates)


def _rate(call: Callable[[], Any]) -> float:
    """Calls per second."""
    call()
    calls, began = 0, time.perf_counter()
    while time.perf_counter() - began < _SECONDS:
        call()
        calls += 1
    return calls / (time.perf_counter() - began)
