"""Connect Four: four in a row on a grid of six rows and seven columns, into which stones are dropped.

Action = column, 0 to 6. Row 0 is the bottom. Seat 0 begins. The winner is paid +1 and the loser -1; a full grid is a draw.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from sparring.games.spec import GameSpec, Symmetry

ROWS: Final = 6
COLUMNS: Final = 7
CELLS: Final = ROWS * COLUMNS

STATE: Final = np.dtype(
    [
        ("board", np.int8, (ROWS, COLUMNS)),  # 0 empty, else 1 + the seat that dropped the stone
        ("height", np.int8, (COLUMNS,)),  # stones in each column
        ("stones", np.int8),
        ("seat", np.int8),
    ]
)


def _mirror() -> Symmetry:
    """Left and right exchanged."""
    planes = np.arange(2 * CELLS).reshape(2, ROWS, COLUMNS)
    return Symmetry(observation=tuple(planes[:, :, ::-1].ravel().tolist()), action=tuple(reversed(range(COLUMNS))))


SPEC: Final = GameSpec(
    name="connect_four",
    num_players=2,
    num_actions=COLUMNS,
    observation_shape=(2, ROWS, COLUMNS),  # the mover's stones, the opponent's stones
    observation_dtype="int8",
    max_plies=CELLS,
    zero_sum=True,
    returns=(-1.0, 1.0),
    symmetries=(_mirror(),),
)


def start(state: Any, rng: Any) -> None:
    """A zeroed row is the empty grid with seat 0 to move."""


def legal(state: Any, mask: Any) -> None:
    """Every column that is not full, `mask` [7]."""
    height = state["height"]
    for column in range(COLUMNS):
        mask[column] = height[column] < ROWS


def observe(state: Any, observation: Any) -> None:
    """Planes [2, 6, 7]: the mover's stones, the opponent's stones."""
    board = state["board"]
    mine = state["seat"] + 1
    theirs = 3 - mine
    for row in range(ROWS):
        for column in range(COLUMNS):
            observation[0, row, column] = board[row, column] == mine
            observation[1, row, column] = board[row, column] == theirs


def play(state: Any, action: Any, rewards: Any, rng: Any) -> Any:
    """Drop a stone; the match ends with four in a row or with a full grid."""
    board, height, seat = state["board"], state["height"], state["seat"]
    row = height[action]
    board[row, action] = seat + 1
    height[action] += 1
    state["stones"] += 1
    state["seat"] = 1 - seat
    if _four_through(board, row, action):
        rewards[seat] += 1
        rewards[1 - seat] -= 1
        return True
    return state["stones"] == CELLS


def text(state: Any) -> str:
    """The grid, seat 0's stones as X and seat 1's as O, above the numbers of the columns."""
    rows = [" ".join(".XO"[stone] for stone in row) for row in state["board"][::-1]]
    return "\n".join([*rows, " ".join(map(str, range(COLUMNS)))])


def _four_through(board: Any, row: Any, column: Any) -> Any:
    """Whether the stone just dropped here stands in a line of four: only lines through it can be new."""
    return (
        _run(board, row, column, -1, 0) >= 3
        or _run(board, row, column, 0, -1) + _run(board, row, column, 0, 1) >= 3
        or _run(board, row, column, -1, -1) + _run(board, row, column, 1, 1) >= 3
        or _run(board, row, column, -1, 1) + _run(board, row, column, 1, -1) >= 3
    )


def _run(board: Any, row: Any, column: Any, up: Any, right: Any) -> Any:
    """Stones of the same colour that follow without a gap in one direction."""
    colour = board[row, column]
    length = 0
    row, column = row + up, column + right
    while 0 <= row < ROWS and 0 <= column < COLUMNS and board[row, column] == colour:
        length += 1
        row, column = row + up, column + right
    return length
