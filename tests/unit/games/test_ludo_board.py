"""The drawing of Ludo against boards drawn by hand, and every square of it against the numbers of
the rules.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sparring.games import make
from sparring.games.ludo.board import action_text, text
from sparring.games.ludo.rules import state_dtype

SAFE = {0, 8, 13, 21, 26, 34, 39, 47}
STARTS = {2: (0, 26), 3: (0, 13, 26), 4: (0, 13, 26, 39)}
YARD = [0, 0, 0, 0]

TWO_AT_THE_START = """\
┌─────────────────────────────┬────┬────┬────┬─────────────────────────────┐
│                             │    │    │    │                             │
│                             │    │    [    ]                             │
│         A, seat 0           [    ]    │    │                             │
│         yard  0123          │    │    │    │                             │
│                             │    │    │    │                             │
│                             │    │    │    │                             │
├────┬────┬────┬────┬────┬────┼────┴────┴────┼────┬────┬────┬────┬────┬────┤
│    [    ]    │    │    │    │              │    │    │    [    ]    │    │
│    │ →  │ →  │ →  │ →  │ →  │     home     │ ←  │ ←  │ ←  │ ←  │ ←  │    │
│    │    [    ]    │    │    │              │    │    │    │    [    ]    │
├────┴────┴────┴────┴────┴────┼────┬────┬────┼────┴────┴────┴────┴────┴────┤
│                             │    │    │    │                             │
│                             │    │    │    │                             │
│                             │    │    │    │         B, seat 1           │
│                             │    │    [    ]         yard  B4            │
│                             [    ]    │    │                             │
│                             │    │    │    │                             │
└─────────────────────────────┴────┴────┴────┴─────────────────────────────┘
A has thrown 6. Its tokens are the digits, 0 the foremost."""

# A: a token home, one in its column, two on square 8; B: two on 8 too, one on 50; C: one in its
# column; D: one on 8, one on 12.
FOUR_UNDER_WAY = """\
┌─────────────────────────────┬────┬────┬────┬─────────────────────────────┐
│                             │    │    │ D  │                             │
│                             │    │ ↓  [    ]                             │
│         A, seat 0           [0AD ] ↓  │    │         B, seat 1           │
│         yard  empty         │    │ ↓  │    │         yard  3             │
│                             │    │ ↓  │    │                             │
│                             │    │ ↓  │    │                             │
├────┬────┬────┬────┬────┬────┼────┴────┴────┼────┬────┬────┬────┬────┬────┤
│    [    ]    │    │    │    │              │    │    │    [    ]    │    │
│ 2  │ →  │ A  │ →  │ →  │ →  │ A   home     │ ←  │ C  │ ←  │ ←  │ ←  │    │
│    │    [    ]    │    │    │              │    │    │    │    [    ]    │
├────┴────┴────┴────┴────┴────┼────┬────┬────┼────┴────┴────┴────┴────┴────┤
│                             │    │ ↑  │    │                             │
│                             │    │ ↑  │    │                             │
│         D, seat 3           │    │ ↑  │    │         C, seat 2           │
│         yard  D2            │    │ ↑  [    ]         yard  C3            │
│                             [    ] ↑  │    │                             │
│                             │    │    │    │                             │
└─────────────────────────────┴────┴────┴────┴─────────────────────────────┘
0AD is 01, A2, D
B has thrown 6, the second six in a row. Its tokens are the digits, 0 the foremost."""


def position(progress: list[list[int]], *, seat: int = 0, roll: int = 1, sixes: int = 0) -> Any:
    state = np.zeros(1, state_dtype(len(progress)))[0]
    state["progress"], state["seat"], state["roll"], state["sixes"] = progress, seat, roll, sixes
    return state


def test_the_first_position_of_two_as_it_is_drawn_by_hand() -> None:
    assert text(position([YARD, YARD], roll=6, sixes=1)) == TWO_AT_THE_START


def test_a_position_of_four_as_it_is_drawn_by_hand() -> None:
    tokens = [[57, 53, 9, 9], [48, 48, 38, 0], [55, 0, 0, 0], [26, 22, 0, 0]]
    assert text(position(tokens, seat=1, roll=6, sixes=2)) == FOUR_UNDER_WAY


def test_three_leave_a_corner_and_a_home_column_empty() -> None:
    lines = text(position([YARD, YARD, YARD])).splitlines()
    assert all(line[1:30].isspace() for line in lines[12:18])
    assert "↑" not in "".join(lines)
    assert lines[14][45:] == "│         C, seat 2           │"


def test_it_fits_a_terminal_of_eighty_columns_and_twenty_four_lines() -> None:
    for tokens in (
        [YARD] * 4,
        [[9, 9, 9, 9], [48, 48, 48, 48], [35, 35, 35, 35], [22, 22, 22, 22]],
    ):
        lines = text(position(tokens)).splitlines()
        assert len(lines) <= 21
        assert all(len(line) <= 79 for line in lines)


def test_the_winner_is_told() -> None:
    last = text(position([[57, 57, 57, 57], [10, 0, 0, 0]])).splitlines()[-1]
    assert last == "A has all its tokens home."


def where(progress: list[list[int]], sign: str) -> tuple[int, int]:
    """Line and column of the only place where `sign` is drawn in a square."""
    lines = text(position(progress)).splitlines()[:19]
    cells = [
        (row, column)
        for row, line in enumerate(lines)
        for column in range(2, 75)
        if line[column - 1 : column + 3] == f" {sign}  "
    ]
    [place] = cells
    return place


@pytest.mark.parametrize("players", [2, 3, 4])
def test_every_square_of_the_ring_is_one_place_whoever_stands_there(players: int) -> None:
    places: dict[int, set[tuple[int, int]]] = {}
    for seat in range(1, players):
        for progress in range(1, 52):
            tokens = [YARD] * players
            tokens[seat] = [progress, 0, 0, 0]
            square = (STARTS[players][seat] + progress - 1) % 52
            row, column = where(tokens, "ABCD"[seat])
            places.setdefault(square, set()).add((row, column))
            line = text(position(tokens)).splitlines()[row]
            assert (line[column - 2] == "[" and line[column + 3] == "]") == (square in SAFE), square
    assert all(len(drawn) == 1 for drawn in places.values())
    assert (
        len({place for drawn in places.values() for place in drawn})
        == len(places)
        == (51 if players == 2 else 52)
    )


@pytest.mark.parametrize(
    ("own", "other", "roll", "action", "words"),
    [
        ([14, 3, 0, 0], YARD, 4, 0, "token 0: 14 -> 18"),
        (
            [14, 3, 0, 0],
            [44, 0, 0, 0],
            4,
            0,
            "token 0: 14 -> 18, captures B",
        ),  # ring 17 = 26 + 43 - 52
        ([14, 3, 0, 0], YARD, 6, 2, "token 2: yard -> 1"),
        ([14, 3, 0, 0], YARD, 6, 1, "token 1: 3 -> 9, to a safe square"),
        (
            [14, 3, 0, 0],
            [35, 0, 0, 0],
            6,
            1,
            "token 1: 3 -> 9, to a safe square",
        ),  # B stands there and stays
        ([50, 3, 0, 0], YARD, 2, 0, "token 0: 50 -> 52, into the home column"),
        ([52, 3, 0, 0], YARD, 1, 0, "token 0: 52 -> 53"),
        ([52, 3, 0, 0], YARD, 5, 0, "token 0: 52 -> home"),
    ],
)
def test_moves_in_words(
    own: list[int], other: list[int], roll: int, action: int, words: str
) -> None:
    state = position([own, other], roll=roll)
    before = state.copy()
    assert action_text(state, action) == words
    assert state == before


def test_words_say_of_captures_what_the_rules_let_the_agent_see() -> None:
    game = make("ludo(num_players=4)", 1)
    game.reset(np.zeros(1, np.int64), np.full(1, 5, np.uint64))
    chosen, captures = np.random.default_rng(0), 0
    while not game.terminated[0]:
        legal = np.flatnonzero(game.mask[0])
        for action in legal.tolist():
            captured = bool(game.observation[0, 4 * 58 + 6 * action])
            captures += captured
            assert ("captures" in game.action_text(0, action)) == captured
        game.step(chosen.choice(legal, 1))
    assert captures > 10
