from __future__ import annotations

import numpy as np
import pytest

from sparring.games import BatchedGame, make
from sparring.games.drawings import cells_of_moves, changed_cells, drawing, layout

FIRST = np.zeros(1, np.int64)


def played(name: str, *actions: int) -> BatchedGame:
    game = make(name, 1)
    game.reset(FIRST, np.ones(1, np.uint64))
    for action in actions:
        game.step(np.array([action]))
    return game


@pytest.mark.parametrize(
    ("name", "rows", "moves", "bottom_up"),
    [
        ("connect_four", 6, "columns", True),
        ("tic_tac_toe", 3, "cells", False),
        ("othello", 8, "cells", False),
    ],
)
def test_how_declared_boards_are_drawn(name: str, rows: int, moves: str, bottom_up: bool) -> None:
    found = layout(make(name, 1))
    assert (found["kind"], found["rows"], found["planes_per_seat"]) == ("grid", rows, 1)
    assert (found["moves"], found["bottom_up"]) == (moves, bottom_up)


def test_a_board_is_as_seat_0_sees_it_whoever_moves() -> None:
    for actions in ((4,), (4, 0)):
        cells = drawing(played("tic_tac_toe", *actions), 0)["cells"]
        assert cells[4] == 1
        assert cells[0] == (2 if len(actions) == 2 else 0)


def test_the_last_position_is_drawn_too() -> None:
    game = played("connect_four", 0, 1, 0, 1, 0, 1, 0)
    assert game.terminated[0]
    cells = np.reshape(drawing(game, 0)["cells"], (6, 7))
    assert cells[:, 0].tolist() == [1, 1, 1, 1, 0, 0]
    assert cells[:, 1].tolist() == [2, 2, 2, 0, 0, 0]


def test_moves_from_cell_to_cell_say_which_cells_they_change() -> None:
    """Hexapawn: a pawn moves from 6, 7 or 8 straight ahead; from 7 on it takes on 3 or 5, too."""
    game = played("hexapawn:Hexapawn")
    state = game.get_state()
    by_text = {
        game.action_text(0, action): cells for action, cells in cells_of_moves(game, 0).items()
    }
    assert by_text == {"a1a2": [3, 6], "b1b2": [4, 7], "c1c2": [5, 8]}
    assert game.get_state()["history"].tolist() == state["history"].tolist()

    before = drawing(game, 0)
    game.step(np.array([7 * 3 + 1]))  # b1b2
    assert changed_cells(before, drawing(game, 0)) == [4, 7]
    assert sorted(cells_of_moves(game, 0).values()) == [[0, 3], [0, 4], [2, 4], [2, 5]]


@pytest.mark.parametrize("name", ["connect_four", "tic_tac_toe", "ludo", "broken_matches:Lists"])
def test_other_games_have_places_for_their_moves_or_no_board(name: str) -> None:
    assert cells_of_moves(played(name), 0) == {}


def test_a_game_without_a_board_is_text() -> None:
    game = played("broken_matches:Lists")
    assert layout(game) == {"kind": "text"}
    assert drawing(game, 0) == {"text": game.text(0)}


def test_tokens_of_ludo_stand_where_the_text_has_them() -> None:
    game = played("ludo(num_players=4)")
    assert layout(game) == {"kind": "ludo"}
    shown = drawing(game, 0)
    assert 1 <= shown["roll"] <= 6
    assert len(shown["tokens"]) == 16
    # all in their yards, each on a place of its own, seat 0 in the upper left corner
    places = {(token["row"], token["column"]) for token in shown["tokens"]}
    assert len(places) == 16
    assert {token["row"] < 6 and token["column"] < 6 for token in shown["tokens"][:4]} == {True}


def test_a_token_that_has_left_its_yard_stands_on_its_first_square() -> None:
    game = played("ludo(num_players=4)")
    state = game.get_state()
    state["states"][0]["progress"][1, 0] = 1
    state["states"][0]["progress"][0, 0] = 57
    game.set_state(state)
    tokens = drawing(game, 0)["tokens"]
    assert (tokens[4]["row"], tokens[4]["column"]) == (1, 8)
    assert 6 <= tokens[0]["row"] <= 8
    assert 6 <= tokens[0]["column"] <= 7


def test_checkers_of_backgammon_are_counted_by_the_points_of_their_seats() -> None:
    game = played("backgammon")
    assert layout(game) == {"kind": "points"}
    shown = drawing(game, 0)
    for checkers in shown["checkers"]:
        assert {point: count for point, count in enumerate(checkers) if count} == {
            6: 5, 8: 3, 13: 5, 24: 2
        }  # fmt: skip
    assert f"has to play {shown['dice'][0]} {shown['dice'][1]}." in game.text(0)
