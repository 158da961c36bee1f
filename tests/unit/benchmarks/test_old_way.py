"""benchmarks/naive.py learns what it says it learns; a wrong loop would be no fair comparison,
however fast.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def naive(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import naive

    return naive


def step(name, action, reward=0.0):
    return np.full(3, name), np.array([True, False]), action, reward


def test_decisions_lead_to_the_same_seats_next_one_and_the_last_one_ends(naive):
    learner = naive.Learner()
    learner.add([step(1, 0), step(2, 1), step(3, 0, reward=-1.0)])
    seen = [
        (o[0], action, reward, following[0], goes_on)
        for o, action, reward, following, _, goes_on in learner.replay
    ]
    assert seen == [(1, 0, 0.0, 2, 1.0), (2, 1, 0.0, 3, 1.0), (3, 0, -1.0, 3, 0.0)]


def test_the_policy_chooses_among_legal_actions_and_the_target_network_values(naive):
    learner = naive.Learner()
    learner.policy = lambda observation: torch.tensor([[1.0, 9.0, 3.0, 2.0]]).expand(
        len(observation), 4
    )
    learner.target = lambda observation: torch.tensor([[10.0, 20.0, 30.0, 40.0]]).expand(
        len(observation), 4
    )
    mask = torch.tensor([[True, False, True, True], [True, True, True, True]])
    goal = learner.targets(
        torch.tensor([0.5, -1.0]), torch.zeros(2, 3), mask, torch.tensor([1.0, 0.0])
    )
    assert goal.tolist() == pytest.approx([0.5 + 0.99 * 30.0, -1.0])


def test_a_match_gives_each_seat_its_decisions_and_pays_both_at_the_end(naive):
    seats, plies = naive.Actor().match()
    assert sum(map(len, seats)) == plies
    assert sorted(trajectory[-1][3] for trajectory in seats) == [-1.0, 1.0]
    assert all(mask[action] for trajectory in seats for _, mask, action, _ in trajectory)
    assert {reward for trajectory in seats for *_, reward in trajectory[:-1]} == {0.0}


def test_an_update_is_made_for_every_match():
    command = [
        sys.executable,
        str(BENCHMARKS / "naive.py"),
        "--seconds",
        "0.2",
        "--workers",
        "1",
        "--episodes-per-batch",
        "1",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["workers"] == 1
    assert result["updates_per_s"] == pytest.approx(result["episodes_per_min"] / 60.0, rel=0.01)
    assert result["plies_per_s"] == pytest.approx(
        result["updates_per_s"] * result["plies_per_match"], rel=0.01
    )
