"""The loss of Q-values: expected values where targets are random, Huber elsewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from random_rows import random_rows

from sparring.config.schema import LearningOptions
from sparring.dqn.learner import Learner
from sparring.dqn.losses import OfQValues, has_random_targets, loss_of
from sparring.dqn.networks import NetworkSpec, PolicySpec, build_network
from sparring.games import GameSpec, spec_of
from sparring.replay import Replay, ReplayBuffer, UniformSampler, transition_dtype
from sparring.replay.minibatch import TensorMinibatch

ONE_DECISION = GameSpec(
    name="tic_tac_toe",
    num_players=1,
    num_actions=2,
    observation_shape=(1,),
    observation_dtype="int8",
    max_plies=2,
    chance=True,
)


def learned_q(
    *outcomes: tuple[float, float], sure: float, returns: tuple[float, float] | None
) -> list[float]:
    """Q-values of one decision: action 0 pays by `outcomes` (reward, probability), action 1 pays
    `sure`.
    """
    torch.set_num_threads(1)
    game = replace(ONE_DECISION, returns=returns)
    spec = PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [16]}), resolved=game)
    options = LearningOptions(batch_size=256, learning_rate=0.02)
    learner = Learner(spec, options, device=torch.device("cpu"), seed=0)
    rows = np.zeros(2_000, transition_dtype(game))
    rows["observation"], rows["mask"], rows["sign"] = 1, True, 1
    rows["action"][1_000:], rows["R"][1_000:] = 1, sure
    rewards, probabilities = np.array(outcomes).T
    edges = np.rint(np.cumsum([0.0, *probabilities]) * 1_000).astype(int)
    for reward, start, end in zip(rewards, edges[:-1], edges[1:], strict=True):
        rows["R"][start:end] = reward
    replay = Replay(ReplayBuffer(rows.dtype, len(rows)), UniformSampler())
    replay.extend(rows)
    for number in range(4):
        learner.set_learning_rate(0.02 * 0.2**number)
        learner.update(replay, 300)
    q: list[float] = learner.policy(torch.ones(1, 1, dtype=torch.int8))[0].tolist()
    return q


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize(
    ("outcomes", "sure", "expected"),
    [
        ([(1.0, 0.7), (-1.0, 0.3)], 0.5, 0.4),
        ([(10.0, 0.4), (-5.0, 0.6)], 0.0, 1.0),
        ([(50.0, 0.03), (-1.0, 0.97)], 0.0, 0.53),
        ([(0.05, 0.4), (-0.02, 0.6)], 0.0, 0.008),
    ],
)
def test_q_is_the_expected_value_of_a_bet(
    outcomes: list[tuple[float, float]], sure: float, expected: float, declared: bool
) -> None:
    """The Huber loss gave 0.57, -4.34 and -0.97 in the first three."""
    rewards = [*(reward for reward, _ in outcomes), sure, 0.0]
    lowest, highest = min(rewards), max(rewards)
    q = learned_q(*outcomes, sure=sure, returns=(lowest, highest) if declared else None)
    assert q == pytest.approx([expected, sure], abs=0.015 * (highest - lowest))
    assert (q[0] > q[1]) == (expected > sure)


def facts(**changes: Any) -> GameSpec:
    return replace(spec_of("tic_tac_toe"), **changes)


@pytest.mark.parametrize(
    ("game", "bootstrap", "random"),
    [
        (facts(), None, False),
        (facts(), "zero_sum", False),
        (facts(), "own_turn", True),
        (facts(chance=True), "zero_sum", True),
        (facts(hidden_information=True), None, True),
        (facts(zero_sum=False), None, True),
        (facts(num_players=1, zero_sum=False), "own_turn", False),
        (facts(num_players=1, zero_sum=False, chance=True), "own_turn", True),
    ],
)
def test_targets_are_random_by_chance_hidden_information_and_the_moves_of_others(
    game: GameSpec, bootstrap: Any, random: bool
) -> None:
    assert has_random_targets(game, LearningOptions(bootstrap=bootstrap)) is random


def test_without_a_discount_targets_are_the_rewards_and_the_target_network_is_not_asked() -> None:
    network, target = (build_network(PolicySpec("tic_tac_toe"), seed=seed) for seed in (0, 1))
    rows = random_rows(20)
    rows["discount"] = 0.0
    batch = TensorMinibatch.of(rows, np.ones(20, np.float32), torch.device("cpu"))
    as_usual = loss_of(network, LearningOptions(), facts())
    expected = as_usual(network, batch, as_usual.target_pass(target, batch))
    loss = loss_of(network, LearningOptions(gamma=0.0), facts())
    found = loss(network, batch, loss.target_pass(torch.nn.Identity(), batch))
    assert torch.equal(found.targets, expected.targets)
    assert torch.equal(found.targets, torch.from_numpy(rows["R"]))
    assert torch.equal(found.loss, expected.loss)


def test_errors_count_relative_to_half_the_range_of_returns() -> None:
    """So `max_grad_norm` does not depend on the size of rewards."""
    network = build_network(PolicySpec("tic_tac_toe"))
    game, options = facts(chance=True, returns=(-10.0, 30.0)), LearningOptions()
    assert loss_of(network, options, game) == OfQValues(True, (-10.0, 30.0), True, 20.0)
    free = LearningOptions(clip_targets=False)
    assert loss_of(network, free, game) == OfQValues(True, None, True, 20.0)
    assert loss_of(network, options, facts()) == OfQValues(True, (-1.0, 1.0), False, 1.0)
