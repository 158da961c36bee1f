"""Connect Four: four in a row on a grid of six rows and seven columns, into which stones are
dropped.

Action = column, 0 to 6. Row 0 is the bottom. Seat 0 begins. The winner is paid +1 and the loser -1;
a full grid is a draw.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from sparring.games.spec import Board, BoardStyle, GameSpec, Symmetry

ROWS: Final = 6
COLUMNS: Final = 7
CELLS: Final = ROWS * COLUMNS
_NONE: Final = np.uint64(0)
_ONE: Final = np.uint64(1)

STATE: Final = np.dtype(
    [
        # Bits of each seat's cells: bit 7 * column + row, which leaves one empty between columns.
        ("stones", np.uint64, (2,)),
        ("height", np.int8, (COLUMNS,)),  # stones in each column
        ("count", np.int8),  # of all stones
        ("seat", np.int8),
    ]
)


def _mirror() -> Symmetry:
    """Left and right exchanged."""
    planes = np.arange(2 * CELLS).reshape(2, ROWS, COLUMNS)
    return Symmetry(
        observation=tuple(planes[:, :, ::-1].ravel().tolist()),
        action=tuple(reversed(range(COLUMNS))),
    )


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
    board=Board(support=(-1,) * COLUMNS + tuple(range(CELLS - COLUMNS))),
)
STYLE: Final = BoardStyle(marks="XO", colours=(("X", "bold red"), ("O", "bold yellow")))


def start(state: Any, rng: Any) -> None:
    """A zeroed row is the empty grid with seat 0 to move."""


def legal(state: Any, mask: Any) -> None:
    """Every column that is not full, `mask` [7]."""
    height = state["height"]
    for column in range(COLUMNS):
        mask[column] = height[column] < ROWS


def observe(state: Any, observation: Any) -> None:
    """Planes [2, 6, 7]: the mover's stones, the opponent's stones."""
    stones, seat = state["stones"], state["seat"]
    mine, theirs = stones[seat], stones[1 - seat]
    for row in range(ROWS):
        for column in range(COLUMNS):
            cell = _cell(column, row)
            observation[0, row, column] = (mine & cell) != _NONE
            observation[1, row, column] = (theirs & cell) != _NONE


def play(state: Any, action: Any, rewards: Any, rng: Any) -> Any:
    """Drop a stone; the match ends with four in a row or with a full grid."""
    stones, height, seat = state["stones"], state["height"], state["seat"]
    stones[seat] |= _cell(action, height[action])
    height[action] += 1
    state["count"] += 1
    state["seat"] = 1 - seat
    if _has_four(stones[seat]):
        rewards[seat] += 1
        rewards[1 - seat] -= 1
        return True
    return state["count"] == CELLS


def place(state: Any, observation: Any) -> None:
    """Set a row that is zeroed but for `seat` to the position that the seat sees so."""
    seats = state["seat"], 1 - state["seat"]
    for row in range(ROWS):
        for column in range(COLUMNS):
            for plane, seat in enumerate(seats):
                if observation[plane, row, column] != 0:
                    state["stones"][seat] |= _cell(column, row)
                    state["height"][column] = row + 1
                    state["count"] += 1


def text(state: Any) -> str:
    """The grid, seat 0's stones as X and seat 1's as O, above the numbers of the columns."""
    x, o = state["stones"]
    signs = {(False, False): ".", (True, False): "X", (False, True): "O"}
    cells = [[_cell(column, row) for column in range(COLUMNS)] for row in reversed(range(ROWS))]
    rows = [" ".join(signs[bool(x & cell), bool(o & cell)] for cell in row) for row in cells]
    return "\n".join([*rows, " ".join(map(str, range(COLUMNS)))])


def _cell(column: Any, row: Any) -> Any:
    return _ONE << np.uint64((ROWS + 1) * column + row)


def _has_four(stones: Any) -> Any:
    """Return whether four of these stones are in line: up, along a row, or in either diagonal.

    Two pairs of neighbours, two steps apart, are four in a row; the empty bits between columns keep
    lines from running on.
    """
    for step in (1, ROWS, ROWS + 1, ROWS + 2):
        pairs = stones & (stones >> np.uint64(step))
        if (pairs & (pairs >> np.uint64(2 * step))) != _NONE:
            return True
    return False
