"""`predict` and `q_values` as other libraries call them."""

from __future__ import annotations

import numpy as np
import pytest
from plain_games import Toe

from sparring.dqn.agent import DQNAgent
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.errors import SparringError
from sparring.games import BatchedGame, make

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


def test_q_values_of_positions_after_moves_are_those_that_act_compares() -> None:
    agent, game = DQNAgent(PolicySpec("tic_tac_toe", NETWORK, afterstates=True)), started()
    of_game, of_observation = agent.q_values(game), agent.q_values(game.observation[0])
    assert of_game.shape == (1, 9)
    np.testing.assert_array_equal(of_game[0], of_observation)
    assert of_observation.argmax() == agent.act(game)[0] == agent.predict(game.observation[0])[0]
    assert np.isneginf(of_observation[[0, 4]]).all()


@pytest.mark.parametrize("afterstates", [False, True])
def test_a_match_in_progress_has_the_moves_and_values_of_its_game(afterstates: bool) -> None:
    agent = DQNAgent(PolicySpec("plain_games:Toe", NETWORK, afterstates=afterstates))
    game, match, rng = make("plain_games:Toe", 1), Toe(), np.random.default_rng(1)
    game.reset(np.arange(1), np.ones(1, np.uint64))
    match.reset(rng)
    while not game.terminated[0]:
        np.testing.assert_array_equal(agent.q_values(match), agent.q_values(game))
        assert agent.act(match).tolist() == agent.act(game).tolist()
        action = int(rng.choice(np.flatnonzero(game.mask[0])))
        match.step(action)
        game.step(np.array([action]))


def test_what_an_observation_does_not_show_is_one_line_with_the_remedy() -> None:
    agent = DQNAgent(PolicySpec("plain_games:Toe", NETWORK, afterstates=True))
    with pytest.raises(SparringError, match=r"does not show; use q_values\(game\), or values"):
        agent.q_values(EMPTY)
    match = Toe()
    match.reset(np.random.default_rng(0))
    match.seat = 7
    with pytest.raises(SparringError, match=r"match of plain_games:Toe breaks .* seat 7"):
        agent.act(match)
    with pytest.raises(SparringError, match=r"got 3, expected .* or one match of that game"):
        agent.act(3)  # type: ignore[arg-type]


def started() -> BatchedGame:
    """Tic-tac-toe after two plies."""
    game = make("tic_tac_toe", 1)
    game.reset(np.arange(1), np.ones(1, np.uint64))
    for action in (0, 4):
        game.step(np.array([action]))
    return game
