"""benchmarks/connect_four_solver.py: its outcomes are those of the solved positions."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sparring.errors import FileFormatError

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
POSITIONS = Path(__file__).parents[2] / "data" / "connect_four" / "positions.csv"


@pytest.fixture
def solver(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import connect_four_solver

    return connect_four_solver


def stones(moves: str) -> tuple[int, int]:
    """(the mover's stones, the other's) after columns 1 to 7 were played."""
    height, sides = [0] * 7, [0, 0]
    for ply, move in enumerate(moves):
        column = int(move) - 1
        sides[ply % 2] |= 1 << (7 * column + height[column])
        height[column] += 1
    return sides[len(moves) % 2], sides[1 - len(moves) % 2]


def test_outcomes_of_solved_positions(solver: Any) -> None:
    """All that are solved in little time; a table so small that most of its entries are lost must
    not matter.
    """
    rows = list(csv.DictReader(POSITIONS.read_text().splitlines()))
    for megabytes, least in ((64, 20), (1, 26)):
        table = solver.Solver(megabytes)
        late = [row for row in rows if int(row["stones"]) >= least]
        expected = [
            [int(np.sign(int(row[f"s{c}"]))) if row[f"s{c}"] else None for c in range(1, 8)]
            for row in late
        ]
        found = [
            [
                None if sign is None else table.outcome(*stones(row["moves"]), column)
                for column, sign in enumerate(signs)
            ]
            for row, signs in zip(late, expected, strict=True)
        ]
        assert found == expected
        best = [
            [
                column
                for column in range(7)
                if signs[column] == max(s for s in signs if s is not None)
            ]
            for signs in expected
        ]
        assert [solver.Solver(1).best_columns(*stones(row["moves"])) for row in late[::50]] == best[
            ::50
        ]


def test_early_outcomes_are_kept(solver: Any, tmp_path: Path) -> None:
    cache, rows = (
        tmp_path / "deep" / "outcomes.json",
        csv.DictReader(POSITIONS.read_text().splitlines()),
    )
    [row, *_] = [row for row in rows if row["stones"] == "11" and int(row["best"]) < 0]
    first = solver.Solver(64, cache)
    assert first.value(*stones(row["moves"])) == -1
    mirrored = "".join(str(8 - int(move)) for move in row["moves"])
    again = solver.Solver(64, cache)
    assert again.value(*stones(row["moves"])) == again.value(*stones(mirrored)) == -1
    assert (first.nodes[0] > 0, again.nodes[0]) == (True, 0)
    cache.write_text("[1]")
    with pytest.raises(FileFormatError, match="holds no outcomes of Connect Four"):
        solver.Solver(64, cache)
