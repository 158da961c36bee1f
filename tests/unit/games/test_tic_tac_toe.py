from __future__ import annotations

import itertools

import numpy as np
import pytest

from sparring.games import tic_tac_toe as rules

LINES = [(0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6)]


def play(actions):
    """The state after `actions`, what the last one paid, and whether it ended the match."""
    state, ended = np.zeros(1, rules.STATE)[0], False
    for action in actions:
        assert not ended
        rewards = np.zeros(2, np.float32)
        ended = bool(rules.play(state, action, rewards, None))
    return state, rewards.tolist(), ended


def legal(state):
    mask = np.zeros(9, bool)
    rules.legal(state, mask)
    return np.flatnonzero(mask).tolist()


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("seat", [0, 1])
def test_three_in_a_row_win_whichever_is_marked_last(line, seat):
    others = [cell for cell in range(9) if cell not in line]
    for order in itertools.permutations(line):
        for replies in itertools.permutations(others, 2 + seat):
            if set(replies) in [
                set(other) for other in LINES
            ]:  # then the second seat's opponent has won before
                continue
            first, second = (order, replies) if seat == 0 else (replies, order)
            actions = [
                cell
                for pair in itertools.zip_longest(first, second)
                for cell in pair
                if cell is not None
            ]
            _, rewards, ended = play(actions)
            assert ended
            assert rewards == ([1, -1] if seat == 0 else [-1, 1])


def test_a_full_board_is_a_draw():
    _, rewards, ended = play([0, 1, 2, 4, 3, 5, 7, 6, 8])
    assert ended
    assert rewards == [0, 0]


def test_a_win_with_the_last_mark_is_no_draw():
    _, rewards, ended = play([0, 1, 2, 3, 5, 4, 7, 6, 8])  # 2, 5, 8
    assert ended
    assert rewards == [1, -1]


def test_every_empty_cell_is_legal():
    assert legal(np.zeros(1, rules.STATE)[0]) == list(range(9))
    assert legal(play([4, 0, 8])[0]) == [1, 2, 3, 5, 6, 7]


def test_the_observation_is_the_movers_view():
    observation = np.zeros((2, 3, 3), np.int8)
    rules.observe(play([4, 0, 8])[0], observation)  # seat 1 to move: its mark is in the corner
    assert observation.tolist() == [
        [[1, 0, 0], [0, 0, 0], [0, 0, 0]],
        [[0, 0, 0], [0, 1, 0], [0, 0, 1]],
    ]


def test_all_seven_symmetries_are_declared():
    assert len({symmetry.action for symmetry in rules.SPEC.symmetries}) == 7
    assert tuple(range(9)) not in {symmetry.action for symmetry in rules.SPEC.symmetries}
