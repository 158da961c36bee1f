"""Runs that share their snapshots, and runs that take over the learner of another."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stopped_runs import NEVER, StopAfter, figures, resume_until, saved, train_until

from sparring.errors import ConfigurationError, InputError
from sparring.training import TrainResult


@pytest.fixture(autouse=True)
def _stop(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("sparring.training.Interrupts", StopAfter)
    yield
    StopAfter.looks = NEVER


@pytest.fixture
def first(tmp_path: Path) -> TrainResult:
    """A run that is over, whose snapshots others meet."""
    return train_until(NEVER, tmp_path, "first", pool_dir=str(tmp_path / "shared"), seed=9)


def opponents_met(run: Path) -> set[str]:
    reports = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {
        tag.removeprefix("rollout/win_rate/")
        for report in reports
        for tag in report
        if tag.startswith("rollout/win_rate/")
    }


def test_a_run_meets_the_snapshots_of_another_one_and_resumes_bit_for_bit(
    first: TrainResult, tmp_path: Path
) -> None:
    """The other run is over, so that nothing depends on time."""
    directory = tmp_path / "shared"
    assert "shared" not in opponents_met(first.run)
    shutil.copytree(directory, tmp_path / "before")
    settings = {"pool_dir": str(directory)}
    whole = train_until(NEVER, tmp_path / "whole", "second", **settings)
    assert "shared" in opponents_met(whole.run)
    assert {path.name.partition("@")[0] for path in directory.iterdir()} == {"first", "second"}
    shutil.rmtree(directory)
    (tmp_path / "before").rename(directory)
    assert train_until(45, tmp_path / "parts", "second", **settings).interrupted
    parts = resume_until(NEVER, tmp_path / "parts", "second")
    assert figures(parts) == figures(whole)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"max_snapshots": 0, "opponents": {"self": 1.0}}, "max_snapshots with a shared pool: got 0"),
    ({"opponents": {"self": 1.0}}, "expected a positive share of snapshots"),
    ({"matchmaking": "self"}, "expected uniform, recent or pfsp"),
]


@pytest.mark.parametrize(("settings", "line"), BAD)
def test_a_run_that_would_never_meet_others_is_refused(
    settings: dict[str, Any], line: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=line):
        train_until(NEVER, tmp_path, "run", pool_dir=str(tmp_path / "shared"), **settings)
    assert not any(tmp_path.iterdir())


def test_a_file_as_shared_pool_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="expected a directory"):
        train_until(NEVER, tmp_path, "run", pool_dir=str(tmp_path / "file"))


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return bool(np.array_equal(one, other))


def test_a_resume_takes_over_the_learner_of_another_run(tmp_path: Path) -> None:
    weak, strong = (train_until(45, tmp_path, name, seed=ord(name[0])) for name in ("w", "s"))
    before, theirs = saved(weak), saved(strong)
    resume_with(tmp_path, "w", "s", looks=0)
    after = saved(weak)
    for part in ("policy", "target", "optimizer"):
        assert same(after["learner"][part], theirs["learner"][part])
        assert not same(after["learner"][part], before["learner"][part])
    for part in ("updates", "rng", "ahead"):
        assert same(after["learner"][part], before["learner"][part])
    assert same(after["replay"], before["replay"])
    (entry,) = tomllib.loads((weak.run / "config.toml").read_text())["history"]
    assert entry["learner_from"] == str(strong.run)


def resume_with(folder: Path, run: str, other: str, *, looks: int) -> TrainResult:
    from sparring.training import resume

    StopAfter.looks = looks
    return resume(run, runs_dir=str(folder), learner_from=other, console=False)


def test_a_learner_of_another_network_or_no_run_is_refused(tmp_path: Path) -> None:
    one = train_until(45, tmp_path, "one")
    train_until(45, tmp_path, "other", policy_kwargs={"net_arch": [8]})
    before = saved(one)
    with pytest.raises(ConfigurationError, match="has another network"):
        resume_with(tmp_path, "one", "other", looks=0)
    with pytest.raises(InputError, match="there is no run 'nobody'"):
        resume_with(tmp_path, "one", "nobody", looks=0)
    assert same(saved(one)["learner"], before["learner"])
