"""benchmarks/other_libraries_loops.py and adapters.py: a few matches in each library's own loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sparring.dqn.agent import DQNAgent
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.games.names import parse

for library in ("pyspiel", "pettingzoo", "gymnasium", "rlcard"):
    pytest.importorskip(library)

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def loops(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import other_libraries_loops

    return other_libraries_loops


@pytest.mark.parametrize(
    ("name", "paid"),
    [
        ("openspiel:tic_tac_toe", {-1, 0, 1}),
        ("openspiel:goofspiel(num_cards=3)", {-1, 0, 1}),
        ("pettingzoo:classic/tictactoe-v3", {-1, 0, 1}),
        ("rlcard:leduc-holdem", set(np.arange(-14, 15) / 2)),
    ],
)
def test_each_match_in_a_librarys_own_loop_pays_the_agent(
    name: str, paid: set[float], loops: Any
) -> None:
    agent = DQNAgent(PolicySpec(name, NetworkSpec("mlp", {"net_arch": [8]})))
    for play in loops.LOOPS[parse(name).scheme].values():
        returns = list(play(agent, parse(name), 6))
        assert len(returns) == 6
        assert set(returns) <= paid
        assert any(returns)


def test_intervals_and_z(loops: Any) -> None:
    theirs, ours = np.array([1.0, -1.0] * 50), np.array([1.0, 1.0, 1.0, -1.0] * 25)
    assert " ".join(loops.row(theirs, ours).split()) == "0.000 +- 0.197 0.500 +- 0.171 -3.76"


@pytest.mark.parametrize(
    "name",
    [
        "openspiel:goofspiel(num_cards=3)",
        "pettingzoo:classic/tictactoe-v3",
        "pettingzoo:classic/rps-v2",
        "gymnasium:FrozenLake-v1",
        "rlcard:leduc-holdem",
    ],
)
def test_a_librarys_own_loop_counts_plies(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import adapters

    assert adapters.own_loop(parse(name))() >= adapters.SLOTS
