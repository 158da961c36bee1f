from __future__ import annotations

import numpy as np
import pytest
import torch
from random_rows import filled_replay

from sparring.config.schema import LearningOptions
from sparring.dqn.agent import DQNAgent
from sparring.dqn.learner import Learner
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.dqn.optimizer import RunningMean
from sparring.dqn.trainable import Trainable

SPEC = PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [8]}))
CPU = torch.device("cpu")


def learner(averaging: float) -> Learner:
    options = LearningOptions(
        batch_size=6, learning_rate=0.01, target_update_interval=3, weight_averaging=averaging
    )
    return Learner(SPEC, options, device=CPU, seed=5)


def test_the_mean_by_hand() -> None:
    """Update t keeps min(0.5, (1 + t) / (10 + t)): 2/11, then 3/12, at last 0.5."""
    weights = torch.tensor([0.0, 8.0])
    mean = RunningMean(weights, 0.5)
    weights += 11.0
    mean.update(1)
    assert mean.get_state()["mean"].tolist() == pytest.approx([9.0, 17.0])
    weights += 4.0
    mean.update(1)
    assert mean.get_state()["mean"].tolist() == pytest.approx(
        [9.0 * 0.25 + 15.0 * 0.75, 17.0 * 0.25 + 23.0 * 0.75]
    )
    mean.update(100)
    weights.zero_()
    before = mean.get_state()["mean"]
    mean.update(2)
    assert mean.get_state()["mean"].tolist() == pytest.approx((before * 0.25).tolist())


def test_a_network_has_the_mean_inside_the_block_only() -> None:
    weights = torch.tensor([1.0])
    mean = RunningMean(weights, 0.9)
    weights += 1.0
    with mean.applied():
        assert weights.item() == 1.0
    assert weights.item() == 2.0


def test_learning_is_the_same_with_and_without_and_the_mean_lags_behind() -> None:
    plain, averaged = learner(0.0), learner(0.9)
    for each in (plain, averaged):
        each.update(filled_replay(), 30)
    np.testing.assert_array_equal(plain.vector(), averaged.vector())
    np.testing.assert_array_equal(plain.vector(), plain.evaluated_vector())
    assert np.abs(averaged.evaluated_vector() - averaged.vector()).max() > 1e-3
    np.testing.assert_array_equal(plain.vector(), averaged.vector())


def test_a_restored_learner_goes_on_with_its_mean() -> None:
    one, other = learner(0.9), learner(0.9)
    one.update(filled_replay(), 20)
    other.set_state(one.get_state())
    np.testing.assert_array_equal(one.evaluated_vector(), other.evaluated_vector())
    for each in (one, other):
        each.update(filled_replay(), 3)
    np.testing.assert_array_equal(one.evaluated_vector(), other.evaluated_vector())


def test_the_agent_plays_and_saves_the_mean_and_weights_set_from_outside_are_at_once_its_own() -> (
    None
):
    trained = learner(0.9)
    replay = filled_replay()
    trained.update(replay, 20)
    agent = DQNAgent(SPEC, trainable=Trainable(trained, replay))
    flat = np.concatenate([value.reshape(-1) for value in agent.get_weights().values()])
    np.testing.assert_array_equal(flat, trained.evaluated_vector())
    agent.set_weights({name: np.zeros_like(value) for name, value in agent.get_weights().items()})
    assert not trained.evaluated_vector().any()
