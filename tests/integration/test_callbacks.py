"""Callbacks hear what a run does, in a stated order and with the same figures each time; they stop
it, and their exceptions end it with a checkpoint.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trial_runs import trial

from sparring import train_dqn
from sparring.errors import CallbackError, ConfigurationError, GameFault, SparringError
from sparring.storage.run_directory import RunDirectory
from sparring.training import TrainResult, resume, train
from sparring.training.callbacks import METHODS, EndEvent, EvaluationEvent, Event, RoundEvent

OFTEN = {"eval_interval": 18, "checkpoint_interval": 25, "log_interval": 1e-9}
ALL = ("on_snapshot", "on_evaluation", "on_report", "on_checkpoint", "on_round", "on_end")


class Recorder:
    """Notes every event."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def on_round(self, event: Event) -> None:
        self.events.append(event)

    on_snapshot = on_evaluation = on_checkpoint = on_end = on_round

    def methods(self) -> list[str]:
        return [event.method for event in self.events]

    def of(self, method: str) -> list[Any]:
        return [event for event in self.events if event.method == method]


class Fails:
    """Raises in one method, when it is called for the n-th time."""

    def __init__(self, method: str, calls: int = 1) -> None:
        self.left = calls
        setattr(self, method, self.call)

    def call(self, event: Event) -> None:
        self.left -= 1
        if self.left == 0:
            raise ValueError(f"no such\ncolumn at {event.updates}")


class Stops:
    """Returns `answer` at the n-th call of one method."""

    def __init__(self, method: str, calls: int = 1, answer: object = False) -> None:
        self.left, self.answer = calls, answer
        setattr(self, method, self.call)

    def call(self, event: Event) -> object:
        self.left -= 1
        return self.answer if self.left == 0 else True


def run(tmp_path: Path, callbacks: object = (), name: str = "run", **changes: Any) -> TrainResult:
    settings = {"backend": "inline", "log_interval": 1e9, "n_episodes": 160, **changes}
    return train(trial(tmp_path, name=name, **settings), callbacks=callbacks, console=False)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    """SHA-256 of the agent of a run that is not stopped."""
    return run(tmp_path_factory.mktemp("whole"), **OFTEN).sha256


def same(event: Event) -> dict[str, Any]:
    """All of an event that has to be the same in the same run elsewhere."""
    values = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
    return {k: v for k, v in values.items() if k != "minutes" and not isinstance(v, Path)}


def test_the_events_of_a_run_by_hand(tmp_path: Path) -> None:
    """Rounds of 16 matches and 6 updates, the first without any; a snapshot every 40 matches, an
    evaluation every 18 updates and at the end, checkpoints every 25 updates and at the end.
    """
    recorder = Recorder()
    result = run(tmp_path, recorder, eval_interval=18, checkpoint_interval=25)
    rounds = recorder.of("on_round")
    assert [event.rounds for event in rounds] == list(range(1, len(rounds) + 1))
    assert rounds[-1].matches == result.episodes >= 160
    for method, per, interval in (
        ("on_evaluation", "updates", 18),
        ("on_checkpoint", "updates", 25),
    ):
        *regular, last = recorder.of(method)
        assert [getattr(event, per) // interval for event in regular] == list(
            range(1, len(regular) + 1)
        )
        assert last.updates == result.updates
    snapshots = recorder.of("on_snapshot")
    assert [event.name for event in snapshots] == [f"snapshot:{i}" for i in range(1, 5)]
    assert [event.matches // 40 for event in snapshots] == [1, 2, 3, 4]
    order = [(event.rounds, ALL.index(event.method)) for event in recorder.events[:-3]]
    assert order == sorted(order)
    assert recorder.methods()[-3:] == ["on_evaluation", "on_checkpoint", "on_end"]
    assert recorder.events[-1].reason == ""  # type: ignore[attr-defined]


def test_an_event_says_counts_figures_and_paths_and_cannot_be_changed(tmp_path: Path) -> None:
    recorder = Recorder()
    result = run(tmp_path, recorder, eval_interval=18)
    last = recorder.of("on_round")[-1]
    assert (last.run, last.plies, last.updates) == (result.run, result.plies, result.updates)
    assert last.progress == 1.0
    assert 0.0 < last.minutes < 10.0
    assert {"rollout/ep_rew_mean", "rollout/exploration_rate", "train/loss"} <= set(last.figures)
    assert last.figures["train/n_updates"] == result.updates
    evaluation: EvaluationEvent = recorder.of("on_evaluation")[0]
    assert evaluation.is_best
    assert 0.0 <= evaluation.score <= 1.0
    assert "eval/win_rate/random" in evaluation.figures
    assert evaluation.best.is_file()
    checkpoint = recorder.of("on_checkpoint")[-1]
    assert (checkpoint.checkpoint / "state.json").is_file()
    assert checkpoint.last.read_bytes() == result.agent.read_bytes()
    with pytest.raises(dataclasses.FrozenInstanceError):
        last.updates = 0
    with pytest.raises(TypeError):
        last.figures["train/loss"] = 0.0


def test_the_figures_of_a_round_are_those_of_the_round(tmp_path: Path) -> None:
    """One report over the whole run has the mean of what the rounds say."""

    class Both(Recorder):
        def on_report(self, event: Event) -> None:
            self.events.append(event)

    recorder = Both()
    run(tmp_path, recorder)
    whole = recorder.of("on_report")[0].figures
    rounds = [event.figures for event in recorder.of("on_round")]
    losses = [figures["train/loss"] for figures in rounds if "train/loss" in figures]
    assert np.mean(losses) == pytest.approx(whole["train/loss"])
    assert max(losses) > min(losses)
    assert any(tag.startswith("perf/") for tag in whole)
    assert not any(tag.startswith(("perf/", "time/")) for figures in rounds for tag in figures)


@pytest.mark.parametrize("mode", ["sync", "overlap"])
def test_callbacks_change_nothing_and_hear_the_same_each_time(mode: str, tmp_path: Path) -> None:
    first, second = Recorder(), Recorder()
    results = [
        run(tmp_path, callbacks, name, mode=mode, eval_interval=18)
        for name, callbacks in (("none", ()), ("first", first), ("second", [second, Recorder()]))
    ]
    assert len({result.sha256 for result in results}) == 1
    assert list(map(same, first.events)) == list(map(same, second.events))


@pytest.mark.slow
def test_with_worker_processes_they_hear_the_same(tmp_path: Path) -> None:
    inline, processes = Recorder(), Recorder()
    run(tmp_path, inline, "inline")
    run(tmp_path, processes, "processes", backend="processes")
    assert list(map(same, inline.events)) == list(map(same, processes.events))


def test_a_resumed_run_goes_on_counting(tmp_path: Path) -> None:
    whole, parts = Recorder(), Recorder()
    run(tmp_path, whole, "whole")
    run(tmp_path, [parts, Stops("on_round", 4)], "stopped")
    used = parts.of("on_round")[-1].minutes
    resume("stopped", runs_dir=str(tmp_path), callbacks=parts, console=False)
    assert list(map(same, parts.of("on_round"))) == list(map(same, whole.of("on_round")))
    assert [event.minutes for event in parts.of("on_round")] == sorted(
        event.minutes for event in parts.of("on_round")
    )
    assert parts.of("on_round")[4].minutes > used


@pytest.mark.parametrize("method", [method for method in METHODS if method != "on_end"])
def test_false_stops_the_run_with_a_checkpoint(method: str, whole: str, tmp_path: Path) -> None:
    recorder = Recorder()
    stopped = run(tmp_path, [Stops(method, 2), recorder], **OFTEN)
    assert stopped.stopped == f"Stops.{method} returned False"
    assert not stopped.interrupted
    assert 0 < stopped.episodes < 160
    end: EndEvent = recorder.events[-1]  # type: ignore[assignment]
    assert (end.method, end.reason) == ("on_end", stopped.stopped)
    assert (stopped.run / "best.safetensors").is_file()
    resumed = resume("run", runs_dir=str(tmp_path), console=False)
    assert resumed.stopped == ""
    assert resumed.sha256 == whole


@pytest.mark.parametrize(("answer", "stops"), [(np.False_, True), (None, False), (0, False)])
def test_only_false_stops(answer: object, stops: bool, tmp_path: Path) -> None:
    assert bool(run(tmp_path, Stops("on_round", 2, answer)).stopped) is stops


@pytest.mark.parametrize("method", [method for method in METHODS if method != "on_end"])
def test_an_exception_ends_the_run_with_a_checkpoint_and_its_place(
    method: str, whole: str, tmp_path: Path
) -> None:
    recorder = Recorder()
    with pytest.raises(CallbackError) as caught:
        run(tmp_path, [recorder, Fails(method, 2)], **OFTEN)
    line = str(caught.value)
    assert line.startswith(f"Fails.{method} raised ValueError (test_callbacks.py, line ")
    assert ": no such column at " in line
    assert line.endswith(f"; saved; continue with: sparring resume {tmp_path / 'run'}")
    assert "\n" not in line
    assert isinstance(caught.value.__cause__, ValueError)  # with the traceback of the user's code
    assert recorder.events[-1].reason == line  # type: ignore[attr-defined]
    resumed = resume("run", runs_dir=str(tmp_path), console=False)
    assert resumed.sha256 == whole


def test_an_exception_at_the_end_is_one_of_a_finished_run(tmp_path: Path) -> None:
    class Last:
        def on_checkpoint(self, event: Event) -> None:
            if event.progress == 1.0:
                raise KeyError("late")

    with pytest.raises(CallbackError, match=r"Last.on_checkpoint raised KeyError"):
        run(tmp_path, Last())
    with RunDirectory.open(tmp_path, "run") as directory:
        assert directory.load_checkpoint()["schedule"]["episodes"] >= 160


def test_on_end_is_called_after_a_fault_of_the_game_and_hides_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Ends(Recorder):
        def on_end(self, event: Event) -> None:
            super().on_round(event)
            raise ValueError("at the end")

    recorder = Ends()
    settings = {"game": "broken_matches:RewardIsNaN", "opponents": {"self": 1.0}}
    config = trial(tmp_path, name="run", backend="inline", **settings)
    with pytest.raises(GameFault):
        train(config, callbacks=recorder)
    assert [event.method for event in recorder.events][-1] == "on_end"
    assert "warning: Ends.on_end raised ValueError" in capsys.readouterr().out


def test_train_dqn_takes_callbacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    seen: list[int] = []

    class Counts:
        def on_round(self, event: RoundEvent) -> bool:
            seen.append(event.matches)
            return event.matches < 20

    train_dqn("tic_tac_toe", callbacks=Counts(), n_episodes=1_000, backend="inline", num_workers=1)
    assert seen[-2] < 20 <= seen[-1] < 1_000


class Misspelt:
    def on_round(self, event: Event) -> None: ...

    def on_evaluate(self, event: Event) -> None: ...


class NotAMethod:
    on_round = 3


@pytest.mark.parametrize(
    ("callbacks", "words"),
    [
        (Recorder, "the class Recorder|expected an object|Recorder()"),
        ([Recorder(), print], "got a value of builtin_function_or_method|on_round"),
        (None, "got a value of NoneType|on_end"),
        ({"on_round": print}, "got a value of dict"),
        (Misspelt(), "never called|on_evaluate|did you mean 'on_evaluation'?"),
        (NotAMethod(), "on_round of callback NotAMethod|got a value of int"),
    ],
)
def test_what_is_no_callback_is_one_line_and_nothing_is_written(
    callbacks: object, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        run(tmp_path, callbacks)
    assert all(word in str(caught.value) for word in words.split("|")), caught.value
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_the_tree_of_errors_has_it() -> None:
    assert issubclass(CallbackError, SparringError)
    assert CallbackError.exit_status == 1
