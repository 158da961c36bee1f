"""Tic-tac-toe: three in a row on a board of three by three.

Action 3 * row + column marks a cell, rows from the top. Seat 0 begins. The winner is paid +1 and
the loser -1; a full board is a draw.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from sparring.games.spec import Board, BoardStyle, GameSpec, square_symmetries

SIDE: Final = 3
CELLS: Final = SIDE * SIDE

STATE: Final = np.dtype(
    [
        ("board", np.int8, (SIDE, SIDE)),  # 0 empty, else 1 + the seat that marked the cell
        ("marks", np.int8),
        ("seat", np.int8),
    ]
)


SPEC: Final = GameSpec(
    name="tic_tac_toe",
    num_players=2,
    num_actions=CELLS,
    observation_shape=(2, SIDE, SIDE),  # the mover's marks, the opponent's marks
    observation_dtype="int8",
    max_plies=CELLS,
    zero_sum=True,
    returns=(-1.0, 1.0),
    symmetries=square_symmetries(SIDE, planes=2),
    board=Board(),
)
STYLE: Final = BoardStyle(marks="XO", colours=(("X", "bold red"), ("O", "bold blue")))


def start(state: Any, rng: Any) -> None:
    """A zeroed row is the empty board with seat 0 to move."""


def legal(state: Any, mask: Any) -> None:
    """Every empty cell, `mask` [9]."""
    board = state["board"]
    for action in range(CELLS):
        mask[action] = board[action // SIDE, action % SIDE] == 0


def observe(state: Any, observation: Any) -> None:
    """Planes [2, 3, 3]: the mover's marks, the opponent's marks."""
    board = state["board"]
    mine = state["seat"] + 1
    theirs = 3 - mine
    for row in range(SIDE):
        for column in range(SIDE):
            observation[0, row, column] = board[row, column] == mine
            observation[1, row, column] = board[row, column] == theirs


def play(state: Any, action: Any, rewards: Any, rng: Any) -> Any:
    """Mark a cell; the match ends with three in a row or with a full board."""
    board, seat = state["board"], state["seat"]
    row, column = action // SIDE, action % SIDE
    board[row, column] = seat + 1
    state["marks"] += 1
    state["seat"] = 1 - seat
    if _three_through(board, row, column):
        rewards[seat] += 1
        rewards[1 - seat] -= 1
        return True
    return state["marks"] == CELLS


def place(state: Any, observation: Any) -> None:
    """Set a row that is zeroed but for `seat` to the position that the seat sees so."""
    mine = 1 + state["seat"]
    state["board"] = mine * observation[0] + (3 - mine) * observation[1]
    state["marks"] = observation.sum()


def text(state: Any) -> str:
    """The board, seat 0's marks as X and seat 1's as O, empty cells as their numbers."""
    cells = [
        " XO"[mark] if mark else str(action) for action, mark in enumerate(state["board"].flat)
    ]
    return "\n".join(" ".join(cells[row * SIDE : (row + 1) * SIDE]) for row in range(SIDE))


def _three_through(board: Any, row: Any, column: Any) -> Any:
    """Return whether the mark just made completes a row, a column or a diagonal; a diagonal
    elsewhere, full of it, would have ended the match.
    """
    mark = board[row, column]
    in_row = in_column = falling = rising = True
    for i in range(SIDE):
        in_row &= board[row, i] == mark
        in_column &= board[i, column] == mark
        falling &= board[i, i] == mark
        rising &= board[i, SIDE - 1 - i] == mark
    return in_row or in_column or falling or rising
