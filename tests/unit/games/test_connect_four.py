from __future__ import annotations

import numpy as np
import pytest

from sparring.games import connect_four as rules

DIRECTIONS = {"across": (0, 1), "up": (1, 0), "rising": (1, 1), "falling": (-1, 1)}
LINES = [
    [(row + i * up, column + i * right) for i in range(4)]
    for up, right in DIRECTIONS.values()
    for row in range(6)
    for column in range(7)
    if 0 <= row + 3 * up < 6 and column + 3 * right < 7
]
LAST_STONES = [
    (line, last) for line in LINES for last in (line if line[0][1] != line[3][1] else line[3:])
]  # upright: the top one only


def empty():
    return np.zeros(1, rules.STATE)[0]


def play(moves):
    """The state after the columns in the text `moves`, what the last one paid, and whether it ended
    the match.
    """
    state, ended = empty(), False
    for column in map(int, moves):
        assert not ended
        rewards = np.zeros(2, np.float32)
        ended = bool(rules.play(state, column, rewards, None))
    return state, rewards.tolist(), ended


def put(state, cell, seat):
    """Lay a stone on (row, column), whatever lies below."""
    row, column = cell
    state["stones"][seat] |= np.uint64(1 << (7 * column + row))


def board(state):
    """[6, 7]: 0 empty, else 1 + the seat whose stone lies there."""
    cells = np.zeros((6, 7), int)
    for seat in (0, 1):
        bits = int(state["stones"][seat])
        cells += (1 + seat) * np.array(
            [[bits >> (7 * column + row) & 1 for column in range(7)] for row in range(6)]
        )
    return cells


def four_somewhere(cells):
    return any(all(cells[cell] == cells[line[0]] != 0 for cell in line) for line in LINES)


def legal(state):
    mask = np.zeros(7, bool)
    rules.legal(state, mask)
    return np.flatnonzero(mask).tolist()


def one_stone_short(line, last, seat):
    """A position in which `seat` is to move and a stone dropped into `last` fills `line`: nothing
    else stands there.
    """
    state = empty()
    for cell in set(line) - {last}:
        put(state, cell, seat)
    state["height"][last[1]] = last[0]
    state["seat"] = seat
    return state


def test_there_are_69_lines():
    assert len(LINES) == 69


@pytest.mark.parametrize("seat", [0, 1])
def test_four_in_a_row_win_wherever_they_lie_and_whichever_is_last(seat):
    for line, last in LAST_STONES:
        state, rewards = one_stone_short(line, last, seat), np.zeros(2)
        assert rules.play(state, last[1], rewards, None), line
        assert rewards[seat] == 1
        assert rewards[1 - seat] == -1


def test_three_in_a_row_and_a_stone_of_the_other_colour_do_not_win():
    for line, last in LAST_STONES:
        for other in set(line) - {last}:
            state, rewards = one_stone_short(line, last, 0), np.zeros(2)
            state["stones"][:] = 0
            for cell in set(line) - {last}:
                put(state, cell, int(cell == other))
            assert not rules.play(state, last[1], rewards, None), line
            assert not rewards.any()


def test_a_row_does_not_go_on_at_the_other_edge():
    state = empty()
    for cell in ((0, 5), (0, 6), (1, 0)):
        put(state, cell, 0)
    state["height"][1] = 1
    assert not rules.play(state, 1, np.zeros(2), None)


def test_a_full_grid_is_a_draw():
    state, rewards, ended = play("436014551150160155104632660465204242223333")
    assert ended
    assert rewards == [0, 0]
    assert np.all(board(state) != 0)
    assert not four_somewhere(board(state))


def test_a_win_with_the_last_stone_is_no_draw():
    state, rewards, ended = play("456444341232530611460223056031100536126255")
    assert ended
    assert rewards == [-1, 1]
    assert np.all(board(state) != 0)
    assert four_somewhere(board(state))


def test_a_full_column_is_not_legal():
    assert legal(empty()) == [0, 1, 2, 3, 4, 5, 6]
    assert legal(play("333333")[0]) == [0, 1, 2, 4, 5, 6]


def test_the_observation_is_the_movers_view_from_the_bottom_row_up():
    observation = np.zeros((2, 6, 7), np.int8)
    rules.observe(play("330")[0], observation)  # seat 1 to move
    assert np.argwhere(observation).tolist() == [[0, 1, 3], [1, 0, 0], [1, 0, 3]]
    assert observation.max() == 1


def test_the_symmetry_is_the_mirror():
    [mirror] = rules.SPEC.symmetries
    planes = np.arange(84).reshape(2, 6, 7)
    assert mirror.action == (6, 5, 4, 3, 2, 1, 0)
    assert (
        planes.ravel()[list(mirror.observation)].reshape(2, 6, 7).tolist()
        == planes[:, :, ::-1].tolist()
    )
