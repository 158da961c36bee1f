from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from lines_of_play import played, random_lines

from sparring.evaluation import play_matches, score_matches
from sparring.games import make
from sparring.games.compiled.game import CompiledGame
from sparring.opponents.scripted import scripted_player

TIC_TAC_TOE = "sparring.games.tic_tac_toe"
FIRST = np.zeros(1, np.int64)


def test_more_playouts_play_better() -> None:
    """A win counting 1, a draw 1/2: floor 0, equals 0.5, ceiling 1; measured were 0.97, 0.04 and
    0.76.
    """
    game = partial(make, "connect_four")
    scores = {}
    for first, second in (("mcts:100", "mcts:10"), ("mcts:10", "mcts:100"), ("mcts:10", "random")):
        players = [scripted_player(first), scripted_player(second)]
        scores[first, second] = score_matches(
            play_matches(game, players, matches=200, seed=0)
        ).score
    assert scores["mcts:100", "mcts:10"] > 0.8
    assert scores["mcts:10", "mcts:100"] < 0.2
    assert scores["mcts:10", "random"] > 0.7


@pytest.mark.full
def test_perfect_tic_tac_toe() -> None:
    """Enough playouts from the empty board draw against a perfect player, from both seats."""
    players = [scripted_player("mcts:4000"), scripted_player("minimax:9")]
    table = play_matches(partial(make, "tic_tac_toe"), players, matches=40, seed=0, opening_plies=0)
    assert (table.returns == 0).all()


@pytest.mark.parametrize(("line", "move"), [([0, 3, 1, 4], 2), ([0, 8, 1], 2)])
def test_it_wins_and_it_blocks(line: list[int], move: int) -> None:
    game = make("tic_tac_toe", 1)
    played(game, [line])
    uniforms = np.random.default_rng(0).random((50, 2))
    assert (
        scripted_player("mcts:300").act(game, np.zeros(50, np.int64), uniforms).tolist()
        == [move] * 50
    )


def test_its_moves_follow_from_its_draws() -> None:
    game = make("connect_four", 3)
    slots, uniforms = played(game, [[3], [3], [2]]), np.random.default_rng(0).random((3, 2))
    uniforms[1] = uniforms[0]
    moves = scripted_player("mcts:7").act(game, slots, uniforms)
    assert moves[0] == moves[1]
    assert (
        scripted_player("mcts:7").act(game, slots[::-1], uniforms[::-1]).tolist()
        == moves[::-1].tolist()
    )
    many = scripted_player("mcts:7").act(
        game, np.zeros(100, np.int64), np.random.default_rng(1).random((100, 2))
    )
    assert set(many.tolist()) == set(range(7))  # seven playouts visit each move once


def test_one_playout_is_a_random_move() -> None:
    game = make("tic_tac_toe", 1)
    played(game, [[4]])
    moves = scripted_player("mcts:1").act(
        game, np.zeros(8000, np.int64), np.random.default_rng(0).random((8000, 2))
    )
    counts = np.bincount(moves, minlength=9)
    assert counts[4] == 0
    assert np.abs(np.delete(counts, 4) - 1000).max() < 4.5 * np.sqrt(1000 * 7 / 8)


@pytest.mark.full
def test_extra_turns_and_rewards_in_the_middle() -> None:
    """Against the full search: with many playouts, nearly every move is one of the best."""
    lines = random_lines("tangled_rules", 200, 1)
    game = CompiledGame("tangled_rules", len(lines))
    slots = played(game, lines)
    slots = slots[~game.terminated]
    moves = game.most_visited(slots, 3000, slots.astype(np.uint64))
    best = game.best_moves(slots, 12)
    assert best.mean() < 0.6
    assert best[np.arange(len(slots)), moves].mean() > 0.9
