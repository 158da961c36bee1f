"""Each rule of Ludo in positions made by hand, with numbers worked out by hand: by the page written
slowly, and in the compiled game.
"""

from __future__ import annotations

import numpy as np
import pytest
from ludo_positions import on_both_tables

SAFE = {0, 8, 13, 21, 26, 34, 39, 47}
STARTS = (0, 13, 26, 39)
IN_YARD = [0, 0, 0, 0]

pytestmark = on_both_tables


def test_a_six_leaves_the_yard_for_the_start_square_and_throws_again(table):
    own = table(IN_YARD, IN_YARD, throw=6, then=(4,))
    assert own.legal == [0]
    own.play(0)
    assert own.tokens == [[1, 0, 0, 0], IN_YARD]
    assert (own.seat, own.throw, own.sixes, own.legal) == (0, 4, 0, [0])


@pytest.mark.parametrize("throw", [1, 2, 3, 4, 5])
def test_other_throws_leave_a_token_in_the_yard(table, throw):
    assert table([10, 0, 0, 0], IN_YARD, throw=throw).legal == [0]


def test_with_a_six_a_token_may_also_move_on_the_ring(table):
    own = table([10, 0, 0, 0], IN_YARD, throw=6, then=(1,))
    assert own.legal == [0, 1]
    own.play(0)
    assert own.tokens[0] == [16, 0, 0, 0]


def test_a_third_six_in_a_row_moves_nothing_and_passes_the_turn(table):
    own = table([10, 0, 0, 0], [5, 0, 0, 0], throw=6, then=(6, 6, 6, 3))
    own.play(0)
    assert (own.seat, own.throw, own.sixes, own.plies) == (0, 6, 2, 1)
    own.play(0)  # now seat 0 throws its third, then seat 1 its first
    assert own.tokens == [[22, 0, 0, 0], [5, 0, 0, 0]]
    assert (own.seat, own.throw, own.sixes, own.legal, own.plies) == (1, 6, 1, [0, 1], 2)
    own.play(1)
    assert (own.seat, own.throw, own.sixes) == (1, 3, 0)


def test_any_other_throw_starts_the_count_of_sixes_again(table):
    """Six, a three that captures, six, six: none of them is the third in a row."""
    own = table(
        [10, 0, 0, 0], [45, 0, 0, 0], throw=6, then=(3, 6, 6, 5)
    )  # 10 + 6 + 3 is on square 18, as is 45 of seat 1
    for throw, sixes in ((6, 1), (3, 0), (6, 1), (6, 2)):
        assert (own.seat, own.throw, own.sixes) == (0, throw, sixes)
        own.play(0)
    assert own.tokens == [[31, 0, 0, 0], IN_YARD]
    assert (own.seat, own.throw, own.plies) == (0, 5, 4)


def test_a_throw_after_a_six_that_only_passes_starts_no_count(table):
    """A six of seat 0 that moves nothing: seat 1 goes on, with its own first six."""
    own = table([57, 57, 57, 52], [5, 0, 0, 0], throw=1, seat=1, then=(6, 6, 2))
    own.play(0)
    assert (own.seat, own.throw, own.sixes, own.plies) == (1, 6, 1, 1)
    assert own.tokens == [[57, 57, 57, 52], [6, 0, 0, 0]]


def test_throws_that_let_nobody_decide_pass_round(table):
    own = table([10, 0, 0, 0], IN_YARD, IN_YARD, throw=1, then=(5, 4, 2))
    own.play(0)
    assert (own.seat, own.throw, own.plies) == (0, 2, 1)
    assert own.tokens == [[11, 0, 0, 0], IN_YARD, IN_YARD]


def test_the_turn_passes_in_order_of_the_seats(table):
    own = table([3, 0, 0, 0], [3, 0, 0, 0], [3, 0, 0, 0], [3, 0, 0, 0], throw=1, then=(1, 1, 1, 1))
    for seat in (0, 1, 2, 3, 0):
        assert own.seat == seat
        own.play(0)


@pytest.mark.parametrize("throw", range(1, 7))
def test_home_needs_the_exact_throw(table, throw):
    own = table([57, 54, 0, 0], IN_YARD, throw=throw, then=(1, 1, 1))
    assert own.legal == {1: [1], 2: [1], 3: [1], 6: [2]}.get(throw, [])
    if throw == 3:
        own.play(1)
        assert own.tokens[0] == [57, 57, 0, 0]


def test_who_comes_home_throws_again(table):
    own = table([54, 10, 0, 0], [7, 0, 0, 0], throw=3, then=(2, 1))
    own.play(0)
    assert (own.seat, own.throw) == (0, 2)
    own.play(1)
    assert (own.seat, own.throw) == (1, 1)


@pytest.mark.parametrize("mover", range(4))
def test_captures_on_every_square_but_the_safe_ones(table, mover):
    """The mover lands there with a one, on a token of each other seat that comes there at all."""
    for progress in range(2, 52):
        square = (STARTS[mover] + progress - 1) % 52
        there = [(square - start) % 52 + 1 for start in STARTS]
        tokens = [[own if own <= 51 else 0, 0, 0, 0] for own in there]
        tokens[mover][0] = progress - 1
        own = table(*tokens, throw=1, seat=mover, then=(6,))
        own.play(0)
        after = [row if square in SAFE else IN_YARD for row in tokens]
        after[mover] = [progress, 0, 0, 0]
        assert own.tokens == after, square
        assert (own.seat, own.throw) == ((mover + 1) % 4 if square in SAFE else mover, 6), square


def test_a_pair_is_captured_and_tokens_of_several_seats(table):
    """All on square 15: there are no blocks. One more throw, however many were captured."""
    own = table([14, 16, 0, 0], [3, 3, 3, 0], [42, 9, 0, 0], throw=2, then=(1, 6))
    own.play(1)
    assert own.tokens == [[16, 16, 0, 0], IN_YARD, [9, 0, 0, 0]]
    assert (own.seat, own.throw) == (0, 1)
    own.play(0)
    assert (own.seat, own.throw) == (1, 6)


def test_leaving_the_yard_captures_nobody(table):
    """The start square is safe: seat 1 on square 0 is progress 27."""
    own = table(IN_YARD, [27, 27, 0, 0], throw=6, then=(1,))
    own.play(0)
    assert own.tokens == [[1, 0, 0, 0], [27, 27, 0, 0]]


def test_nothing_is_captured_from_or_in_a_home_column(table):
    """If the ring went on, 52 of seat 0 would be square 51, where 26 of seat 1 stands; and 52 and
    54 of seat 1 squares 25 and 27.
    """
    own = table([50, 25, 0, 0], [54, 52, 26, 0], throw=2, then=(1, 1, 2, 1))
    own.play(0)
    assert own.tokens == [[52, 25, 0, 0], [54, 52, 26, 0]]
    own.play(0)
    assert own.tokens == [[52, 25, 0, 0], [55, 52, 26, 0]]
    own.play(1)
    assert own.tokens == [[52, 26, 0, 0], [55, 52, 26, 0]]


SEVERAL = {
    "a six that captures": ([10, 0, 0, 0], 6, 0, IN_YARD),  # on square 15
    "a six that brings home": ([51, 10, 0, 0], 6, 0, [42, 0, 0, 0]),
    "a six that leaves the yard": ([10, 0, 0, 0], 6, 1, [42, 0, 0, 0]),
}


@pytest.mark.parametrize(("own_tokens", "throw", "action", "others"), SEVERAL.values(), ids=SEVERAL)
def test_one_more_throw_where_several_reasons_hold(table, own_tokens, throw, action, others):
    own = table(own_tokens, [42, 0, 0, 0], throw=throw, then=(2, 6))
    own.play(action)
    assert own.tokens[1] == others
    assert (own.seat, own.throw) == (0, 2)
    own.play(own.legal[-1])
    assert (own.seat, own.throw) == (1, 6)


@pytest.mark.parametrize(
    ("tokens", "throw", "legal"),
    [
        (IN_YARD, 6, [0]),
        ([10, 10, 3, 3], 2, [0, 2]),
        ([10, 10, 10, 10], 6, [0]),
        ([20, 0, 0, 0], 6, [0, 1]),
        ([57, 57, 0, 0], 6, [2]),
        ([57, 55, 55, 54], 2, [1, 3]),
        ([57, 55, 55, 54], 3, [3]),
    ],
)
def test_tokens_of_equal_progress_are_offered_once(table, tokens, throw, legal):
    assert table(tokens, IN_YARD, throw=throw).legal == legal


def test_tokens_are_ranked_by_progress_the_highest_first(table):
    own = table([10, 8, 7, 5], IN_YARD, throw=4, then=(1, 1, 1))
    own.play(2)
    assert own.tokens[0] == [11, 10, 8, 5]


@pytest.mark.parametrize("players", [2, 3, 4])
def test_the_first_with_all_tokens_home_wins(table, players):
    tokens = [[56, 50, 40, 0]] * (players - 1) + [[57, 57, 57, 53]]
    own = table(*tokens, throw=4, seat=players - 1)
    own.play(3)
    assert own.terminated
    assert not own.truncated
    assert own.legal == []
    assert own.rewards == pytest.approx([-1 / (players - 1)] * (players - 1) + [1.0])


@pytest.mark.parametrize(("players", "limit"), [(2, 1000), (3, 1500), (4, 2000)])
def test_a_match_is_cut_at_its_limit(table, players, limit):
    """Shown is the next position in which a seat can move."""
    own = table(*[[10, 0, 0, 0]] * players, throw=3, plies=limit - 2, then=(1, 2))
    own.play(0)
    assert not own.truncated
    own.play(0)
    assert (own.truncated, own.terminated, own.plies) == (True, False, limit)
    assert (own.seat, own.throw, own.legal) == (2 % players, 2, [0])
    assert not np.any(own.rewards)


def test_a_win_with_the_last_ply_is_no_cut(table):
    own = table([57, 57, 57, 56], [10, 0, 0, 0], throw=1, plies=999)
    own.play(3)
    assert (own.truncated, own.terminated, own.rewards) == (False, True, [1.0, -1.0])
