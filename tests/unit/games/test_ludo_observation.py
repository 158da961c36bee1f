"""The observation of Ludo, part by part, with numbers worked out by hand: by the page written
slowly, and in the compiled game.
"""

from __future__ import annotations

import numpy as np
import pytest
from ludo_positions import Table, on_both_tables

CAPTURES, HOME, LEAVES_YARD, SAFETY, DANGER_NOW, DANGER_THERE = range(6)
IN_YARD = [0, 0, 0, 0]

pytestmark = on_both_tables


def parts(own: Table, players: int) -> list[list[list[int]]]:
    """The parts of the vector in the shapes of the page: tokens, moves, others, throw, sixes."""
    shapes = [(4, 58), (4, 6), (players - 1, 59), (1, 6), (1, 2)]
    vector = np.asarray(own.observation)
    cuts = np.cumsum([rows * columns for rows, columns in shapes])
    assert len(vector) == cuts[-1]
    return [
        part.reshape(shape).tolist()
        for part, shape in zip(np.split(vector, cuts), shapes, strict=False)
    ]


def moves(own: Table) -> list[set[int]]:
    """The columns that are 1, for each rank."""
    return [set(np.flatnonzero(row).tolist()) for row in parts(own, 2)[1]]


def where(rows: list[list[int]]) -> list[dict[int, int]]:
    """The columns of each row that are not 0, and what they hold."""
    return [{column: value for column, value in enumerate(row) if value} for row in rows]


def test_the_movers_tokens(table):
    tokens, *_ = parts(table([57, 52, 0, 0], IN_YARD, throw=6), 2)
    assert where(tokens) == [{57: 1}, {52: 1}, {0: 1}, {0: 1}]


@pytest.mark.parametrize(
    ("throw", "sixes", "shown"), [(1, 0, [0, 0]), (5, 0, [0, 0]), (6, 1, [1, 0]), (6, 2, [0, 1])]
)
def test_the_throw_and_the_sixes(table, throw, sixes, shown):
    *_, throws, in_a_row = parts(table([10, 0, 0, 0], IN_YARD, throw=throw, sixes=sixes), 2)
    assert where(throws) == [{throw - 1: 1}]
    assert in_a_row == [shown]


def test_the_others_in_order_of_play_from_the_mover(table):
    """Seat 2 of 4 moves, from square 26. Next is seat 3 (square 39), then seat 0, then seat 1
    (square 13).
    """
    tokens = [[1, 27, 56, 0], [14, 14, 51, 57], [9, 9, 9, 9], [1, 52, 55, 57]]
    others = parts(table(*tokens, throw=1, seat=2), 4)[2]
    seat_3 = {13: 1, 53: 1, 56: 1, 58: 1}  # square 39; the first and the fourth of its column; home
    seat_0 = {26: 1, 0: 1, 57: 1, 52: 1}  # squares 0 and 26; the last of its column; in the yard
    seat_1 = {0: 2, 37: 1, 58: 1}  # two on square 26, one on square 11; home
    assert where(others) == [seat_3, seat_0, seat_1]


def test_three_seats_have_two_others(table):
    others = parts(table([1, 0, 0, 0], [1, 1, 1, 0], [3, 0, 0, 0], throw=1), 3)[2]
    assert where(others) == [{13: 3, 52: 1}, {28: 1, 52: 3}]


def test_a_move_that_captures(table):
    own = table([14, 9, 9, 0], [42, 0, 0, 0], throw=2)  # 42 is on square 15
    assert moves(own) == [{CAPTURES}, set(), set(), set()]


def test_nothing_is_captured_on_a_safe_square(table):
    assert moves(table([12, 0, 0, 0], [40, 0, 0, 0], throw=2)) == [{SAFETY}, set(), set(), set()]


def test_a_move_that_brings_home_is_none_to_safety(table):
    """From the home column, and from square 50 on the ring, there also with a token six squares
    behind.
    """
    assert moves(table([56, 51, 50, 0], IN_YARD, throw=1)) == [{HOME}, {SAFETY}, set(), set()]
    assert moves(table([51, 50, 0, 0], IN_YARD, throw=6)) == [
        {HOME},
        {SAFETY},
        {LEAVES_YARD},
        set(),
    ]
    assert moves(table([51, 0, 0, 0], [19, 0, 0, 0], throw=6)) == [
        {HOME, DANGER_NOW},
        {LEAVES_YARD},
        set(),
        set(),
    ]


def test_safety_is_reached_only_from_a_square_that_is_not_safe(table):
    """Not from safe square 47 (progress 48) into the home column, nor from square 8 to 13, nor
    within the column.
    """
    assert moves(table([52, 48, 9, 4], IN_YARD, throw=5)) == [{HOME}, set(), set(), {SAFETY}]
    assert moves(table([52, 48, 9, 8], IN_YARD, throw=4)) == [set(), set(), set(), set()]
    assert moves(table([51, 9, 8, 4], IN_YARD, throw=1)) == [{SAFETY}, set(), {SAFETY}, set()]


@pytest.mark.parametrize("distance", range(-2, 9))
def test_danger_is_one_to_six_squares_behind(table, distance):
    """The mover is on square 18 and goes to 19."""
    rank, *_ = moves(table([19, 0, 0, 0], [45 - distance, 0, 0, 0], throw=1))
    assert (DANGER_NOW in rank) == (1 <= distance <= 6)
    assert (DANGER_THERE in rank) == (1 <= distance + 1 <= 6 and distance != -1)
    assert (CAPTURES in rank) == (distance == -1)


def test_danger_reaches_over_the_end_of_the_ring(table):
    """Seat 1 on square 51 is 26 of its own; the mover goes from square 1 to 5, which is six
    further.
    """
    assert moves(table([2, 0, 0, 0], [26, 0, 0, 0], throw=4)) == [
        {DANGER_NOW, DANGER_THERE},
        set(),
        set(),
        set(),
    ]


def test_tokens_turn_off_into_their_home_column(table):
    """Seat 1 leaves the ring behind square 24: its 49, on square 22, threatens squares 23 and 24,
    but neither 25 nor 27.
    """
    assert moves(table([24, 25, 26, 28], [49, 0, 0, 0], throw=4)) == [
        set(),
        set(),
        {DANGER_NOW},
        {DANGER_NOW},
    ]


def test_tokens_on_safe_squares_in_the_column_and_in_the_yard_are_in_no_danger(table):
    """Seat 1 on squares 7 and 48, behind the mover's safe square 8 and its 51; square 9 is not
    safe.
    """
    own = table([53, 51, 9, 0], [23, 34, 0, 0], throw=1)
    assert moves(own) == [set(), {SAFETY, DANGER_NOW}, {DANGER_THERE}, set()]


def test_a_captured_token_threatens_no_more_but_others_do(table):
    """To square 18, where two are captured; another on square 16, level with the mover now, stays a
    danger.
    """
    assert moves(table([17, 0, 0, 0], [45, 45, 0, 0], throw=2))[0] == {CAPTURES}
    assert moves(table([17, 0, 0, 0], [45, 43, 0, 0], throw=2))[0] == {CAPTURES, DANGER_THERE}


def test_ranks_that_are_not_legal_have_no_marks(table):
    """Neither the second of a pair on square 18, nor a token that the throw takes past home."""
    assert moves(table([19, 19, 0, 0], [44, 0, 0, 0], throw=1)) == [
        {DANGER_NOW, DANGER_THERE},
        set(),
        set(),
        set(),
    ]
    assert moves(table([55, 19, 0, 0], [44, 0, 0, 0], throw=3)) == [
        set(),
        {SAFETY, DANGER_NOW},
        set(),
        set(),
    ]


@pytest.mark.parametrize("players", [2, 3, 4])
def test_all_in_the_yard(table, players):
    own = table(*[IN_YARD] * players, throw=6)
    tokens, marks, others, *_ = parts(own, players)
    assert where(tokens) == [{0: 1}] * 4
    assert where(marks) == [{LEAVES_YARD: 1}, {}, {}, {}]
    assert where(others) == [{52: 4}] * (players - 1)
