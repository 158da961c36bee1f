"""Othello: discs on a board of eight by eight; a move encloses rows of the opponent's discs, which
turn over.

Action 8 * row + column lays a disc, rows from the top; 64 passes, which is legal only without a
move, and then the only action. Seat 0 has the black discs and begins. The match ends when neither
seat can move; who has more discs is paid +1, the other -1, and equal numbers are a draw.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from sparring.games.spec import Board, BoardStyle, GameSpec, square_symmetries

SIDE: Final = 8
CELLS: Final = SIDE * SIDE
PASS: Final = CELLS
_NONE: Final = np.uint64(0)
_ONE: Final = np.uint64(1)
_MIDDLE: Final = np.uint64(0x7E7E_7E7E_7E7E_7E7E)  # all columns but the first and the last
_BLACK: Final = np.uint64(1 << 28 | 1 << 35)  # at the start: e4, d5
_WHITE: Final = np.uint64(1 << 27 | 1 << 36)  # d4, e5
_OPENING: Final = np.uint64(1 << 19 | 1 << 26 | 1 << 37 | 1 << 44)  # d3, c4, f5, e6

STATE: Final = np.dtype(
    [
        ("discs", np.uint64, (2,)),  # bits of each seat's cells: bit 8 * row + column
        ("moves", np.uint64),  # bits of the cells in which the seat to move can lay a disc
        ("seat", np.int8),
    ]
)


SPEC: Final = GameSpec(
    name="othello",
    num_players=2,
    num_actions=CELLS + 1,
    observation_shape=(2, SIDE, SIDE),  # the mover's discs, the opponent's discs
    observation_dtype="int8",
    max_plies=2 * (CELLS - 4),  # never reached: a disc is laid after each pass
    zero_sum=True,
    returns=(-1.0, 1.0),
    symmetries=square_symmetries(SIDE, planes=2, others=1),
    board=Board(),
)
STYLE: Final = BoardStyle(marks="XO", colours=(("X", "bold green"), ("O", "bold white")))


def start(state: Any, rng: Any) -> None:
    """Four discs in the middle, seat 0 to move."""
    state["discs"][0], state["discs"][1], state["moves"] = _BLACK, _WHITE, _OPENING


def legal(state: Any, mask: Any) -> None:
    """Every cell that encloses discs; without one the pass. `mask` [65]."""
    moves = state["moves"]
    for cell in range(CELLS):
        mask[cell] = (moves >> np.uint64(cell)) & _ONE
    mask[PASS] = moves == _NONE


def observe(state: Any, observation: Any) -> None:
    """Planes [2, 8, 8]: the mover's discs, the opponent's discs."""
    discs, seat = state["discs"], state["seat"]
    mine, theirs = discs[seat], discs[1 - seat]
    for row in range(SIDE):
        for column in range(SIDE):
            cell = np.uint64(SIDE * row + column)
            observation[0, row, column] = (mine >> cell) & _ONE
            observation[1, row, column] = (theirs >> cell) & _ONE


def play(state: Any, action: Any, rewards: Any, rng: Any) -> Any:
    """Lay a disc and turn over what it encloses, or pass; the match ends when neither can move."""
    discs, seat = state["discs"], state["seat"]
    mine, theirs = discs[seat], discs[1 - seat]
    if action != PASS:
        move = _ONE << np.uint64(action)
        turned = _turned(move, mine, theirs)
        mine |= move | turned
        theirs ^= turned
        discs[seat], discs[1 - seat] = mine, theirs
    state["seat"] = 1 - seat
    moves = _moves(theirs, mine)
    state["moves"] = moves
    if moves != _NONE or _moves(mine, theirs) != _NONE:
        return False
    lead = _count(mine) - _count(theirs)
    if lead != 0:
        winner = seat if lead > 0 else 1 - seat
        rewards[winner] += 1
        rewards[1 - winner] -= 1
    return True


def place(state: Any, observation: Any) -> None:
    """Set a row that is zeroed but for `seat` to the position that the seat sees so."""
    seat, discs = state["seat"], state["discs"]
    for plane, owner in enumerate((seat, 1 - seat)):
        for cell in np.flatnonzero(observation[plane]):
            discs[owner] |= _ONE << np.uint64(cell)
    state["moves"] = _moves(discs[seat], discs[1 - seat])


def text(state: Any) -> str:
    """The board, seat 0's discs as X and seat 1's as O; where the mover can lay a disc stands the
    number of that action.
    """
    black, white, moves = (int(bits) for bits in (*state["discs"], state["moves"]))
    signs = [
        "X" if black >> cell & 1 else "O" if white >> cell & 1 else str(cell) * (moves >> cell & 1)
        for cell in range(CELLS)
    ]
    rows = [
        f"{row + 1} " + " ".join(f"{sign or '.':>2}" for sign in signs[SIDE * row :][:SIDE])
        for row in range(SIDE)
    ]
    return "\n".join(["   " + "  ".join("abcdefgh"), *rows])


def action_text(state: Any, action: int) -> str:
    """The cell as column and row, `d3`; or `pass`."""
    return "pass" if action == PASS else f"{'abcdefgh'[action % SIDE]}{action // SIDE + 1}"


def _moves(mine: Any, theirs: Any) -> Any:
    """The empty cells that enclose a row of their discs between themselves and one of mine.

    The first and the last column are never between two cells of a row, but where the row is
    upright; without them no row runs on at the other edge.
    """
    middle = theirs & _MIDDLE
    found = (
        _beyond(mine, middle, np.uint64(1))
        | _beyond(mine, middle, np.uint64(SIDE - 1))
        | _beyond(mine, theirs, np.uint64(SIDE))
        | _beyond(mine, middle, np.uint64(SIDE + 1))
    )
    return found & ~(mine | theirs)


def _turned(move: Any, mine: Any, theirs: Any) -> Any:
    """Their discs in a row between `move` and one of mine."""
    middle = theirs & _MIDDLE
    return (
        _between(move, mine, middle, np.uint64(1))
        | _between(move, mine, middle, np.uint64(SIDE - 1))
        | _between(move, mine, theirs, np.uint64(SIDE))
        | _between(move, mine, middle, np.uint64(SIDE + 1))
    )


def _beyond(cells: Any, discs: Any, step: Any) -> Any:
    """The cells behind rows of `discs` that begin beside `cells`, forwards and backwards."""
    return (_forwards(cells, discs, step) << step) | (_backwards(cells, discs, step) >> step)


def _between(move: Any, mine: Any, discs: Any, step: Any) -> Any:
    """The rows of `discs` that begin beside `move` and end beside one of mine."""
    ahead, behind = _forwards(move, discs, step), _backwards(move, discs, step)
    turned = ahead if ((ahead << step) & mine) != _NONE else _NONE
    return turned | (behind if ((behind >> step) & mine) != _NONE else _NONE)


def _forwards(cells: Any, discs: Any, step: Any) -> Any:
    """The rows of up to six `discs` that begin one step after `cells`: their first, their second,
    then two more each time.
    """
    row = discs & (cells << step)
    row |= discs & (row << step)
    pairs, two = discs & (discs << step), step + step
    row |= pairs & (row << two)
    return row | (pairs & (row << two))


def _backwards(cells: Any, discs: Any, step: Any) -> Any:
    """As `_forwards`, towards lower bits."""
    row = discs & (cells >> step)
    row |= discs & (row >> step)
    pairs, two = discs & (discs >> step), step + step
    row |= pairs & (row >> two)
    return row | (pairs & (row >> two))


def _count(cells: Any) -> Any:
    number = 0
    while cells != _NONE:
        cells &= cells - _ONE
        number += 1
    return number
