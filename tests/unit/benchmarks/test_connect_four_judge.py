"""benchmarks/connect_four_judge.py: its perfect player never gives anything away, and what it says
of agents is true.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sparring.dqn.agent import DQNAgent
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.errors import InputError
from sparring.games import BatchedGame, make
from sparring.opponents.scripted import RandomPlayer

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
POSITIONS = Path(__file__).parents[2] / "data" / "connect_four" / "positions.csv"
ROWS = list(csv.DictReader(POSITIONS.read_text().splitlines()))


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import connect_four_judge

    return connect_four_judge


@pytest.fixture
def solver(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import connect_four_solver

    return connect_four_solver.Solver(64)


class Leftmost:
    name = "leftmost"

    def act(self, game: BatchedGame, slots: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        return np.argmax(game.mask[slots], axis=1)


def set_up(rows: list[dict[str, str]]) -> BatchedGame:
    """The rows, which have as many stones each, in the slots of a game."""
    game, slots = make("connect_four", len(rows)), np.arange(len(rows))
    game.reset(slots, slots.astype(np.uint64))
    for ply in range(int(rows[0]["stones"])):
        game.step(np.array([int(row["moves"][ply]) - 1 for row in rows]))
    return game


def scores(row: dict[str, str]) -> dict[int, int]:
    return {c: int(row[f"s{c + 1}"]) for c in range(7) if row[f"s{c + 1}"]}


def signs(row: dict[str, str]) -> dict[int, int]:
    return {column: int(np.sign(score)) for column, score in scores(row).items()}


def test_a_perfect_player_keeps_the_outcome(judge: Any, solver: Any) -> None:
    rows = [row for row in ROWS if row["stones"] == "22"]
    game = set_up(rows)
    player = judge.PerfectPlayer(solver, before=RandomPlayer())
    rng, returns = np.random.default_rng(0), np.zeros((len(rows), 2))
    while len(going := np.flatnonzero(~game.terminated)):
        actions = np.full(len(rows), -1)
        actions[going] = player.act(game, going, rng.random((len(going), 2)))
        game.step(actions)
        returns += game.rewards
    assert returns[:, 0].tolist() == [np.sign(int(row["best"])) for row in rows]


def test_a_perfect_player_chooses_evenly_among_moves_with_the_best_outcome(
    judge: Any, solver: Any
) -> None:
    """Neither how long a win takes counts, nor how long a loss can be put off; before so many
    stones the other player chooses.
    """
    rows = [row for row in ROWS if row["stones"] == "26"][:40]
    game, slots = set_up(rows), np.arange(40)
    draws = np.stack([(np.arange(420) + 0.5) / 420, np.zeros(420)], axis=1)
    player = judge.PerfectPlayer(solver, before=Leftmost(), first=26)
    for slot, row in enumerate(rows):
        counts = np.bincount(player.act(game, np.full(420, slot), draws), minlength=7)
        best = [c for c, sign in signs(row).items() if sign == max(signs(row).values())]
        assert counts[best].tolist() == [420 // len(best)] * len(best)
    later = judge.PerfectPlayer(solver, before=Leftmost(), first=27)
    leftmost = [min(signs(row)) for row in rows]
    assert later.act(game, slots, draws[:40]).tolist() == leftmost


def test_lost_positions_are_played_as_told_and_only_those(judge: Any, solver: Any) -> None:
    rows = [row for row in ROWS if row["stones"] == "26"][:40]
    game, slots = set_up(rows), np.arange(40)
    lost = [int(row["best"]) < 0 for row in rows]
    columns = [
        max(values := scores(row), key=lambda column: values[column]) if mark else None
        for row, mark in zip(rows, lost, strict=True)
    ]
    told = {judge.stones(game.observation[slot]): [columns[slot]] for slot in slots if lost[slot]}
    player = judge.PerfectPlayer(solver, lambda *position: told[position], before=Leftmost())
    chosen = player.act(game, slots, np.random.default_rng(0).random((40, 2))).tolist()
    assert 0 < sum(lost) < 40
    assert [action for action, mark in zip(chosen, lost, strict=True) if mark] == [
        column for column in columns if column is not None
    ]
    for action, row in zip(chosen, rows, strict=True):
        assert signs(row)[action] == max(signs(row).values())


def test_slips_and_errors_of_a_match_are_found(judge: Any) -> None:
    """The opponent slips twice; the agent keeps the draw and loses the win again."""
    moves = [judge.Decision(k % 2 == 1, 1 << k, 0, 3) for k in range(6)]
    match = judge.Judged(moves, [-1, 0, 0, 1, 0, 0, 0])
    assert match.gifts() == [((2, 0), True), ((8, 0), False)]
    assert match.errors() == [1]
    assert match.matters() == 3
    lost = judge.Judged(moves, [-1, 0, -1, 0, 0, -1, -1])
    assert [kept for _, kept in lost.gifts()] == [False, False]


def test_matches_are_judged_by_what_positions_are_worth_to_the_agent(
    judge: Any, solver: Any
) -> None:
    """Random matches from solved positions: the first move by the file, the end by the rules."""
    rows = [row for row in ROWS if row["stones"] == "30"][:30]
    game = set_up(rows)
    recorded: dict[int, list[Any]] = {slot: [] for slot in range(30)}
    sides = [judge.Recorded(RandomPlayer(), recorded, agent=agent) for agent in (True, False)]
    rng, returns = np.random.default_rng(1), np.zeros(30)
    while len(going := np.flatnonzero(~game.terminated)):
        actions = np.full(30, -1)
        actions[going] = sides[game.plies[going[0]] % 2].act(
            game, going, rng.random((len(going), 2))
        )
        game.step(actions)
        returns += game.rewards[:, 0]
    errors = 0
    for slot, row in enumerate(rows):
        found = judge.judge(judge.Played(0, int(returns[slot]), recorded[slot]), solver, 30)
        assert found.worth[0] == np.sign(int(row["best"]))
        assert found.worth[1] == signs(row)[found.moves[0].column]
        assert found.worth[-1] == returns[slot]
        errors += len(found.errors())
        late = judge.judge(judge.Played(0, 0, recorded[slot]), solver, 32)
        assert list(late.moves) == found.moves[2:]
        assert list(late.worth) == (found.worth[2:] if late.moves else [])
    assert errors > 5


def test_bitbully_knows_the_solved_positions(judge: Any) -> None:
    pytest.importorskip("bitbully", reason=judge.INSTALL)
    pytest.importorskip("bitbully_databases", reason=judge.INSTALL)
    bitbully = judge.Bitbully()
    for stones in (5, 8, 16, 24, 30, 36):
        rows = [row for row in ROWS if int(row["stones"]) == stones][:20]
        game = set_up(rows)
        for slot, row in enumerate(rows):
            position = judge.stones(game.observation[slot])
            found = {c: bitbully.outcome(*position, c) for c in scores(row)}
            assert found == signs(row)
            best = int(row["best"])
            assert bitbully.value(*position) == np.sign(best)
            if best < 0 and stones > 16:
                longest = [c for c, score in scores(row).items() if score == best]
                assert bitbully.longest(*position) == longest


def agent_file(path: Path, game: str = "connect_four") -> str:
    DQNAgent(PolicySpec(game, NetworkSpec("mlp", {"net_arch": [8]}))).save(path)
    return str(path)


def test_agents_are_shown_in_one_table(
    judge: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = tuple(agent_file(tmp_path / f"{name}.safetensors") for name in "ab")
    settings = judge.Settings(
        files,
        matches=3,
        slip_matches=2,
        opening_plies=30,
        perfect_from=30,
        solver="own",
        cache=None,
    )
    figures = judge.main(settings)
    assert (figures["judge"], figures["perfect_from"]) == ("solver", 30)
    json.dumps(figures)
    for file in files:
        row = figures["agents"][file]
        for seat in (row["first"], row["second"]):
            assert seat["won"] + seat["drawn"] + seat["lost"] == 3
            assert seat["distinct"] == 3  # from 30 random plies
        assert row["slips"]["matches"] == 2
        assert row["milliseconds"] > 0
    capsys.readouterr()
    judge.show(figures)
    table = [line for line in capsys.readouterr().out.splitlines() if "safetensors" in line]
    assert [sum(line.lstrip().startswith(file) for line in table) for file in files] == [2, 2]


def test_wrong_agents_and_an_absent_judge_are_one_line(
    judge: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="no such agent: got 'nobody'"):
        judge.main(judge.Settings(("nobody",), runs_dir=str(tmp_path)))
    other = agent_file(tmp_path / "toe.safetensors", "tic_tac_toe")
    with pytest.raises(InputError, match="got an agent for tic_tac_toe, expected connect_four"):
        judge.main(judge.Settings((other,)))
    monkeypatch.setitem(sys.modules, "bitbully", None)
    for settings in (judge.Settings((), solver="bitbully"), judge.Settings((), delay_losses=True)):
        with pytest.raises(InputError, match=r"bitbully is not installed.*; pip install"):
            judge.find_outcomes(settings)
    assert type(judge.find_outcomes(judge.Settings((), cache=None))).__name__ == "Solver"
