"""Runs that end by the clock."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from trial_runs import resolved_trial, trial

from sparring.cli import main
from sparring.cli.train_options import parse_train
from sparring.config.sources import build_config
from sparring.training import resume, train
from sparring.training.callbacks import EndEvent, Event, RoundEvent
from sparring.training.schedule import Schedule


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second passes whenever the loop looks at the clock: between updates and rounds."""
    seconds = SimpleNamespace(monotonic=itertools.count().__next__)
    monkeypatch.setattr("sparring.training.loop.time", seconds)


class Recorder:
    def __init__(self) -> None:
        self.rounds: list[RoundEvent] = []
        self.end: EndEvent | None = None

    def on_round(self, event: RoundEvent) -> None:
        self.rounds.append(event)

    def on_end(self, event: EndEvent) -> None:
        self.end = event


def run(tmp_path: Path, minutes: float, callbacks: object = (), **changes: Any) -> Any:
    config = trial(tmp_path, name="run", backend="inline", n_episodes=1)
    clocked = config.model_copy(update={"max_minutes": minutes, **changes})
    return train(clocked, callbacks=callbacks, console=False)


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("mode", ["sync", "overlap", "async"])
def test_a_run_ends_when_its_minutes_are_over_and_its_schedules_with_it(
    mode: str, tmp_path: Path
) -> None:
    """A hundred looks at the clock; n_episodes, which is 1, plays no part."""
    seen = Recorder()
    result = run(tmp_path, 100 / 60, seen, mode=mode, learning_rate_schedule="cosine")
    assert (result.stopped, result.interrupted) == ("", False)
    assert result.episodes > 100
    assert seen.end is not None
    assert (seen.end.progress, seen.end.reason) == (1.0, "")
    assert seen.end.minutes < 110 / 60
    rates = [event.figures["train/learning_rate"] for event in seen.rounds]
    assert rates[0] > 9 * rates[-1] >= 0.0
    assert rates == sorted(rates, reverse=True)
    assert seen.rounds[-1].figures["rollout/exploration_rate"] == pytest.approx(0.05)
    assert (result.run / "best.safetensors").is_file()


@pytest.mark.usefixtures("clock")
def test_a_resumed_run_goes_on_counting_and_may_get_more_minutes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:

    class Half:
        def on_round(self, event: Event) -> bool:
            return event.progress < 0.5

    first = run(tmp_path, 100 / 60, Half())
    assert first.stopped == "Half.on_round returned False"
    seen = Recorder()
    done = resume("run", runs_dir=str(tmp_path), callbacks=seen).updates
    assert 0.5 <= seen.rounds[0].progress < 0.8
    assert seen.rounds[0].minutes > 50 / 60
    assert resume("run", runs_dir=str(tmp_path)).updates == done, "nothing is left"
    capsys.readouterr()
    longer = resume("run", runs_dir=str(tmp_path), overrides={"max_minutes": 200 / 60})
    assert longer.updates > 1.5 * done
    said = capsys.readouterr().out
    assert "ends after 3.33333 minutes, schedules by the clock: no two are alike" in said
    again = build_config(config_file=first.run / "config.toml")
    assert again.max_minutes == pytest.approx(200 / 60)


@pytest.mark.usefixtures("clock")
def test_updates_that_are_due_when_the_time_is_over_are_left_for_a_longer_run(
    tmp_path: Path,
) -> None:
    result = run(tmp_path, 100 / 60, learning_steps_per_batch=1_000)
    assert 0 < result.updates < 110
    longer = resume("run", runs_dir=str(tmp_path), overrides={"max_minutes": 2.0}, console=False)
    assert (longer.updates > result.updates, longer.episodes) == (True, result.episodes)


def test_minutes_used_are_counted_in_runs_by_matches_too(tmp_path: Path) -> None:
    config = trial(tmp_path, name="run", backend="inline", n_episodes=40)
    result = train(config, console=False)
    seen = Recorder()
    more = {"max_minutes": 1e-9}
    again = resume("run", runs_dir=str(tmp_path), overrides=more, callbacks=seen, console=False)
    assert again.updates == result.updates
    assert seen.end is not None
    assert seen.end.minutes > 0.0


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Some seconds of the preset; its evaluation at the end has few matches."""
    command = "train tic_tac_toe --max-minutes 0.02 --eval-matches 2 --backend inline --name run"
    assert main([*command.split(), "--num-workers", "1", "--runs-dir", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "ends after 0.02 minutes" in said
    assert "resume" in said
    assert "--max-minutes 0.04" in said
    assert main(["train", "--max-minutes", "1", "--n-episodes", "5"]) == 2
    assert "two lengths: got n_episodes 5 and max_minutes 1" in capsys.readouterr().err


def test_presets_say_their_minutes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_train(["connect_four", "--help"], prog="sparring train")
    said = " ".join(capsys.readouterr().out.split())
    for preset in ("quick (5 minutes)", "strong-dqn (32 minutes); none: the defaults"):
        assert preset in said


def test_a_schedule_without_a_clock_counts_matches() -> None:
    schedule = Schedule(resolved_trial(n_episodes=10))
    schedule.passed(1e9)
    assert schedule.progress == 0.0
