"""The console of a population."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from fake_members import FakeMember

from sparring.monitor.screen import SerialConsole
from sparring.population.board import Board


@pytest.fixture
def members(tmp_path: Path) -> list[FakeMember]:
    """One that is fast, one that starts, one that failed twice and is given up."""
    found = [FakeMember(tmp_path, number) for number in (0, 1, 999)]
    for member in found:
        member.start()
    rates = {"perf/episodes_per_min": 1_234_567.8, "perf/updates_per_s": 12_345.6}
    found[0].report(matches=999, score=-0.91234, **rates)
    found[2].report(matches=1, score=0.5, **rates)
    for member in found:
        member.look()
    found[2].restarts, found[2].state = 3, "given up"
    found[2].process.status = 1
    found[2].look()
    return found


def shown(board: Board) -> list[str]:
    console = SerialConsole(width=100, force_terminal=True, color_system=None, file=io.StringIO())
    console.print(board)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_the_panel_has_a_row_an_agent_and_80_columns(members: list[FakeMember]) -> None:
    lines = shown(Board("runs/six", members, console=False))
    assert {len(line) for line in lines if line.strip()} == {80}
    rows = [line.strip("│ ").split() for line in lines[2:5]]
    assert [row[0] for row in rows] == ["member-0", "member-1", "member-999"]
    assert rows[0][-3:] == ["12,346", "-0.912", "running"]
    assert rows[1][-1] == "starting"
    assert rows[2][-3:] == ["given", "up", "(3)"]
    assert "1,234,568 matches/min in all" in lines[5]


def test_a_member_that_does_not_run_has_no_rate(members: list[FakeMember]) -> None:
    assert shown(Board("runs/six", members, console=False))[4].split()[5:8] == ["1", "0", "0"]
