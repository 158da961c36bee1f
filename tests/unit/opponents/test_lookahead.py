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
from sparring.dqn.tree_search import Lookahead, best_moves
from sparring.errors import ConfigurationError
from sparring.games import make
from sparring.games.compiled.game import CompiledGame
from sparring.games.rng import stream_key
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
def test_without_a_network_the_first_of_the_best_moves_by_an_exhaustive_search_is_played(
    depth: int, plies: int
) -> None:
    ours = policy("connect_four", afterstates=True)
    ours.load_vector(np.zeros_like(ours.vector()))  # every value is 0
    game = positions("connect_four", plies, 24 if plies < 10 else 400)
    slots = playing(game)
    assert len(slots) > 10
    moves = best_moves(ours, game, slots, Lookahead(depth))
    assert (moves == game.best_moves(slots, depth + 1).argmax(axis=1)).all()


def slow_values(ours: InferencePolicy, game: CompiledGame, slot: int, depth: int) -> list[float]:
    """One move after the other, on copies, without pruning."""
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
@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_the_best_moves_are_those_of_the_network_at_the_leaves(
    depth: int, afterstates: bool
) -> None:
    ours, game = policy("tic_tac_toe", afterstates=afterstates), positions("tic_tac_toe", 4, 8)
    slots = playing(game)
    moves = best_moves(ours, game, slots, Lookahead(depth))
    for slot, move in zip(slots.tolist(), moves.tolist(), strict=True):
        values = slow_values(ours, game, slot, depth)
        assert values[move] >= max(values) - 1e-5  # of another batch, and so rounded otherwise


def tables(game: str) -> InferencePolicy:
    """Values that do not depend on the company of a position; many are equal."""
    network = NetworkSpec("ntuples", {"tuples": 6, "tuple_size": 2})
    ours = InferencePolicy(PolicySpec(game, network, afterstates=True))
    weights = np.random.default_rng(1).integers(-2, 3, ours.vector().shape)
    ours.load_vector((weights / 8).astype(np.float32))
    return ours


@pytest.mark.parametrize(
    ("name", "plies", "depth"),
    [("connect_four", 10, 2), ("connect_four", 24, 3), ("othello", 52, 3)],  # passes in Othello
)
def test_pruning_does_not_change_a_move(name: str, plies: int, depth: int) -> None:
    ours, game = tables(name), positions(name, plies, 4)
    slots = playing(game)
    found = best_moves(ours, game, slots, Lookahead(depth)).tolist()
    for slot, move in zip(slots.tolist(), found, strict=True):
        values = slow_values(ours, game, slot, depth)
        assert move == values.index(max(values))


def mean_values(ours: InferencePolicy, game: CompiledGame, slot: int) -> list[float]:
    """Means over many throws, by the rules' own step with streams of as many keys."""
    values = []
    for action in range(game.spec.num_actions):
        if not game.mask[slot, action]:
            values.append(-np.inf)
            continue
        copies = game.copied(np.full(1500, slot), stream_keys(1500))
        copies.step(np.full(1500, action))
        mover, going = game.seat[slot], copies.mask.any(axis=1)
        worth = copies.rewards[:, mover].astype(np.float64)
        on = np.flatnonzero(going)
        found = np.where(copies.mask[on], ours.action_values(copies, on), -np.inf).max(axis=1)
        worth[on] += np.where(copies.seat[on] == mover, found, -found)
        values.append(float(worth.mean()))
    return values


def stream_keys(count: int) -> NDArray[np.uint64]:
    return np.array([stream_key(77, number) for number in range(count)], np.uint64)


@pytest.mark.parametrize("name", ["backgammon", "ludo"])
def test_chance_is_averaged(name: str) -> None:
    """Moves at random positions are as good as those by a mean over 1,500 throws."""
    ours, game = policy(name, afterstates=True), positions(name, 41, 4)
    slots = playing(game)
    moves = best_moves(ours, game, slots, Lookahead(1))
    assert (moves >= 0).all()
    differing = 0
    for slot, move in zip(slots.tolist(), moves.tolist(), strict=True):
        values = mean_values(ours, game, slot)
        assert values[move] >= max(values) - 0.005
        differing += move != int(ours.action_values(game, np.array([slot]))[0].argmax())
    assert differing


def test_the_coming_dice_are_not_looked_at() -> None:
    ours, game = policy("backgammon", afterstates=True), positions("backgammon", 30, 8)
    slots = playing(game)
    others = game.copied(np.arange(8), stream_keys(8))
    moves = best_moves(ours, game, slots, Lookahead(1))
    assert (best_moves(ours, others, slots, Lookahead(1)) == moves).all()


def turn_values(ours: InferencePolicy, game: CompiledGame, slot: int) -> list[float]:
    """What moves are worth where the rest of the turn is played best, one after the other."""
    one, mover = np.array([slot]), game.seat[slot]
    after = game.afterstates(one)
    values = [-np.inf] * game.spec.num_actions
    for action in np.flatnonzero(game.mask[slot]).tolist():
        values[action] = float(after.rewards[0, action, mover])
        row = after.row[0, action]
        if row >= 0 and after.seat[0, action] == mover:  # dice are left
            later = game.copied(one)
            later.step(np.array([action]))
            values[action] += max(turn_values(ours, later, 0))
        elif row >= 0:
            values[action] -= float(ours.q_values(after.observation[row : row + 1])[0, 0])
    return values


def test_whole_turns_are_compared_by_where_they_end() -> None:
    ours = policy("backgammon", afterstates=True)
    moves_differ = 0
    for plies in (20, 90):
        game = positions("backgammon", plies, 8)
        slots = playing(game)
        moves = best_moves(ours, game, slots, Lookahead(turn=True))
        for slot, move in zip(slots.tolist(), moves.tolist(), strict=True):
            values = turn_values(ours, game, slot)
            assert values[move] == pytest.approx(max(values), abs=1e-5)
            moves_differ += move != int(ours.action_values(game, np.array([slot]))[0].argmax())
    assert moves_differ


class Counted:
    """A network that notes how many positions it is asked about."""

    def __init__(self, policy: InferencePolicy) -> None:
        self.spec, self._policy, self.positions = policy.spec, policy, 0

    def action_values(self, game: CompiledGame, slots: NDArray[np.int64]) -> NDArray[np.float32]:
        self.positions += len(slots)
        return self._policy.action_values(game, slots)


def test_a_search_with_pruning_looks_at_few_positions() -> None:
    counted, game = Counted(tables("connect_four")), positions("connect_four", 10, 8)
    slots = playing(game)
    best_moves(counted, game, slots, Lookahead(4))  # type: ignore[arg-type]
    assert counted.positions < 0.4 * len(slots) * 7**4


@pytest.mark.parametrize("nodes", [1, 8, 60, 700])
def test_a_limit_of_positions_is_kept_and_what_fits_is_searched(nodes: int) -> None:
    ours, game = tables("connect_four"), positions("connect_four", 12, 8)
    slots = playing(game)
    together = best_moves(ours, game, slots, Lookahead(20, nodes))
    depths = []
    for slot, move in zip(slots, together.tolist(), strict=True):
        counted = Counted(ours)
        alone = best_moves(counted, game, slot[None], Lookahead(20, nodes))  # type: ignore[arg-type]
        assert alone.tolist() == [move]
        assert counted.positions <= nodes
        reached = [d for d in range(5) if best_moves(ours, game, slot[None], Lookahead(d)) == move]
        depths.append(bool(reached))
    assert all(depths)
    if nodes == 1:
        assert (together == best_moves(ours, game, slots, Lookahead(0))).all()


def test_without_need_of_more_a_limit_changes_nothing() -> None:
    ours, game = tables("connect_four"), positions("connect_four", 12, 8)
    slots = playing(game)
    limited = best_moves(ours, game, slots, Lookahead(3, 10**9))
    assert (limited == best_moves(ours, game, slots, Lookahead(3))).all()


def test_many_positions_are_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, game = tables("connect_four"), positions("connect_four", 6)
    whole = best_moves(ours, game, playing(game), Lookahead(2))
    monkeypatch.setattr(tree_search, "_MAX_POSITIONS", 40)
    assert (best_moves(ours, game, playing(game), Lookahead(2)) == whole).all()


def test_the_matches_themselves_do_not_change() -> None:
    game = positions("connect_four", 6)
    before = game.get_state()
    player = agent_player("agent", policy("connect_four"), lookahead=Lookahead(2))
    actions = player.act(game, playing(game), np.zeros((len(playing(game)), 2)))
    after = game.get_state()
    assert all((before[name] == after[name]).all() for name in before)
    game.step(actions)


@pytest.mark.parametrize(
    ("name", "depth", "nodes", "message"),
    [
        ("connect_four", 20, 0, "lookahead_nodes: got 0, expected at least 1"),
        ("connect_four", -1, None, "lookahead: got -1, expected a number of plies from 0 to 20"),
        ("ludo(num_players=3)", 1, None, "lookahead 1 cannot search in ludo.*: got 3 players"),
    ],
)
def test_what_cannot_be_searched_is_refused(
    name: str, depth: int, nodes: int | None, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        agent_player("agent", policy(name), lookahead=Lookahead(depth, nodes))


@pytest.mark.parametrize(
    ("name", "afterstates", "values"),
    [("connect_four", True, "positions after moves"), ("backgammon", False, "actions")],
)
def test_whole_turns_need_chance_and_values_of_positions(
    name: str, afterstates: bool, values: str
) -> None:
    message = f"lookahead turn in {name}: got an agent that values {values}, expected one that"
    with pytest.raises(ConfigurationError, match=message):
        agent_player("a", policy(name, afterstates=afterstates), lookahead=Lookahead(turn=True))


def test_whole_turns_are_asked_for_by_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    agent = DQNAgent(PolicySpec("backgammon", NetworkSpec("mlp", {"net_arch": [8]}), True))
    game = positions("backgammon", 20, 8)
    turn = best_moves(agent.policy(), game, playing(game), Lookahead(turn=True))
    assert (agent.act(game, playing(game), lookahead="turn") == turn).all()
    assert (
        agent.predict(game.observation, action_masks=game.mask, lookahead="turn")[0] == turn
    ).all()
    command = ["evaluate", "backgammon", "--lookahead", "turn", "--lookahead-nodes", "9"]
    assert main(command) == 2
    assert "expected nothing beside --lookahead turn" in capsys.readouterr().err


def test_a_game_in_python_is_refused() -> None:
    name = "plain_games:Toe"
    game = make(name, 1)
    game.reset(np.array([0]), np.array([1], np.uint64))
    with pytest.raises(ConfigurationError, match="got a game in Python, expected compiled rules"):
        best_moves(policy(name), game, np.array([0]), Lookahead(1))


def test_an_agent_that_sees_to_the_end_never_loses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = policy("tic_tac_toe")
    file = str(tmp_path / "agent.safetensors")
    DQNAgent(ours.spec, weights=ours.get_weights()).save(file)
    assert main(["evaluate", file, "--exhaustive"]) == 0
    plain = capsys.readouterr().out
    assert not plain.startswith("0 losses")
    assert main(["evaluate", file, "--exhaustive", "--lookahead", "8"]) == 0
    assert capsys.readouterr().out.startswith("0 losses")
    assert main(["evaluate", file, "--exhaustive", "--lookahead-nodes", "1"]) == 0
    assert capsys.readouterr().out == plain
