"""Runs in `async` mode: no two are alike, but each reaches its end, makes the updates that were
asked for, and can be stopped.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stopped_runs import NEVER, StopAfter, figures, resume_until, saved, train_until
from trial_runs import trial

from sparring.rollout.round import RoundCommand
from sparring.runtime import Batch, InlineWorkers
from sparring.training import TrainResult, train
from sparring.training.assembly import assemble
from sparring.training.metrics import RunMetrics
from sparring.training.resolve import resolved
from sparring.training.schedule import Schedule

BACKENDS = pytest.mark.parametrize("backend", ["inline", "processes"])
ASYNC: dict[str, Any] = {"mode": "async", "num_workers": 3, "max_weight_lag": 2}
STEPS = [
    {"learning_steps_per_batch": 6},
    {"learning_steps_per_batch": "adaptive", "samples_per_insert": 1.5},
]


@pytest.fixture(autouse=True)
def _stop(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("sparring.training.Interrupts", StopAfter)
    StopAfter.looks = NEVER
    yield
    StopAfter.looks = NEVER


@pytest.fixture
def earned(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The updates that each part taken in is worth, worked out from what the trial run is given."""
    parts: list[float] = []
    receive = Schedule.receive

    def watched(schedule: Schedule, **got: Any) -> None:
        before = schedule.transitions
        total = before + got["transitions"]
        fill = sum(min(1.0, (t + 0.5) / 700) for t in range(max(before, 100), total))
        adaptive = schedule._config.learning_steps_per_batch == "adaptive"
        parts.append(fill * 1.5 / 16 if adaptive else (total >= 100) * 6 / 3)
        receive(schedule, **got)

    monkeypatch.setattr(Schedule, "receive", watched)
    return parts


def assert_complete(result: TrainResult, earned: list[float]) -> None:
    """All matches, and all updates that they are worth."""
    assert not result.interrupted
    assert result.episodes >= 240
    assert result.updates == math.floor(sum(earned) + 1e-6)
    assert result.updates >= 20
    assert result.workers_replaced == 0
    assert result.agent.is_file()
    assert (result.run / "best.safetensors").is_file()


@BACKENDS
@pytest.mark.parametrize("steps", STEPS, ids=["steps", "adaptive"])
def test_a_run_reaches_its_end_with_the_updates_that_were_asked_for(
    backend: str, steps: dict[str, Any], tmp_path: Path, earned: list[float]
) -> None:
    result = train_until(NEVER, tmp_path, "run", backend=backend, **ASYNC, **steps)
    assert_complete(result, earned)
    state = saved(result)
    assert len(earned) >= 3 * state["schedule"]["round"], "and parts of slow workers"
    opponents = [
        name for name, record in state["opponents"]["recent"].items() if sum(record.values()) > 0
    ]
    assert {"random", "one_ply"} < set(opponents)
    assert any(name.startswith("snapshot:") for name in opponents)


@BACKENDS
@pytest.mark.parametrize("steps", STEPS, ids=["steps", "adaptive"])
def test_a_stopped_run_goes_on(
    backend: str, steps: dict[str, Any], tmp_path: Path, earned: list[float]
) -> None:
    """Again and again: within the updates of a round, and between rounds. Nothing that was played
    is lost or counted twice.
    """
    result = train_until(25, tmp_path, "run", backend=backend, **ASYNC, **steps)
    stops = 0
    while result.interrupted:
        stops += 1
        state = saved(result)
        assert state["schedule"]["episodes"] == result.episodes
        assert state["pacing"]["issued"] == len(earned), (
            "all that was started was finished and received"
        )
        before = result
        result = resume_until(19 + stops, tmp_path, "run")
        assert result.updates > before.updates
        assert result.episodes >= before.episodes
    assert stops >= 2
    assert_complete(result, earned)


@BACKENDS
def test_stopped_before_anything_has_happened(
    backend: str, tmp_path: Path, earned: list[float]
) -> None:
    stopped = train_until(0, tmp_path, "run", backend=backend, **ASYNC)
    assert (stopped.episodes, stopped.updates) == (0, 0)
    assert_complete(resume_until(NEVER, tmp_path, "run"), earned)


@BACKENDS
def test_checkpoints_on_the_way(backend: str, tmp_path: Path, earned: list[float]) -> None:
    """Each takes in all that is in flight, so that more can be due than a round is worth; it is
    made up for.
    """
    result = train_until(NEVER, tmp_path, "run", backend=backend, checkpoint_interval=7, **ASYNC)
    assert_complete(result, earned)
    assert len(earned) > 3 * saved(result)["schedule"]["round"]
    assert len(list((result.run / "checkpoints").iterdir())) == 2


def test_a_finished_run_is_made_longer(tmp_path: Path) -> None:
    short = train_until(NEVER, tmp_path, "run", **ASYNC)
    assert figures(resume_until(NEVER, tmp_path, "run")) == figures(short), "nothing is left to do"
    longer = resume_until(NEVER, tmp_path, "run", n_episodes=400)
    assert longer.episodes >= 400
    assert longer.updates > short.updates


def test_inline_it_is_as_alike_as_any(tmp_path: Path) -> None:
    """With nobody to be faster or slower, the debugger's backend gives the same agent again."""
    first, second, other = (
        train_until(NEVER, tmp_path, name, seed=seed, **ASYNC)
        for name, seed in (("a", 3), ("b", 3), ("c", 4))
    )
    assert figures(first) == figures(second)
    assert figures(first) != figures(other)


@BACKENDS
def test_weights_that_played_are_no_further_behind_than_they_may_be(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind: list[int] = []
    received = RunMetrics.received

    def watched(metrics: RunMetrics, batch: Batch, records: Any, version: int) -> None:
        """The newest row of a batch was played with the weights that its part was started with."""
        behind.append(
            version - max((int(block["version"].max()) for block in batch.blocks), default=version)
        )
        received(metrics, batch, records, version)

    monkeypatch.setattr(RunMetrics, "received", watched)
    train_until(NEVER, tmp_path, "run", backend=backend, **{**ASYNC, "max_weight_lag": 1})
    assert len(behind) > 20
    assert set(behind) == {0, 1}


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("sync", "; sync\n"),
        ("overlap", "; overlap\n"),
        ("async", "; async, no two runs are alike\n"),
    ],
)
def test_the_opening_lines_say_which_mode_it_is(
    mode: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(trial(tmp_path, mode=mode, n_episodes=10, backend="inline"))
    said = capsys.readouterr().out
    assert words in said
    assert ("alike" in said) == (mode == "async")


def test_a_balance_that_is_measured(tmp_path: Path) -> None:
    """Where it is told how many updates a transition is worth, and not how many workers there
    should be.
    """
    open_ended = trial(
        tmp_path,
        mode="async",
        num_workers=None,
        learner_threads=None,
        learning_steps_per_batch="adaptive",
    )
    config, game = resolved(open_ended)
    assert config.num_workers >= 1
    assert config.learner_threads >= 1
    assert assemble(config, game).num_versions == 5, "so many versions behind, and the newest"
    assert train(open_ended, console=False).episodes >= 240


# ---- a rate of random moves for each worker


@pytest.mark.parametrize("mode", ["sync", "overlap", "async"])
def test_each_worker_keeps_its_own_epsilon(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: set[tuple[int, float]] = set()
    start = InlineWorkers.start

    def watched(workers: InlineWorkers, worker: int, command: RoundCommand) -> None:
        told.add((worker, command.epsilon))
        start(workers, worker, command)

    monkeypatch.setattr(InlineWorkers, "start", watched)
    options = {
        "exploration": "per_worker",
        "exploration_per_worker_eps": 0.5,
        "exploration_per_worker_alpha": 4.0,
        "num_workers": 3,
    }
    result = train_until(NEVER, tmp_path, "run", mode=mode, **options)
    assert told == {(0, 0.5), (1, 0.125), (2, 0.03125)}
    reports = [json.loads(line) for line in (result.run / "metrics.jsonl").read_text().splitlines()]
    rates = [
        report["rollout/exploration_rate"]
        for report in reports
        if "rollout/exploration_rate" in report
    ]
    assert rates
    assert rates == pytest.approx([0.21875] * len(rates)), "the mean over the workers"
