"""Detection of observations that name their seat, and the seat appended to others."""

from __future__ import annotations

import numpy as np
import pytest

from sparring.adapters.seat_planes import Comparison, Views


def compared(*positions):
    comparison = Comparison()
    for position in positions:
        comparison.add(np.array(position))
    return comparison


@pytest.mark.parametrize(
    ("positions", "differ", "named"),
    [
        ([[[1, 0], [1, 0]], [[0, 1], [0, 1]]], False, False),  # one board for all
        ([[[1, 0], [0, 1]], [[1, 0], [0, 1]]], True, True),  # entry 0 is 1 for seat 0 only, always
        (
            [[[0, 5], [0, 6]], [[0, 6], [0, 5]]],
            True,
            False,
        ),  # hands of cards, either of which can be either's
        ([[[0, 5], [0, 6]], [[0, 5], [0, 7]]], True, False),  # no entry is fixed for seat 1
        ([[[0, 0], [0, 0]], [[1, 2], [2, 1]]], True, False),  # mine and yours; alike at the start
        ([[[1, 0], [0, 1], [0, 1]]], False, False),  # seats 1 and 2 of three see the same
        ([[[1, 0], [0, 1], [0, 0]]], True, True),
    ],
)
def test_what_tells_seats_apart(positions, differ, named):
    comparison = compared(*positions)
    assert comparison.differ() == differ
    assert comparison.name_the_seat() == named


def test_nothing_needs_telling_where_nothing_was_compared():
    assert Comparison().differ()
    assert Comparison().name_the_seat()


def test_a_plane_is_added_for_two_seats():
    views = Views((3, 2, 2), np.dtype(np.int8), 2, append=True)
    assert views.shape == (4, 2, 2)
    for seat in (0, 1):
        views.own[seat][...] = 7
        assert views.full[seat].dtype == np.int8
        assert views.full[seat].tolist() == [[[7, 7]] * 2] * 3 + [[[seat, seat]] * 2]


def test_an_entry_for_each_of_more_seats():
    views = Views((2,), np.dtype(np.float32), 3, append=True)
    assert [view.tolist() for view in views.full] == [
        [0, 0, 1, 0, 0],
        [0, 0, 0, 1, 0],
        [0, 0, 0, 0, 1],
    ]


def test_nothing_is_added_where_nothing_is_asked_for():
    views = Views((2, 2), np.dtype(np.bool_), 2, append=False)
    assert views.shape == (2, 2)
    assert not any(view.any() for view in views.full)
