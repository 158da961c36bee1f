"""Evaluation functions of users: their score chooses the best agent, and may stop a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import user_evaluations
from trial_runs import trial
from user_evaluations import bytes_of, spoils

from sparring import train_dqn
from sparring.cli import main
from sparring.config.sources import build_config
from sparring.dqn.agent import DQNAgent
from sparring.errors import CallbackError, ConfigurationError
from sparring.training import TrainResult, resume, train
from sparring.training.callbacks import EvaluationEvent


class Evaluations:
    """Notes scores, and the bytes of the agents that became the best one."""

    def __init__(self) -> None:
        self.scores: list[float] = []
        self.best: list[bytes] = []

    def on_evaluation(self, event: EvaluationEvent) -> None:
        self.scores.append(event.score)
        if event.is_best:
            self.best.append(event.best.read_bytes())


def run(
    tmp_path: Path,
    function: Callable[..., Any] | None = None,
    name: str = "run",
    callbacks: object = (),
    **changes: Any,
) -> TrainResult:
    settings = {"backend": "inline", "n_episodes": 160, "eval_interval": 18, **changes}
    config = trial(tmp_path, name=name, **settings)
    return train(config, evaluate_with=function, callbacks=callbacks, console=False)


def test_the_score_of_a_function_chooses_the_best_agent(tmp_path: Path) -> None:
    """Falling scores: the first agent stays the best one, whatever the baseline opponents say."""
    scores = iter([0.9, 0.8, 0.9, 0.1])
    seen = Evaluations()
    result = run(tmp_path, lambda agent: next(scores), callbacks=seen)
    assert seen.scores == [0.9, 0.8, 0.9, 0.1]
    assert len(seen.best) == 2  # the first one, and the later of equals
    assert (result.run / "best.safetensors").read_bytes() == seen.best[1]


def test_a_function_by_its_name_and_as_an_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, given, lambdas = Evaluations(), Evaluations(), Evaluations()
    name = "user_evaluations:bytes_of"
    run(tmp_path, None, "named", named, evaluate_with=name)
    run(tmp_path, bytes_of, "given", given)
    run(tmp_path, lambda agent: bytes_of(agent), "lambda", lambdas)
    assert named.scores == given.scores == lambdas.scores
    assert len(set(named.scores)) == len(named.scores) == 4
    for which in ("named", "given"):
        assert build_config(config_file=tmp_path / which / "config.toml").evaluate_with == name
    monkeypatch.chdir(tmp_path)
    again = Evaluations()
    options = {"n_episodes": 60, "backend": "inline", "num_workers": 1, "eval_interval": 10}
    agent = train_dqn("tic_tac_toe", evaluate_with=bytes_of, callbacks=again, **options)
    assert bytes_of(agent) in again.scores


def test_a_function_cannot_change_what_is_learned(tmp_path: Path) -> None:
    assert run(tmp_path, spoils, "spoilt").sha256 == run(tmp_path, name="plain").sha256
    best = DQNAgent.load(tmp_path / "spoilt" / "best.safetensors")
    assert best.policy().vector().any()


def test_a_resumed_run_compares_with_what_it_has_found(tmp_path: Path) -> None:
    scores = iter([0.9, 0.5, 0.4, 0.3])
    function: Callable[[DQNAgent], float] = lambda agent: next(scores)  # noqa: E731
    seen = Evaluations()
    run(tmp_path, function, callbacks=seen, n_episodes=80)
    resume(
        "run",
        runs_dir=str(tmp_path),
        overrides={"n_episodes": 120},
        evaluate_with=function,
        callbacks=seen,
        console=False,
    )
    assert seen.scores[0] == 0.9
    assert len(seen.scores) >= 3
    assert len(seen.best) == 1


@pytest.mark.parametrize("function", [bytes_of, None])
def test_a_run_stops_at_a_score(function: Callable[..., Any] | None, tmp_path: Path) -> None:
    scores = Evaluations()
    run(tmp_path, function, "whole", scores)
    wanted = scores.scores[0] if function is None else sorted(scores.scores[:3])[-1]
    expected = next(i for i, score in enumerate(scores.scores) if score >= wanted)
    seen = Evaluations()
    result = run(tmp_path, function, "stopped", seen, stop_at_score=wanted)
    assert seen.scores == scores.scores[: expected + 1]
    assert result.stopped.startswith(f"stop_at_score {wanted:g} is reached by a score of ")
    assert result.episodes < 160
    # it has what it wanted: a resume has nothing to do, unless it asks for more
    assert resume("stopped", runs_dir=str(tmp_path), console=False).updates == result.updates
    more = {"stop_at_score": None}
    whole = resume("stopped", runs_dir=str(tmp_path), overrides=more, console=False)
    assert (whole.stopped, whole.sha256) == ("", run(tmp_path, name="other").sha256)


def test_the_console_and_the_files_say_the_score(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = "train tic_tac_toe --preset none --n-episodes 60 --backend inline --num-workers 1"
    flags = "--evaluate-with user_evaluations:centre --stop-at-score -5 --eval-matches 2"
    status = main([*command.split(), *flags.split(), "--runs-dir", str(tmp_path), "--name", "run"])
    said = capsys.readouterr().out
    assert status == 0, said
    assert "stopped early: stop_at_score -5 is reached by a score of" in said
    assert "  score " in said
    assert "--stop-at-score auto" in said
    assert '"eval/score": ' in (tmp_path / "run" / "metrics.jsonl").read_text()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no_number", "user_evaluations:no_number: got None, expected a finite number"),
        ("not_finite", "user_evaluations:not_finite: got nan, expected a finite number"),
        ("text", "user_evaluations:text: got '0.5', expected a finite number"),
        ("fails", "user_evaluations:fails raised KeyError (user_evaluations.py, line"),
    ],
)
def test_a_function_that_fails_ends_the_run_which_can_go_on(
    name: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CallbackError) as caught:
        run(tmp_path, None, evaluate_with=f"user_evaluations:{name}")
    assert words in str(caught.value)
    assert f"; saved; continue with: sparring resume {tmp_path / 'run'}" in str(caught.value)
    seen = Evaluations()
    monkeypatch.setattr(user_evaluations, name, bytes_of)  # as if it had been mended
    resumed = resume("run", runs_dir=str(tmp_path), callbacks=seen, console=False)
    assert resumed.sha256 == run(tmp_path, name="plain").sha256
    assert len(seen.scores) == 4, "the evaluation that failed is made again"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("user_evaluation:centre", "no such module|user_evaluation:centre|'user_evaluation'"),
        ("user_evaluations:center", "no such evaluation function|'center'|did you mean 'centre'?"),
        ("user_evaluations:EMPTY", "is not a evaluation function|got a value of ndarray"),
        ("user_evaluations:without_agent", "does not fit|the call is function(agent)"),
        ("centre", "cannot be imported|got 'centre'|module:function"),
        ("m:f.<locals>.g", "cannot be imported|in Python pass the function itself"),
    ],
)
def test_a_name_that_is_no_function_is_one_line_and_nothing_is_written(
    name: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["train", "tic_tac_toe", "--evaluate-with", name, "--runs-dir", str(tmp_path)])
    line = capsys.readouterr().err
    assert status == 2, line
    assert line.count("\n") == 1
    assert all(word in line for word in words.split("|")), line
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_called_is_no_function(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="evaluate_with: got a value of int, expected"):
        train_dqn("tic_tac_toe", evaluate_with=3, runs_dir=str(tmp_path))
    with pytest.raises(ConfigurationError, match="evaluate_with: got a value of int, expected"):
        run(tmp_path, user_evaluations.NOT_A_FUNCTION)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_resume_takes_no_other_function(tmp_path: Path) -> None:
    run(tmp_path, bytes_of, n_episodes=40)
    with pytest.raises(ConfigurationError, match="cannot change evaluate_with: got user_eval"):
        resume("run", runs_dir=str(tmp_path), evaluate_with=spoils, console=False)
