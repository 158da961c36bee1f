"""Bare updates: the step that no learner can do without, on minibatches that are in place already."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sparring.bench.work import BATCH
from sparring.dqn.launches import WARM_UPS, CudaGraphs
from sparring.dqn.learner import UPDATES_PER_LAUNCH, LearnerSettings
from sparring.dqn.networks import PolicySpec, build_network
from sparring.dqn.precision import fast_float32
from sparring.dqn.update import Adam, TensorMinibatch, Update
from sparring.games import spec_of


def learner_settings(policy: PolicySpec, precision: str, batch_size: int = BATCH) -> LearnerSettings:
    """The settings of an update as a run has them by default."""
    return LearnerSettings(
        batch_size=batch_size,
        learning_rate=1e-3,
        double_q=True,
        tau=1.0,
        target_update_interval=500,
        max_grad_norm=10.0,
        returns=spec_of(policy.game).returns,
        bfloat16=precision == "bfloat16",
    )


def update_step(policy: PolicySpec, rows: NDArray[Any], settings: LearnerSettings) -> Callable[[], int]:
    """A bare update on the CPU, with a minibatch that is in place already, the first `batch_size` of `rows`; answers 1.

    With several threads one of them works ahead, as the learner's do.
    """
    place = torch.device("cpu")
    update, minibatch = _update(policy, settings, place), _minibatch(rows, 0, settings, place)
    thread = ThreadPoolExecutor(1) if settings.looks_ahead else None
    noise = torch.zeros(update.noise_size)
    looked = update.look(minibatch, noise)

    def step() -> int:
        with fast_float32():
            if thread is None:
                _step(update, minibatch)
            else:
                looking = thread.submit(update.look, minibatch, noise)
                update.step(minibatch, looked, noise)
                looking.result()
        return 1

    return step


def launched_updates(policy: PolicySpec, rows: NDArray[Any], settings: LearnerSettings, device: str) -> Callable[[], int]:
    """As many bare updates on a GPU as the learner makes at a launch, recorded on minibatches that stay there; answers how many."""
    place = torch.device(device)
    update, minibatches = _update(policy, settings, place), [_minibatch(rows, k, settings, place) for k in range(UPDATES_PER_LAUNCH)]

    def body() -> None:
        for minibatch in minibatches:
            _step(update, minibatch)
        update.add_up()

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
    update.step(minibatch, update.look(minibatch, noise), noise)


def _update(policy: PolicySpec, settings: LearnerSettings, place: torch.device) -> Update:
    network, target = build_network(policy).to(place), build_network(policy).to(place).requires_grad_(False)
    return Update(network, target, Adam(network, settings.learning_rate), settings)


def _minibatch(rows: NDArray[Any], number: int, settings: LearnerSettings, place: torch.device) -> TensorMinibatch:
    begin = number * settings.batch_size
    ones = np.ones(settings.batch_size, np.float32)
    return TensorMinibatch.of(rows[begin : begin + settings.batch_size].copy(), ones, place)
