from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sparring.cli import main
from sparring.dqn import tree_search
from sparring.dqn.agent import DQNAgent
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.dqn.policy import InferencePolicy
from sparring.dqn.tree_search import move_values
from sparring.errors import ConfigurationError
from sparring.games import make
from sparring.games.compiled.game import CompiledGame
from sparring.opponents.lookahead import agent_player


def policy(game: str, *, afterstates: bool = False, **arguments: Any) -> InferencePolicy:
    network = NetworkSpec("mlp", {"net_arch": [8]})
    return InferencePolicy(PolicySpec(game, network, afterstates=afterstates), **arguments)


def positions(name: str, plies: int, count: int = 24) -> CompiledGame:
    """Matches after so many random moves; some may have ended."""
    rng, game = np.random.default_rng(plies), make(name, count)
    assert isinstance(game, CompiledGame)
    game.reset(np.arange(count), np.arange(count, dtype=np.uint64))
    for _ in range(plies):
        legal = game.mask & ~game.terminated[:, None]
        actions = (rng.random(legal.shape) * legal).argmax(axis=1)
        game.step(np.where(legal.any(axis=1), actions, -1))
    return game


def playing(game: CompiledGame) -> NDArray[np.int64]:
    return np.flatnonzero(game.mask.any(axis=1))


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
@pytest.mark.parametrize("plies", [8, 20, 34])
def test_without_a_network_the_best_moves_are_those_of_an_exhaustive_search(
    depth: int, plies: int
) -> None:
    ours = policy("connect_four", afterstates=True)
    ours.load_vector(np.zeros_like(ours.vector()))  # every value is 0
    game = positions("connect_four", plies, 24 if plies < 10 else 400)
    slots = playing(game)
    assert len(slots) > 10
    values = move_values(ours, game, slots, depth)
    best = values == values.max(axis=1, keepdims=True)
    assert (best == game.best_moves(slots, depth + 1)).all()


def slow_values(ours: InferencePolicy, game: CompiledGame, slot: int, depth: int) -> list[float]:
    """One move after the other, on copies."""
    one = np.array([slot])
    legal = game.mask[slot]
    if depth == 0:
        return [float(q) for q in np.where(legal, ours.action_values(game, one)[0], -np.inf)]
    values = []
    for action in range(game.spec.num_actions):
        if not legal[action]:
            values.append(-np.inf)
            continue
        after = game.copied(one)
        after.step(np.array([action]))
        mover = int(game.seat[slot])
        value = float(after.rewards[0, mover])
        if after.mask[0].any():
            best = max(slow_values(ours, after, 0, depth - 1))
            value += (1 - 2.0**-20) * (best if after.seat[0] == mover else -best)
        values.append(value)
    return values


@pytest.mark.parametrize("afterstates", [False, True])
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_values_are_those_of_the_network_at_the_leaves(depth: int, afterstates: bool) -> None:
    ours, game = policy("tic_tac_toe", afterstates=afterstates), positions("tic_tac_toe", 4, 8)
    slots = playing(game)
    expected = [slow_values(ours, game, slot, depth) for slot in slots.tolist()]
    np.testing.assert_allclose(move_values(ours, game, slots, depth), expected, atol=1e-5)


def test_many_positions_are_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, game = policy("connect_four"), positions("connect_four", 6)
    whole = move_values(ours, game, playing(game), 2)
    monkeypatch.setattr(tree_search, "_MAX_POSITIONS", 40)
    np.testing.assert_allclose(move_values(ours, game, playing(game), 2), whole, atol=1e-5)


def test_the_matches_themselves_do_not_change() -> None:
    game = positions("connect_four", 6)
    before = game.get_state()
    player = agent_player("agent", policy("connect_four"), lookahead=2)
    actions = player.act(game, playing(game), np.zeros((len(playing(game)), 2)))
    after = game.get_state()
    assert all((before[name] == after[name]).all() for name in before)
    game.step(actions)


@pytest.mark.parametrize(
    ("name", "depth", "message"),
    [
        ("connect_four", -1, "lookahead: got -1, expected a number of plies from 0 to 20"),
        ("ludo", 1, "lookahead 1 cannot search in ludo.*: got chance"),
    ],
)
def test_what_cannot_be_searched_is_refused(name: str, depth: int, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        agent_player("agent", policy(name), lookahead=depth)


def test_a_game_in_python_is_refused() -> None:
    name = "plain_games:Toe"
    game = make(name, 1)
    game.reset(np.array([0]), np.array([1], np.uint64))
    with pytest.raises(ConfigurationError, match="got a game in Python, expected compiled rules"):
        move_values(policy(name), game, np.array([0]), 1)


def test_an_agent_that_sees_to_the_end_never_loses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = policy("tic_tac_toe")
    file = str(tmp_path / "agent.safetensors")
    DQNAgent(ours.spec, weights=ours.get_weights()).save(file)
    assert main(["evaluate", file, "--exhaustive"]) == 0
    assert not capsys.readouterr().out.startswith("0 losses")
    assert main(["evaluate", file, "--exhaustive", "--lookahead", "8"]) == 0
    assert capsys.readouterr().out.startswith("0 losses")
