"""Runs note how they have ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from stopped_runs import StopAfter, resume_until, train_until
from trial_runs import trial

from sparring.errors import CallbackError
from sparring.storage.run_directory import RunState, state_of
from sparring.training import train

pytestmark = pytest.mark.slow

SHORT: dict[str, Any] = {"n_episodes": 60, "eval_matches": 2, "num_workers": 1}


class Ender:
    """A callback that stops the run, or fails."""

    def __init__(self, *, fails: bool) -> None:
        self.fails = fails
        self.states: list[str] = []

    def on_round(self, event: Any) -> bool:
        self.states.append(state_of(event.run).state)
        if self.fails:
            raise ValueError("no more")
        return False


def test_a_run_is_interrupted_until_a_resume_has_finished_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparring.training.Interrupts", StopAfter)
    stopped = train_until(3, tmp_path, "run", **SHORT)
    assert state_of(stopped.run) == RunState("interrupted")
    resume_until(10**9, tmp_path, "run")
    assert state_of(stopped.run) == RunState("finished")


@pytest.mark.parametrize("fails", [False, True])
def test_the_reason_of_an_early_end_is_kept(fails: bool, tmp_path: Path) -> None:
    ender = Ender(fails=fails)
    config = trial(tmp_path, name="run", backend="inline", **SHORT)
    if fails:
        with pytest.raises(CallbackError):
            train(config, callbacks=ender, console=False)
    else:
        train(config, callbacks=ender, console=False)
    assert ender.states == ["running"]
    found = state_of(tmp_path / "run")
    assert found.state == ("failed" if fails else "finished")
    assert ("no more" if fails else "Ender") in found.reason
