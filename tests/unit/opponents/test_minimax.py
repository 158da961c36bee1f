from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lines_of_play import played, random_lines
from numpy.typing import NDArray
from slow_search import SlowSearch, moves

from sparring.games import make, tic_tac_toe
from sparring.games.compiled.game import CompiledGame
from sparring.opponents.scripted import scripted_player

POSITIONS = Path(__file__).parents[2] / "data" / "connect_four" / "positions.csv"
TIC_TAC_TOE, CONNECT_FOUR = "sparring.games.tic_tac_toe", "sparring.games.connect_four"


def compared(
    game: CompiledGame, slots: NDArray[np.int64], depth: int
) -> list[tuple[list[int], list[int]]]:
    """(moves that were found, moves of the oracle) for each of the slots whose match goes on."""
    states, found, oracle = (
        game.get_state()["states"],
        game.best_moves(slots, depth),
        SlowSearch(game.rules),
    )
    return [
        (
            np.flatnonzero(row).tolist(),
            oracle.best_moves(states[slot], int(game.plies[slot]), depth),
        )
        for row, slot in zip(found, slots, strict=True)
        if not (game.terminated[slot] or game.truncated[slot])
    ]


def different(pairs: list[tuple[list[int], list[int]]]) -> list[tuple[list[int], list[int]]]:
    assert pairs
    return [pair for pair in pairs if pair[0] != pair[1]]


@pytest.fixture(scope="module")
def every_board() -> list[list[int]]:
    """A line of play to each position of tic-tac-toe that goes on."""
    found: dict[bytes, list[int]] = {}
    waiting: list[tuple[Any, list[int]]] = [(np.zeros(1, tic_tac_toe.STATE)[0], [])]
    while waiting:
        state, line = waiting.pop()
        if state.tobytes() not in found:
            found[state.tobytes()] = line
            for action in moves(tic_tac_toe, state):
                after = state.copy()
                if not tic_tac_toe.play(after, action, np.zeros(2), None):
                    waiting.append((after, [*line, action]))
    return list(found.values())


@pytest.mark.parametrize("depth", [1, 2, 3, 5, 9, 12])
def test_every_position_of_tic_tac_toe(depth: int, every_board: list[list[int]]) -> None:
    assert len(every_board) == 4520  # of 5478 positions, 958 are ends
    game = CompiledGame(TIC_TAC_TOE, len(every_board))
    assert different(compared(game, played(game, every_board), depth)) == []


@pytest.mark.parametrize(("plies", "depth"), [(34, 8), (31, 5), (20, 4), (8, 3), (0, 2)])
def test_connect_four(plies: int, depth: int) -> None:
    lines = random_lines(CONNECT_FOUR, 100, plies)
    game = CompiledGame(CONNECT_FOUR, len(lines))
    assert different(compared(game, played(game, lines), depth)) == []


@pytest.mark.parametrize(("plies", "depth"), [(0, 7), (0, 5), (1, 3), (3, 12)])
def test_extra_turns_and_rewards_in_the_middle_and_matches_that_are_cut(
    plies: int, depth: int
) -> None:
    lines = random_lines("tangled_rules", 100, plies)
    game = CompiledGame("tangled_rules", len(lines))
    pairs = compared(game, played(game, lines), depth)
    assert different(pairs) == []
    assert any(len(best) > 1 for _, best in pairs)


def test_exact_scores_of_connect_four() -> None:
    """With at most 12 plies left, best moves are those with the highest score of a solver,
    distance included.
    """
    rows = list(csv.DictReader(POSITIONS.read_text().splitlines()))
    for stones in range(30, 37):
        chosen = [row for row in rows if int(row["stones"]) == stones]
        game = make("connect_four", len(chosen))
        slots = played(game, [[int(column) - 1 for column in row["moves"]] for row in chosen])
        expected = [[row[f"s{column}"] == row["best"] for column in range(1, 8)] for row in chosen]
        assert len(chosen) > 150
        assert game.best_moves(slots, 42 - stones).tolist() == expected


def test_an_open_three() -> None:
    """Seat 0 has 1 2 3 on the ground, and 0 and 4 to win with; where seat 1 has them, whatever seat
    0 does loses in two plies.
    """
    game = make("connect_four", 2)
    slots = played(game, [[1, 1, 2, 2, 3, 3], [6, 1, 6, 2, 5, 3]])
    assert [np.flatnonzero(row).tolist() for row in game.best_moves(slots, 4)] == [
        [0, 4],
        [*range(7)],
    ]


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_equally_good_moves_are_chosen_equally_often(depth: int) -> None:
    game = make("tic_tac_toe", 1)
    played(game, [[4]])
    uniforms = np.stack(
        [np.random.default_rng(0).random(2520), (np.arange(2520) + 0.5) / 2520], axis=1
    )
    actions = scripted_player(f"minimax:{depth}").act(game, np.zeros(2520, np.int64), uniforms)
    best = np.flatnonzero(game.best_moves(np.zeros(1, np.int64), depth)[0])
    assert np.bincount(actions, minlength=9)[best].tolist() == [2520 // len(best)] * len(best)
