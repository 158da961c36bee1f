"""`predict` and `q_values` as other libraries call them."""

from __future__ import annotations

import numpy as np
import pytest

from sparring.dqn.agent import DQNAgent
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.errors import SparringError

NETWORK = NetworkSpec("mlp", {"net_arch": [8]})
EMPTY = np.zeros((2, 3, 3), np.int8)
MASK = np.arange(9) % 2 == 0


def test_arguments_in_the_order_of_maskable_ppo() -> None:
    agent = DQNAgent(PolicySpec("tic_tac_toe", NETWORK))
    action, state = agent.predict(EMPTY, ("kept",), np.array([True]), True, MASK)
    values = np.where(MASK, agent.q_values(EMPTY), -np.inf)
    assert (action, state) == (int(values.argmax()), ("kept",))
    assert agent.q_values(np.stack([EMPTY, EMPTY])).shape == (2, 9)


def test_without_determinism_some_moves_are_random_and_all_are_legal() -> None:
    agent = DQNAgent(PolicySpec("tic_tac_toe", NETWORK))
    batch, masks = np.stack([EMPTY] * 4000), np.stack([MASK] * 4000)
    actions, _ = agent.predict(batch, deterministic=False, action_masks=masks)
    assert set(np.unique(actions)) == {0, 2, 4, 6, 8}
    greedy, _ = agent.predict(EMPTY, action_masks=MASK)
    assert 0.93 < (actions == greedy).mean() < 0.99, "0.96: a random move may be the greedy one"


def test_positions_after_moves_have_no_q_values() -> None:
    agent = DQNAgent(PolicySpec("tic_tac_toe", NETWORK, afterstates=True))
    with pytest.raises(SparringError, match="values positions after moves"):
        agent.q_values(EMPTY)
