"""Judging moves in solved positions: files of three rows whose scores were worked out by hand, and
bad files.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sparring.errors import FileFormatError
from sparring.evaluation.score import wilson_interval
from sparring.evaluation.solved_positions import (
    expected_of_random,
    load_positions,
    play_positions,
    set_up_positions,
)
from sparring.games import BatchedGame

HEADER = "moves,stones,s1,s2,s3,s4,s5,s6,s7,best"
# The scores are made up, and only what follows from them is tested. Row 1: one move of seven wins,
# one draws. Row 2: column 1 is full, all moves lose, two of them as late as can be. Row 3: two
# moves win, one of them sooner.
WINS = "11,2,-3,-3,-3,-3,0,5,-3,5"
LOSES = "1111112277333,13,,-4,-2,-4,-4,-2,-4,-2"
SOONER = "4455,4,-1,9,3,-1,-1,-1,-1,9"


def write(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / "solved.csv"
    path.write_text("\n".join((header, *lines)) + "\n")
    return path


class Script:
    """Plays a fixed action in each slot, and remembers its random numbers."""

    name = "script"

    def __init__(self, *actions: int) -> None:
        self._actions = np.array(actions)

    def act(
        self, game: BatchedGame, slots: NDArray[np.int64], uniforms: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        self.uniforms = uniforms.copy()
        return self._actions[slots]


def test_values_of_moves(tmp_path: Path) -> None:
    positions = load_positions(write(tmp_path, WINS, LOSES, SOONER))
    assert positions.stones.tolist() == [2, 13, 4]
    assert positions.matters.tolist() == [True, False, True]
    assert [np.flatnonzero(row).tolist() for row in positions.keeping] == [
        [5],
        [1, 2, 3, 4, 5, 6],
        [1, 2],
    ]
    assert [np.flatnonzero(row).tolist() for row in positions.exact] == [[5], [2, 5], [1]]


def test_shares_of_a_player(tmp_path: Path) -> None:
    """It draws the won position away; its loss is sooner than need be; its win in the third is not
    the soonest.
    """
    positions = load_positions(write(tmp_path, WINS, LOSES, SOONER))
    results = play_positions(Script(4, 1, 2), positions, set_up_positions(positions), seed=0)
    assert (results.all.n, results.all.value_preserving, results.all.exact) == (3, 2 / 3, 0.0)
    assert (results.matters.n, results.matters.value_preserving) == (2, 0.5)
    few, more = results.by_stones["0-11"], results.by_stones["12-17"]
    assert list(results.by_stones) == ["0-11", "12-17"]
    assert (few[0].n, few[0].value_preserving, few[1].n) == (2, 0.5, 2)
    assert (more[0].n, more[0].value_preserving, more[1].n, more[1].value_preserving) == (
        1,
        1.0,
        0,
        None,
    )
    best = play_positions(Script(5, 2, 1), positions, set_up_positions(positions), seed=0)
    assert (best.all.value_preserving, best.all.exact, best.matters.exact) == (1.0, 1.0, 1.0)


def test_random_by_expectation(tmp_path: Path) -> None:
    results = expected_of_random(load_positions(write(tmp_path, WINS, LOSES, SOONER)))
    assert results.all.value_preserving == pytest.approx((1 / 7 + 1 + 2 / 7) / 3)
    assert results.matters.value_preserving == pytest.approx((1 / 7 + 2 / 7) / 2)
    assert results.all.exact == pytest.approx((1 / 7 + 2 / 6 + 1 / 7) / 3)


def test_json(tmp_path: Path) -> None:
    figures = expected_of_random(load_positions(write(tmp_path, LOSES))).as_dict()
    assert figures.keys() == {"all", "matters", "by_stones"}
    assert figures["all"]["interval95"] == list(wilson_interval(1.0, 1))
    assert figures["matters"] == {
        "n": 0,
        "value_preserving": None,
        "interval95": [0, 1],
        "exact": None,
        "exact_interval95": [0, 1],
    }
    assert figures["by_stones"] == {"12-17": {"all": figures["all"], "matters": figures["matters"]}}


def test_positions_are_set_up_by_playing_their_moves(tmp_path: Path) -> None:
    game = set_up_positions(load_positions(write(tmp_path, WINS, LOSES, SOONER)))
    assert game.plies.tolist() == [2, 13, 4]
    assert game.seat.tolist() == [0, 1, 0]
    mine, theirs = game.observation[2]
    assert np.argwhere(mine).tolist() == [[0, 3], [0, 4]]
    assert np.argwhere(theirs).tolist() == [[1, 3], [1, 4]]


def test_rows_of_one_kind_are_played_as_among_all(tmp_path: Path) -> None:
    path = write(tmp_path, WINS, LOSES, SOONER)
    drawn = {}
    for rows, numbers in (("all", [1, 2, 3]), ("odd", [1, 3]), ("even", [2])):
        positions = load_positions(path, rows)  # type: ignore[arg-type]
        assert positions.rows.tolist() == numbers
        play_positions(player := Script(5, 2, 1), positions, set_up_positions(positions), seed=4)
        drawn[rows] = player.uniforms
    assert np.array_equal(drawn["odd"], drawn["all"][[0, 2]])
    assert np.array_equal(drawn["even"], drawn["all"][[1]])
    assert len(np.unique(drawn["all"])) == 6


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["18,2,0,0,0,0,0,0,0,0"], ["row 1", "moves", "'18'", "digits from 1 to 7"]),
        ([WINS, "11,3,0,0,0,0,0,0,0,0"], ["row 2", "stones", "'3'", "expected 2"]),
        (["11,2,0,0,0,x,0,0,0,0"], ["row 1", "s4", "'x'", "a whole number"]),
        (["11,2,0,0,0,0,0,0,0,1"], ["row 1", "best", "'1'", "expected 0"]),
        (["11,2,,,,,,,,"], ["row 1", "best", "''"]),
        (["11,2,0"], ["row 1", "best", "expected 0"]),
        (
            [WINS, LOSES, "1111111,7,,0,0,0,0,0,0,0"],
            ["row 3", "move 7 is illegal", "column 1", "one of 2, 3, 4, 5, 6, 7"],
        ),
        (["12121213,8,0,0,0,0,0,0,0,0"], ["row 1", "the match is over", "after 7 moves"]),
        (["1212121,7,0,0,0,0,0,0,0,0"], ["row 1", "the match is over", "after 7 moves"]),
        (
            ["111111,6,0,0,0,0,0,0,0,0"],
            [
                "row 1",
                "columns with scores",
                "got 1, 2, 3, 4, 5, 6, 7",
                "expected 2, 3, 4, 5, 6, 7",
            ],
        ),
        (
            ["11,2,0,0,0,0,0,0,,0"],
            [
                "row 1",
                "columns with scores",
                "got 1, 2, 3, 4, 5, 6,",
                "expected 1, 2, 3, 4, 5, 6, 7",
            ],
        ),
        ([], ["no positions in all rows", "0 rows", "at least one"]),
    ],
)
def test_bad_rows(lines: list[str], words: list[str], tmp_path: Path) -> None:
    path = write(tmp_path, *lines)
    with pytest.raises(FileFormatError) as error:
        set_up_positions(load_positions(path))
    for word in (str(path), *words):
        assert word in str(error.value)


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(
        FileFormatError, match=r"has no column s7: got moves, stones.*expected moves, stones, s1"
    ):
        load_positions(write(tmp_path, header=HEADER.replace("s7,", "")))
    with pytest.raises(FileFormatError, match="has no column moves: got an empty file"):
        load_positions(write(tmp_path, header=""))
    with pytest.raises(FileFormatError, match=r"cannot be read: No such file"):
        load_positions(tmp_path / "absent.csv")
    (tmp_path / "noise.csv").write_bytes(bytes(range(128, 256)))
    with pytest.raises(FileFormatError, match="cannot be read"):
        load_positions(tmp_path / "noise.csv")
    with pytest.raises(FileFormatError, match="no positions in even rows: got 1 rows"):
        load_positions(write(tmp_path, WINS), "even")
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(FileFormatError, match="has no column moves: got an empty file"):
        load_positions(tmp_path / "pipe.csv")
