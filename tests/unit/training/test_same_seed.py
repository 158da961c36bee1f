"""The remark where a run repeats another one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from trial_runs import resolved_trial

from sparring.config.schema import ResolvedConfig
from sparring.config.sources import to_toml
from sparring.training.resolve import same_seed_remark


def run_beside(runs: Path, **changes: Any) -> ResolvedConfig:
    """The configuration of a trial, beside the directory of the run `first` with `changes`."""
    (runs / "first").mkdir()
    first = resolved_trial(seed=3, **changes)
    (runs / "first" / "config.toml").write_text(to_toml(first), encoding="utf-8")
    return resolved_trial(seed=3)


@pytest.mark.parametrize("changes", [{}, {"name": "first"}, {"device": "cuda:1"}])
def test_equal_settings_and_seeds_are_remarked_with_another_seed(
    changes: dict[str, str], tmp_path: Path
) -> None:
    remark = same_seed_remark(tmp_path / "second", run_beside(tmp_path, **changes))
    assert remark == (
        f"\nsame settings and seed as {tmp_path / 'first'}: the agents will be identical; "
        "--seed 4 makes another one"
    )


@pytest.mark.parametrize("changes", [{"batch_size": 17}, {"opponents": {"random": 1.0}}])
def test_other_settings_make_another_agent(changes: dict[str, Any], tmp_path: Path) -> None:
    assert same_seed_remark(tmp_path / "second", run_beside(tmp_path, **changes)) == ""


def test_nothing_is_remarked_about_itself_other_files_and_async(tmp_path: Path) -> None:
    config = run_beside(tmp_path)
    assert same_seed_remark(tmp_path / "first", config) == ""
    asynchronous = config.model_copy(update={"mode": "async"})
    assert same_seed_remark(tmp_path / "second", asynchronous) == ""
    (tmp_path / "first" / "config.toml").write_text("=", encoding="utf-8")
    assert same_seed_remark(tmp_path / "second", config) == ""
