"""The choice of the best agent among those that a run evaluates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from trial_runs import trial

from sparring.dqn.agent import DQNAgent
from sparring.opponents.records import Record
from sparring.training import train
from sparring.training.evaluator import BEST, Duels, Evaluator


def run_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scores: list[float], against_best: list[float]
) -> tuple[int, list[Any]]:
    """Return the evaluation whose agent was kept, and the best agent that each duel was against,
    for evaluations and duels with these results.
    """
    seen: list[bytes] = []
    duels: list[tuple[Any, ...]] = []
    results = iter(against_best)

    def evaluate(self: Evaluator, agent: DQNAgent) -> float:
        seen.append(agent.policy().vector().tobytes())
        return scores[len(seen) - 1]

    def play(self: Duels, one: Any, other: Any, *, matches: int, key: tuple[int, ...]) -> Record:
        duels.append(
            (one.policy.vector().tobytes(), other.policy.vector().tobytes(), matches, key[0])
        )
        wins = round(100 * next(results))
        return Record(wins=wins, losses=100 - wins)

    monkeypatch.setattr(Evaluator, "against_baselines", evaluate)
    monkeypatch.setattr(Duels, "play", play)
    config = trial(
        tmp_path,
        name="run",
        backend="inline",
        n_episodes=160,
        eval_interval=20,
        weight_averaging=0.9,
    )
    result = train(config, console=False)
    assert len(seen) == len(scores)
    for one, _, matches, key in duels:
        assert (one in seen, matches, key) == (True, config.eval_matches, BEST)
    kept = DQNAgent.load(result.run / "best.safetensors").policy().vector().tobytes()
    return seen.index(kept), [seen.index(other) for _, other, _, _ in duels]


@pytest.mark.parametrize(
    ("scores", "against_best", "kept"),
    [
        ([0.5, 0.6, 0.7], [0.5, 0.5], 2),
        ([0.7, 0.6, 0.7], [0.5, 0.5], 2),  # the later of equals
        ([0.7, 0.6, 0.6], [0.5, 0.5], 0),
        # the second beats the first by more than it loses against the baseline opponents
        ([0.7, 0.6, 0.6], [0.7, 0.5], 2),
        ([0.7, 0.6, 0.5], [0.7, 0.5], 1),
        ([0.7, 0.8, 0.8], [0.3, 0.3], 0),  # and the reverse
    ],
)
def test_baselines_and_matches_with_the_best_one_count_alike(
    scores: list[float],
    against_best: list[float],
    kept: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The run has four evaluations; the last agent loses every match.
    assert run_with(tmp_path, monkeypatch, [*scores, 0.0], [*against_best, 0.0])[0] == kept


def test_each_agent_meets_the_best_one_so_far(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_with(tmp_path, monkeypatch, [0.7, 0.6, 0.8, 0.7], [0.5, 0.5, 0.5]) == (2, [0, 0, 2])
