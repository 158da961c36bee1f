"""A position of Ludo and its moves for people: text, 76 columns wide.

Squares of the ring stand between bars, safe ones in brackets; arrows are the home columns. The
tokens of the seat to move are digits, the actions that move them; those of other seats are letters,
A for seat 0, with their number where there are several.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import numpy as np

from sparring.games.ludo.rules import HOME, LAST_ON_RING, RING, TOKENS, play
from sparring.games.spec import BoardStyle

_QUARTER: Final = RING // 4
_SAFE: Final = (0, 8)  # squares of each quarter of the ring
_SIDE: Final = 15  # rows and columns of squares
_WIDTH: Final = 4  # characters of a square, between its bars
_LETTERS: Final = "ABCD"
STYLE: Final = BoardStyle(
    marks=_LETTERS,
    colours=(
        (r"A\d?", "bold red"),
        (r"B\d?", "bold green"),
        (r"C\d?", "bold yellow"),
        (r"D\d?", "bold blue"),
        # the tokens of the seat to move
        (r"(?<!seat )(?<=[│\[\] ])[0-3]{1,4}(?=[A-D]| *[│\[\]])", "reverse"),
    ),
)
_ARROWS: Final = "→↓←↑"  # towards home, by quarter
_CORNERS: Final = (
    (2, 2),
    (2, 11),
    (11, 11),
    (11, 2),
)  # the square at which writing begins, by quarter

Number = TypeVar("Number", int, float)
Square = tuple[int, int]  # row and column, 0 to 14
Groups = list[str]  # the mover's ranks and the other seats' tokens in one place: ["02", "B", "C3"]

# Of the quarter in which seat 0 starts: its squares of the ring, and the squares from the last of
# the ring to home.
_PATH: Final[list[Square]] = (
    [(6, c) for c in range(1, 6)] + [(r, 6) for r in range(5, -1, -1)] + [(0, 7), (0, 8)]
)
_WAY_HOME: Final[list[Square]] = [(7, c) for c in range(7)]

_EMPTY: Final = """\
┌─────────────────────────────┬────┬────┬────┬─────────────────────────────┐
│                             │    │    │    │                             │
│                             │    │    [    ]                             │
│                             [    ]    │    │                             │
│                             │    │    │    │                             │
│                             │    │    │    │                             │
│                             │    │    │    │                             │
├────┬────┬────┬────┬────┬────┼────┴────┴────┼────┬────┬────┬────┬────┬────┤
│    [    ]    │    │    │    │              │    │    │    [    ]    │    │
│    │    │    │    │    │    │     home     │    │    │    │    │    │    │
│    │    [    ]    │    │    │              │    │    │    │    [    ]    │
├────┴────┴────┴────┴────┴────┼────┬────┬────┼────┴────┴────┴────┴────┴────┤
│                             │    │    │    │                             │
│                             │    │    │    │                             │
│                             │    │    │    │                             │
│                             │    │    [    ]                             │
│                             [    ]    │    │                             │
│                             │    │    │    │                             │
└─────────────────────────────┴────┴────┴────┴─────────────────────────────┘"""


def text(state: Any) -> str:
    """The board, the tokens of squares that are too full to show them, and the roll."""
    board, notes = _Drawing(), []
    for seat in range(len(state["progress"])):
        quarter = _quarter(state, seat)
        board.label(quarter, [f"{_LETTERS[seat]}, seat {seat}", f"yard  {_yard(state, seat)}"])
        for progress in range(LAST_ON_RING + 1, HOME):
            board.fill(_square(quarter, progress), _ARROWS[quarter])
    for square, groups in sorted(_standing(state).items()):
        shown = "".join(groups)
        if len(shown) > _WIDTH:
            shown = "".join(group[0] for group in groups)
            notes.append(f"{shown} is {', '.join(groups)}")
        board.fill(square, shown)
    return "\n".join([str(board), *notes, _turn(state)])


def tokens(state: Any) -> list[dict[str, float]]:
    """All tokens for a drawing of 15 by 15 squares: seat, rank among its seat's, row and column.

    Those in a yard wait around the middle of their corner, those at home in the middle of the
    board, each on a place of its own.
    """
    drawn = []
    for (seat, rank), progress in np.ndenumerate(state["progress"]):
        quarter = _quarter(state, seat)
        row, column = _place(quarter, rank, int(progress))
        drawn.append({"seat": seat, "rank": rank, "row": row, "column": column})
    return drawn


def action_text(state: Any, action: int) -> str:
    """The move of the mover's token of rank `action`, by its progress: "token 1: 14 -> 18, captures
    B".
    """
    seat = int(state["seat"])
    now = int(state["progress"][seat, action])
    target = now + int(state["roll"]) if now else 1
    facts = [f"captures {_LETTERS[other]}" for other in _captured(state, action)]
    if now <= LAST_ON_RING < target < HOME:
        facts.append("into the home column")
    elif (
        now
        and target <= LAST_ON_RING
        and (_QUARTER * _quarter(state, seat) + target - 1) % _QUARTER in _SAFE
    ):
        facts.append("to a safe square")
    move = f"token {action}: {now or 'yard'} -> {target if target < HOME else 'home'}"
    return ", ".join([move, *facts])


def _captured(state: Any, action: int) -> list[int]:
    """The other seats that have more tokens in the yard after the move, whatever is rolled next."""
    after = state.copy()
    play(after, action, np.zeros(len(state["progress"])), np.zeros(2, np.uint64))
    grown = (after["progress"] == 0).sum(axis=1) > (state["progress"] == 0).sum(axis=1)
    return np.flatnonzero(grown).tolist()


def _standing(state: Any) -> dict[Square, Groups]:
    """Tokens on each square that is not empty, homes included."""
    ranks: dict[Square, dict[int, str]] = {}
    for (seat, rank), progress in np.ndenumerate(state["progress"]):
        if progress:
            here = ranks.setdefault(_square(_quarter(state, seat), int(progress)), {})
            here[seat] = here.get(seat, "") + str(rank)
    order = sorted(range(len(state["progress"])), key=lambda seat: seat != state["seat"])
    return {
        square: [_group(state, seat, here[seat]) for seat in order if seat in here]
        for square, here in ranks.items()
    }


def _yard(state: Any, seat: int) -> str:
    waiting = "".join(str(rank) for rank in range(TOKENS) if not state["progress"][seat, rank])
    return _group(state, seat, waiting) if waiting else "empty"


def _group(state: Any, seat: int, ranks: str) -> str:
    """The tokens of one seat in one place, where `ranks` are theirs."""
    if seat == state["seat"]:
        return ranks
    return _LETTERS[seat] + (str(len(ranks)) if len(ranks) > 1 else "")


def _turn(state: Any) -> str:
    letter = _LETTERS[state["seat"]]
    if (state["progress"][state["seat"]] == HOME).all():
        return f"{letter} has all its tokens home."
    row = ", the second six in a row" if state["sixes"] == 2 else ""
    return f"{letter} has thrown {state['roll']}{row}. Its tokens are the digits, 0 the foremost."


def _quarter(state: Any, seat: int) -> int:
    """The quarter of the ring that a seat starts in: two players sit opposite each other."""
    return 2 * seat if len(state["progress"]) == 2 else seat


def _square(quarter: int, progress: int) -> Square:
    """Square of a token with this progress, 1 to 57, that started in that quarter."""
    if progress > LAST_ON_RING:
        return _turned(_WAY_HOME[progress - LAST_ON_RING], quarter)
    quarters, steps = divmod(progress - 1, _QUARTER)
    return _turned(_PATH[steps], quarter + quarters)


def _place(quarter: int, rank: int, progress: int) -> tuple[float, float]:
    """Row and column of a token in a drawing."""
    if 0 < progress < HOME:
        return _square(quarter, progress)
    across, along = divmod(rank, 2)
    if progress:
        return _turned((6.7 + 0.6 * across, 6.3 + 0.5 * along), quarter)
    return _turned((1.5 + 2 * across, 1.5 + 2 * along), quarter)


def _turned(square: tuple[Number, Number], quarters: int) -> tuple[Number, Number]:
    """The square after turning the board clockwise."""
    row, column = square
    for _ in range(quarters % 4):
        row, column = column, _SIDE - 1 - row
    return row, column


class _Drawing:
    """The empty board, to be written on."""

    def __init__(self) -> None:
        self._lines = [list(line) for line in _EMPTY.split("\n")]

    def __str__(self) -> str:
        return "\n".join("".join(line) for line in self._lines)

    def fill(self, square: Square, shown: str) -> None:
        """Write at most `_WIDTH` characters into a square."""
        self._write(square, 1, f"{shown:^{_WIDTH}}")

    def label(self, quarter: int, lines: list[str]) -> None:
        """Write into the corner where the tokens of that quarter's seat wait."""
        top, left = _CORNERS[quarter]
        for i, line in enumerate(lines):
            self._write((top + i, left), 0, line)

    def _write(self, square: Square, offset: int, text: str) -> None:
        row, column = square
        line = self._lines[1 + row + (row > 5) + (row > 8)]  # below the frame and the two long bars
        begin = column * (_WIDTH + 1) + offset
        line[begin : begin + len(text)] = text
