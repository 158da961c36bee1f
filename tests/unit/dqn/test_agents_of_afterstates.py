"""Agents that value positions after moves: their moves, files and refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from plain_games import Toe

from sparring.dqn.agent import DQNAgent
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.dqn.policy import InferencePolicy
from sparring.dqn.tree_search import Lookahead, best_moves
from sparring.errors import ConfigurationError, FileFormatError, SparringError
from sparring.games import make, name_of
from sparring.games.afterstates import afterstates_of

SPEC = PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [8]}), afterstates=True)
ALL = np.arange(1)


class ToeAfter(Toe):
    """The same game as the mover sees it after its move."""

    def after(self, action: int) -> np.ndarray:
        board = self.board.copy()
        board[action] = self.seat
        shown = np.stack([board == self.seat, board == 1 - self.seat])
        return shown.reshape(2, 3, 3).astype(np.int8)


def position(*actions: int, name: str = "tic_tac_toe"):
    game = make(name, 1)
    game.reset(ALL, np.ones(1, np.uint64))
    for action in actions:
        game.step(np.array([action]))
    return game


def test_the_value_of_a_move_is_minus_the_value_of_the_others_position() -> None:
    policy, game = InferencePolicy(SPEC), position(0, 4)
    after = afterstates_of(game, ALL)
    values = policy.action_values(game, ALL)[0]
    for action in (1, 2, 3, 5, 6, 7, 8):
        following = position(0, 4, action)
        assert values[action] == pytest.approx(-policy.q_values(following.observation)[0, 0])
    assert values[0] == values[4] == -np.inf
    assert len(after.observation) == 7


def test_a_move_that_wins_has_its_reward_and_is_chosen_untrained() -> None:
    policy, game = InferencePolicy(SPEC), position(0, 3, 1, 4)
    assert policy.action_values(game, ALL)[0, 2] == 1.0
    agent = DQNAgent(SPEC)
    assert agent.act(game).tolist() == [2]
    assert agent.act(game, [0]).tolist() == [2]


def test_exploration_needs_no_values() -> None:
    policy, game = InferencePolicy(SPEC), position(0)
    policy.infer = None  # type: ignore[assignment]
    explored = policy.choose(game, ALL, np.array([[0.0, 0.99]]), 0.5)
    assert explored.tolist() == [8]


def test_the_file_says_that_positions_after_moves_are_valued(tmp_path: Path) -> None:
    agent = DQNAgent(SPEC)
    agent.save(tmp_path / "a.safetensors")
    loaded = DQNAgent.load(tmp_path / "a.safetensors")
    assert loaded.spec == SPEC
    game = position(4, 0)
    assert loaded.act(game).tolist() == agent.act(game).tolist()


@pytest.mark.parametrize(
    "name",
    [
        "connect_four",
        "tic_tac_toe",
        "ludo(num_players=2,observation=raw)",
        "ludo(num_players=4,observation=facts)",
    ],
)
def test_predict_finds_the_positions_of_built_in_games(name: str) -> None:
    agent, game = DQNAgent(PolicySpec(name, SPEC.network, afterstates=True)), make(name, 9)
    game.reset(np.arange(9), np.arange(9, dtype=np.uint64))
    rng = np.random.default_rng(0)
    for _ in range(60):
        on = np.flatnonzero(~game.terminated)
        if not len(on):
            return
        actions, _ = agent.predict(game.observation[on], action_masks=game.mask[on])
        assert actions.tolist() == agent.act(game, on).tolist()  # type: ignore[union-attr]
        moves = np.full(9, -1)
        moves[on] = [rng.choice(np.flatnonzero(game.mask[slot])) for slot in on]
        game.step(moves)
    action, _ = agent.predict(game.observation[0])
    assert action == agent.act(game, [0])[0]


@pytest.mark.parametrize("afterstates", [False, True])
def test_predict_and_act_look_ahead(afterstates: bool) -> None:
    agent = DQNAgent(PolicySpec("tic_tac_toe", SPEC.network, afterstates=afterstates))
    game = position(4)
    [best] = best_moves(agent.policy(), game, np.array([0]), Lookahead(3)).tolist()
    assert agent.predict(game.observation[0], action_masks=game.mask[0], lookahead=3)[0] == best
    assert agent.act(game, [0], lookahead=3).tolist() == [best]
    others = game.mask[0] & (np.arange(9) != best)
    second, _ = agent.predict(game.observation[0], action_masks=others, lookahead=3)
    assert others[second]


def test_lookahead_that_cannot_be_is_refused_in_one_line() -> None:
    agent, seen = DQNAgent(SPEC), position(4).observation[0]
    with pytest.raises(ConfigurationError, match="lookahead: got 21, expected a number"):
        agent.predict(seen, lookahead=21)
    with pytest.raises(ConfigurationError, match="lookahead: got -1"):
        agent.act(position(4), lookahead=-1)
    plain = DQNAgent(PolicySpec(name_of(Toe), SPEC.network))
    with pytest.raises(SparringError, match="predict: lookahead needs the position"):
        plain.predict(np.zeros((2, 3, 3), np.int8), lookahead=1)


def test_what_predict_cannot_know_is_refused_in_one_line() -> None:
    agent = DQNAgent(SPEC)
    with pytest.raises(ConfigurationError, match="observation in row 0: got numbers that no posit"):
        agent.predict(np.ones((2, 3, 3)))
    with pytest.raises(ConfigurationError, match="action_masks: got no legal action"):
        agent.predict(position(4).observation[0], action_masks=np.arange(9) == 4)
    plain = DQNAgent(PolicySpec(name_of(Toe), SPEC.network, afterstates=True))
    with pytest.raises(SparringError, match=r"use act\(game\), or values"):
        plain.predict(np.zeros((2, 3, 3), np.int8))
    with pytest.raises(SparringError, match="this agent values actions"):
        DQNAgent(PolicySpec("tic_tac_toe", SPEC.network)).values(np.zeros((1, 2, 3, 3)))


def test_no_observations_have_no_actions() -> None:
    actions, _ = DQNAgent(SPEC).predict(np.zeros((0, 2, 3, 3), np.int8))
    assert actions.shape == (0,)  # type: ignore[union-attr]


def test_a_file_of_another_view_of_the_game_is_refused(tmp_path: Path) -> None:
    """The values of the other view have another sign."""
    agent = DQNAgent(PolicySpec(name_of(Toe), SPEC.network, afterstates=True))
    agent.save(tmp_path / "a.safetensors")
    with pytest.raises(FileFormatError, match="in another way here: got 'next', expected 'own'"):
        DQNAgent.load(tmp_path / "a.safetensors", game=ToeAfter)


def test_values_are_those_of_positions_after_moves() -> None:
    agent, game = DQNAgent(SPEC), position(0, 4)
    after = afterstates_of(game, ALL)
    values = agent.values(after.observation)
    legal = np.flatnonzero(game.mask[0])
    assert agent.act(game)[0] == legal[(-values).argmax()]


def test_an_agent_of_a_plain_class_acts_in_its_game() -> None:
    name = name_of(Toe)
    agent = DQNAgent(PolicySpec(name, SPEC.network, afterstates=True))
    assert agent.act(position(0, 3, 1, 4, name=name)).tolist() == [2]


@pytest.mark.parametrize("afterstates", [False, True])
def test_slots_may_come_in_any_order_and_twice(afterstates: bool) -> None:
    agent = DQNAgent(PolicySpec("connect_four", SPEC.network, afterstates=afterstates))
    rng = np.random.default_rng(1)
    agent.set_weights(
        {name: rng.standard_normal(value.shape) for name, value in agent.get_weights().items()}
    )
    game = make("connect_four", 3)
    game.reset(np.arange(3), np.arange(3, dtype=np.uint64))
    for moves in ([0, 1, 2], [0, 3, 4], [6, 3, 1]):
        game.step(np.array(moves))
    one_by_one = [int(agent.act(game, [slot])[0]) for slot in range(3)]
    for slots in ([0, 1, 2], [2, 0, 1], [1, 1, 0], [2]):
        assert agent.act(game, slots).tolist() == [one_by_one[slot] for slot in slots]
    assert len(set(one_by_one)) > 1
