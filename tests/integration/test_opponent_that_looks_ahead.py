"""The agent that looks ahead as an opponent of its own training, `agent:D`: the same agent in every
way, and after a stop.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stopped_runs import NEVER, StopAfter, figures, resume_until, train_until
from trial_runs import trial

from sparring.training import train

pytestmark = pytest.mark.slow

AHEAD: dict[str, Any] = {
    "opponents": {"self": 0.3, "snapshots": 0.2, "agent:1": 0.3, "agent:2": 0.2},
    "n_episodes": 160,
    "eval_matches": 4,
}


@pytest.mark.parametrize("mode", ["sync", "overlap"])
def test_every_way_gives_the_same_agent(mode: str, tmp_path: Path) -> None:
    one, other = (
        train(trial(tmp_path, mode=mode, **AHEAD, backend=backend), console=False)
        for backend in ("inline", "processes")
    )
    assert figures(one) == figures(other)
    tags = {
        tag for line in (one.run / "metrics.jsonl").read_text().splitlines()
        for tag in json.loads(line)
    }  # fmt: skip
    assert {"rollout/win_rate/agent:1", "rollout/win_rate/agent:2"} <= tags
    assert not {tag for tag in tags if tag.startswith("eval/") and "agent" in tag}


def test_async_plays_against_it(tmp_path: Path) -> None:
    result = train(trial(tmp_path, mode="async", **AHEAD), console=False)
    assert result.episodes >= 160


@pytest.fixture
def _stop(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("sparring.training.Interrupts", StopAfter)
    yield
    StopAfter.looks = NEVER


@pytest.mark.usefixtures("_stop")
def test_a_resumed_run_gives_the_same_agent(tmp_path: Path) -> None:
    whole = train_until(NEVER, tmp_path, "whole", mode="overlap", **AHEAD)
    stopped = train_until(StopAfter.looked // 2, tmp_path, "stopped", mode="overlap", **AHEAD)
    assert stopped.interrupted
    assert figures(resume_until(NEVER, tmp_path, "stopped")) == figures(whole)
