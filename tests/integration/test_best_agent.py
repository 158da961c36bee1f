"""The choice of the best agent among those that a run evaluates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trial_runs import trial

from sparring.dqn.agent import DQNAgent
from sparring.dqn.learner import Learner, LearnStats
from sparring.storage.run_directory import read_newest
from sparring.training import resume, train
from sparring.training.evaluator import BEST, Baselines, Duels, Evaluator


def best_in_checkpoint(run: Path) -> Any:
    return read_newest(run, "evaluator")["best"]["weights"]


def run_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scores: list[float], against_best: list[float]
) -> tuple[int, list[Any]]:
    """Return the evaluation whose agent was kept, and the best agent that each duel was against,
    for evaluations and duels with these results.
    """
    seen: list[bytes] = []
    duels: list[tuple[Any, ...]] = []
    results = iter(against_best)

    def evaluate(self: Evaluator, agent: DQNAgent) -> Baselines:
        seen.append(agent.policy().vector().tobytes())
        return Baselines(scores[len(seen) - 1], 0.5)

    def advantage(
        self: Duels, one: Any, other: Any, *, matches: int, key: tuple[int, ...]
    ) -> float:
        duels.append(
            (one.policy.vector().tobytes(), other.policy.vector().tobytes(), matches, key[0])
        )
        return next(results)

    monkeypatch.setattr(Evaluator, "against_baselines", evaluate)
    monkeypatch.setattr(Duels, "advantage", advantage)
    config = trial(
        tmp_path,
        name="run",
        backend="inline",
        n_episodes=160,
        eval_interval=18,
        weight_averaging=0.9,
    )
    result = train(config, console=False)
    assert len(seen) == len(scores)
    for one, _, matches, key in duels:
        assert (one in seen, matches, key) == (True, config.eval_matches, BEST)
    kept = DQNAgent.load(result.run / "best.safetensors").policy().vector().tobytes()
    return seen.index(kept), [seen.index(other) for _, other, _, _ in duels]


@pytest.mark.parametrize(
    ("returns", "against_best", "kept"),
    [
        ([0.5, 0.6, 0.7], [0.0, 0.0], 2),
        ([0.7, 0.6, 0.7], [0.0, 0.0], 2),  # the later of equals
        ([0.7, 0.6, 0.6], [0.0, 0.0], 0),
        # the second beats the first by more than it loses against the baseline opponents
        ([0.7, 0.6, 0.6], [0.2, 0.0], 2),
        ([0.7, 0.6, 0.5], [0.2, 0.0], 1),
        ([0.7, 0.8, 0.8], [-0.2, -0.2], 0),  # and the reverse
    ],
)
def test_baselines_and_matches_with_the_best_one_count_alike(
    returns: list[float],
    against_best: list[float],
    kept: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The run has four evaluations; the last agent loses every match.
    assert run_with(tmp_path, monkeypatch, [*returns, 0.0], [*against_best, -0.5])[0] == kept


def test_each_agent_meets_the_best_one_so_far(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_with(tmp_path, monkeypatch, [0.7, 0.6, 0.8, 0.7], [0.0, 0.0, 0.0]) == (2, [0, 0, 2])


def test_the_checkpoint_at_the_end_holds_the_best_agent(tmp_path: Path) -> None:
    """So that a run that is made longer compares with it. Learning rates of 0.01 to 0.3 make later
    agents worse as often as better.
    """
    for seed in range(6):
        config = trial(
            tmp_path,
            name=f"run-{seed}",
            seed=seed,
            backend="inline",
            n_episodes=160,
            eval_interval=1_000 if seed % 2 else 40,
            learning_rate=0.05,
            eval_matches=20,
        )
        result = train(config, console=False)
        in_file = DQNAgent.load(result.run / "best.safetensors").policy().vector()
        assert (best_in_checkpoint(result.run) == in_file).all()


def test_a_longer_run_does_not_replace_the_best_agent_by_a_worse_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent that was evaluated last is the best; then all its weights become negative."""
    changes = {"backend": "inline", "n_episodes": 160, "eval_interval": 1_000, "eval_matches": 40}
    result = train(trial(tmp_path, name="run", **changes), console=False)
    best = (result.run / "best.safetensors").read_bytes()
    update = Learner.update

    def damage(self: Learner, *arguments: Any, **options: Any) -> LearnStats:
        stats = update(self, *arguments, **options)
        weights = {
            name: -np.abs(weight.detach().numpy())
            for name, weight in self.policy.named_parameters()
        }
        self.set_weights(weights)
        return stats

    monkeypatch.setattr(Learner, "update", damage)
    longer = resume("run", runs_dir=str(tmp_path), overrides={"n_episodes": 240}, console=False)
    assert longer.updates > result.updates
    assert (result.run / "best.safetensors").read_bytes() == best


def test_an_agent_is_evaluated_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where an interval ends with the run, and when a finished run is resumed."""
    evaluated = []
    against_baselines = Evaluator.against_baselines

    def count(self: Evaluator, agent: DQNAgent) -> float:
        evaluated.append(agent.policy().vector().tobytes())
        return against_baselines(self, agent)

    monkeypatch.setattr(Evaluator, "against_baselines", count)
    changes = {"backend": "inline", "n_episodes": 160, "eval_interval": 6}
    result = train(trial(tmp_path, name="run", **changes), console=False)
    resume("run", runs_dir=str(tmp_path), console=False)
    assert len(evaluated) == len(set(evaluated)) == result.updates // 6
    lines = (result.run / "metrics.jsonl").read_text().splitlines()
    assert sum("eval/win_rate/random" in line for line in lines) == len(evaluated)
