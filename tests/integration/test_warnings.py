"""A run whose agent is damaged half-way warns on the console and in its metrics; others do not."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trial_runs import trial

from sparring.dqn.learner import Learner, LearnStats
from sparring.training import train

# Minibatches of 64 are enough to beat random at tic-tac-toe in 500 updates, about 0.9.
LEARNS: dict[str, Any] = {
    "mode": "sync",
    "backend": "inline",
    "n_episodes": 1_500,
    "learning_rate": 0.003,
    "learning_steps_per_batch": 12,
    "batch_size": 64,
    "buffer_size": 5_000,
    "prioritized_replay": False,
    "policy_kwargs": {"net_arch": [64]},
    "exploration_fraction": 0.2,
    "opponents": {"self": 0.3, "snapshots": 0.7},
    "snapshot_interval": 100,
    "max_snapshots": 6,
    "max_opponents_per_worker": 6,
    "eval_interval": 60,
    "eval_matches": 100,
    "log_interval": 1e-9,
}


def warnings_of(run: Path) -> dict[str, list[float]]:
    """Every value of every tag of a warning."""
    found: dict[str, list[float]] = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        for tag, value in json.loads(line).items():
            if tag.startswith("warnings/"):
                found.setdefault(tag, []).append(value)
    return found


@pytest.mark.slow
def test_a_damaged_agent_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = Learner.update

    def damage(self: Learner, *arguments: Any, **options: Any) -> LearnStats:
        """From update 500 on all weights of the last layer are negative."""
        stats = real(self, *arguments, **options)
        if self.updates >= 500:
            names = [name for name, _ in self.policy.named_parameters()]
            weights = {
                name: parameter.detach().numpy().copy()
                for name, parameter in self.policy.named_parameters()
            }
            self.set_weights(
                {
                    name: -abs(weights[name]) if name == names[-2] else weights[name]
                    for name in names
                }
            )
        return stats

    monkeypatch.setattr(Learner, "update", damage)
    result = train(trial(tmp_path, **LEARNS))
    found = warnings_of(result.run)
    assert {"warnings/collapse/random", "warnings/forgetting"} <= set(found)
    assert all(len(values) <= 2 for values in found.values()), "once each time that it happens"
    assert found["warnings/forgetting"][0] < 0.45
    printed = capsys.readouterr().out.splitlines()
    warned = [line for line in printed if line.startswith("warning: ")]
    assert len(warned) == sum(map(len, found.values()))
    assert any(line.startswith("warning: the agent forgets: it scores 0.") for line in warned)
    reports = [line for line in printed if re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ", line)]
    assert reports, "one line each, however long"
    assert not [line for line in printed if line.startswith(" ")], "a warning is one line, too"


@pytest.mark.slow
def test_an_agent_that_learns_gets_no_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = train(trial(tmp_path, **LEARNS))
    assert warnings_of(result.run) == {}
    assert "warning: " not in capsys.readouterr().out


@pytest.mark.parametrize("clip_targets", [True, False])
def test_there_is_one_warning_of_a_game_that_pays_more_than_it_declares(
    clip_targets: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {
        "opponents": {"self": 1.0},
        "eval_matches": 2,
        "n_steps": 1,
        "clip_targets": clip_targets,
    }
    result = train(
        trial(tmp_path, game="generous_game:Generous", backend="inline", n_episodes=60, **options)
    )
    printed = " ".join(capsys.readouterr().out.split())
    warned = printed.count("warning: generous_game:Generous paid a seat 3 by the end of a match")
    assert warned == clip_targets
    assert warnings_of(result.run).get("warnings/returns", []) == [3.0] * clip_targets


def test_a_discounted_return_below_what_a_match_pays_is_no_warning(tmp_path: Path) -> None:
    options = {"opponents": {"self": 1.0}, "eval_matches": 2, "n_steps": 3, "gamma": 0.9}
    config = trial(
        tmp_path, game="generous_game:AlwaysMuch", backend="inline", n_episodes=60, **options
    )
    found = warnings_of(train(config).run)
    assert not {"warnings/returns", "warnings/q_range"} & found.keys()


def test_a_run_that_learns_nothing_says_so_at_its_start_and_at_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The buffer is large and the run is short, so that there is not one update."""
    changes = {"learning_steps_per_batch": "adaptive", "buffer_size": 200_000, "n_episodes": 40}
    result = train(trial(tmp_path, backend="inline", **changes))
    assert result.updates == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "warning: only 0 updates are to be expected" in said
    assert "warning: only 0 updates were made" in said
    assert warnings_of(result.run)["warnings/few_updates"]


def test_an_agent_that_never_beats_random_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Updates that change nothing leave an agent that plays like chance, or worse."""
    monkeypatch.setattr(Learner, "vector", lambda self: np.zeros(self.layout.size, np.float32))
    result = train(trial(tmp_path, backend="inline", learning_rate=1e-30, eval_matches=100))
    said = " ".join(capsys.readouterr().out.split())
    assert "warning: no evaluation so far shows an agent that is better than random" in said
    assert "that of random 0;" in said, "tic-tac-toe is a zero-sum game"
    assert len(warnings_of(result.run)["warnings/not_better_than_random"]) == 1
