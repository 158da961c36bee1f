"""benchmarks/connect_four_solver.py: its outcomes are those of the solved positions, and an agent
can be put against it.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from child_processes import HANG

from sparring.errors import FileFormatError
from sparring.games import BatchedGame, make
from sparring.opponents.scripted import RandomPlayer

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
        assert [table.outcomes(*stones(row["moves"])) for row in late] == expected
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


def test_corrected_players_keep_the_outcome(solver: Any) -> None:
    rows = [
        row
        for row in csv.DictReader(POSITIONS.read_text().splitlines())
        if int(row["stones"]) == 22
    ]
    game, slots = make("connect_four", len(rows)), np.arange(len(rows))
    game.reset(slots, slots.astype(np.uint64))
    for ply in range(22):
        game.step(np.array([int(row["moves"][ply]) - 1 for row in rows]))
    player = solver.CorrectedPlayer(RandomPlayer(), solver.Solver(64), 22)
    rng, returns = np.random.default_rng(0), np.zeros((len(rows), 2))
    while len(going := np.flatnonzero(~game.terminated)):
        actions = np.full(len(rows), -1)
        actions[going] = player.act(game, going, rng.random((len(going), 2)))
        game.step(actions)
        returns += game.rewards
    assert returns[:, 0].tolist() == [
        np.sign(int(row["best"])) for row in rows
    ]  # seat 0 moves after 22 stones


def test_a_corrected_player_makes_its_own_move_where_it_is_one_of_the_best_and_else_any_of_them(
    solver: Any,
) -> None:
    """Neither how long a win takes counts, nor how long a loss can be put off; before so many
    stones all is allowed.
    """
    rows = [
        row for row in csv.DictReader(POSITIONS.read_text().splitlines()) if row["stones"] == "26"
    ][:40]
    game, slots = make("connect_four", len(rows)), np.arange(len(rows))
    game.reset(slots, slots.astype(np.uint64))
    for ply in range(26):
        game.step(np.array([int(row["moves"][ply]) - 1 for row in rows]))
    signs = [
        [np.sign(int(row[f"s{c}"])) if row[f"s{c}"] else -2 for c in range(1, 8)] for row in rows
    ]
    best = [[column for column in range(7) if outcome[column] == max(outcome)] for outcome in signs]
    leftmost = [next(c for c in range(7) if outcome[c] > -2) for outcome in signs]
    kept = [own in good for own, good in zip(leftmost, best, strict=True)]
    assert 0 < sum(kept) < 40

    class Leftmost:
        name = "leftmost"

        def act(self, game: BatchedGame, slots: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
            return np.argmax(game.mask[slots], axis=1)

    player = solver.CorrectedPlayer(Leftmost(), solver.Solver(64), 26)
    for row in slots:
        draws = np.stack([(np.arange(420) + 0.5) / 420, np.zeros(420)], axis=1)
        counts = np.bincount(player.act(game, np.full(420, row), draws), minlength=7)
        expected = [leftmost[row]] if kept[row] else best[row]
        assert counts[expected].tolist() == [420 // len(expected)] * len(expected)
    assert (player.decisions, player.corrected) == (420 * 40, 420 * (40 - sum(kept)))
    some = slots[::2]
    assert (
        solver.CorrectedPlayer(Leftmost(), solver.Solver(1), 27)
        .act(game, some, np.zeros((20, 2)))
        .tolist()
        == leftmost[::2]
    )


def test_early_outcomes_are_kept(solver: Any, tmp_path: Path) -> None:
    cache, rows = (
        tmp_path / "deep" / "outcomes.json",
        csv.DictReader(POSITIONS.read_text().splitlines()),
    )
    [row, *_] = [row for row in rows if row["stones"] == "12" and int(row["best"]) < 0]
    first = solver.Solver(64, cache)
    assert first.value(*stones(row["moves"])) == -1
    mirrored = "".join(str(8 - int(move)) for move in row["moves"])
    again = solver.Solver(64, cache)
    assert again.value(*stones(row["moves"])) == again.value(*stones(mirrored)) == -1
    assert (first.nodes[0] > 0, again.nodes[0]) == (True, 0)
    cache.write_text("[1]")
    with pytest.raises(FileFormatError, match="holds no outcomes of Connect Four"):
        solver.Solver(64, cache)


def test_an_agent_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "connect_four_solver.py"), "nobody"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=HANG, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("connect_four_solver: no such agent: got 'nobody'")
    assert result.stderr.count("\n") == 1
