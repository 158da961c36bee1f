"""Runs that are resumed with other opponents, another learning rate, other exploration."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stopped_runs import NEVER, StopAfter, figures, resume_until, saved, train_until

from sparring.dqn.agent import DQNAgent
from sparring.errors import ConfigurationError
from sparring.evaluation import GameCache, evaluate
from sparring.games import spec_of
from sparring.games.rng import stream_key
from sparring.opponents.players import NetworkPlayer
from sparring.training import TrainResult, evaluator, loop

OPPONENTS = {"opponents": {"self": 0.4, "minimax:2": 0.6}}
CHANGES: dict[str, dict[str, Any]] = {
    "opponents": OPPONENTS,
    "learning rate": {"learning_rate": 1e-4, "learning_rate_schedule": "cosine"},
    "exploration": {"exploration": "geometric", "exploration_initial_eps": 0.6},
}


@pytest.fixture(autouse=True)
def _stop(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("sparring.training.Interrupts", StopAfter)
    yield
    StopAfter.looks = NEVER


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped in the middle, with a round pending and matches under way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sparring.training.Interrupts", StopAfter)
        folder = tmp_path_factory.mktemp("stopped")
        train_until(45, folder, "run", eval_interval=20)
    return folder / "run"


def history(result: TrainResult) -> Any:
    return tomllib.loads((result.run / "config.toml").read_text()).get("history", [])


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_run_is_stopped_and_resumed_bit_for_bit(
    what: str, stopped: Path, tmp_path: Path
) -> None:
    for name in ("whole", "parts", "unchanged"):
        shutil.copytree(stopped, tmp_path / name)
    played = resume_until(0, tmp_path, "unchanged").episodes
    whole = resume_until(NEVER, tmp_path, "whole", **CHANGES[what])
    assert resume_until(25, tmp_path, "parts", **CHANGES[what]).interrupted
    parts = resume_until(NEVER, tmp_path, "parts")
    assert figures(parts) == figures(whole)
    assert figures(resume_until(NEVER, tmp_path, "unchanged"))[0] != whole.sha256
    [entry] = history(parts)
    first = tomllib.loads((stopped / "config.toml").read_text())
    assert entry["matches"] == played
    assert entry["before"] == {name: first[name] for name in CHANGES[what]}


def test_matches_in_progress_keep_their_opponents(stopped: Path, tmp_path: Path) -> None:
    """Names and results go with the players of before; new ones get ids of their own."""
    shutil.copytree(stopped, tmp_path / "run")
    before = saved(resume_until(0, tmp_path, "run"))
    playing = {
        opponent["name"]
        for worker in before["workers"].values()
        for opponent in worker["body"]["opponents"]
    }
    assert playing >= {"random", "one_ply"}, "both have a match in progress"
    after = saved(resume_until(4, tmp_path, "run", **OPPONENTS))
    assert after["opponents"]["numbered"] == ["one_ply", "random", "minimax:2"]
    for worker in after["workers"].values():
        for opponent in worker["body"]["opponents"]:
            if opponent["slot"] is None:
                assert opponent["name"] == after["opponents"]["numbered"][opponent["id"] - 1]
    done = saved(resume_until(NEVER, tmp_path, "run"))
    met = {name for name in done["opponents"]["recent"] if not name.startswith("snapshot:")}
    assert met == {"one_ply", "random", "minimax:2"}


def test_the_best_agent_is_measured_anew_with_new_opponents(stopped: Path, tmp_path: Path) -> None:
    """Its mean return against the old ones cannot be compared with that of a later agent."""
    shutil.copytree(stopped, tmp_path / "run")
    assert saved(resume_until(0, tmp_path, "run"))["evaluator"]["best"], "there is one already"
    result = resume_until(NEVER, tmp_path, "run", **OPPONENTS)
    state = saved(result)["evaluator"]
    names = ["random", "one_ply", "minimax:2"]
    assert state["measured"] == [*names, 10]
    best = NetworkPlayer("best", DQNAgent.load(result.run / "best.safetensors").policy())
    seed = stream_key(3, evaluator._BASELINES)
    found = evaluate(best, GameCache(spec_of("tic_tac_toe")), names, matches=10, seed=seed)[
        "opponents"
    ].values()
    mean = sum(each["mean_return"] for each in found) / 3
    assert state["best"]["return"] == pytest.approx(mean)


def test_the_history_is_that_of_the_checkpoint(
    stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change that was lost with a killed session is not listed twice, nor one before it."""
    shutil.copytree(stopped, tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(loop.Session, "loop", lambda self: 1 / 0)
        for rate in (1e-4, 2e-4):
            with pytest.raises(ZeroDivisionError):
                resume_until(NEVER, tmp_path, "run", learning_rate=rate)
    resumed = resume_until(15, tmp_path, "run")
    [entry] = history(resumed)
    assert entry["before"] == {"learning_rate": 0.001}
    assert "learning_rate = 0.0002" in (resumed.run / "config.toml").read_text()
    again = resume_until(5, tmp_path, "run", learning_rate=3e-4)
    assert [one["before"] for one in history(again)] == [
        {"learning_rate": 0.001},
        {"learning_rate": 0.0002},
    ]
    assert entry["matches"] < history(again)[1]["matches"]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"opponents": {"rndom": 1.0}}, "unknown opponent: got rndom, .* did you mean 'random'"),
    ({"opponents": {"self": 0.0}}, "a positive total"),
    ({"max_opponents_per_worker": 1}, "max_opponents_per_worker: got 1, expected at least 3"),
    ({"learning_rate": 0.0}, "learning_rate: got 0.0, expected more than 0"),
    ({"exploration_decay": 0.9}, "exploration_decay has no effect with exploration = linear"),
    ({"exploration": "steps"}, "exploration: got 'steps', expected 'linear', 'geometric' or"),
    ({"n_steps": 3}, "resume cannot change this setting: got 'n_steps'"),
    ({"init_from": "a.pt"}, "resume cannot change this setting: got 'init_from'"),
]


@pytest.mark.parametrize(("changes", "words"), BAD)
def test_a_change_that_cannot_work_leaves_the_run_as_it_is(
    changes: dict[str, Any], words: str, stopped: Path
) -> None:
    files = {path: path.read_bytes() for path in stopped.rglob("*") if path.is_file()}
    with pytest.raises(ConfigurationError, match=words) as caught:
        resume_until(NEVER, stopped.parent, "run", **changes)
    assert "\n" not in str(caught.value)
    assert files == {path: path.read_bytes() for path in stopped.rglob("*") if path.is_file()}


def test_players_from_outside_come_and_go(tmp_path: Path) -> None:
    """A player of one's own is dropped while it plays; an agent joins, whose file then goes."""
    own = {"opponents": {"self": 0.3, "own_players:LastOfAll": 0.7}}
    stopped = train_until(45, tmp_path, "run", **own)
    file = tmp_path / "other.safetensors"
    file.write_bytes(stopped.agent.read_bytes())
    shutil.copytree(stopped.run, tmp_path / "parts")
    changes = {"opponents": {"self": 0.5, f"agent:{file}": 0.5}}
    whole = resume_until(NEVER, tmp_path, "run", **changes)
    assert resume_until(3, tmp_path, "parts", **changes).interrupted
    file.unlink()
    assert figures(resume_until(NEVER, tmp_path, "parts")) == figures(whole)
