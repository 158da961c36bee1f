"""Players of users and agents as opponents of a run: the same agent in every way, a resume that
meets the same opponents, a worker that dies, a player that fails.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from own_players import Favourite, Last
from short_runs import SHORT
from stopped_runs import NEVER, StopAfter, figures, resume_until, train_until
from trial_runs import trial

from sparring.errors import GameFault
from sparring.training import train, train_dqn

pytestmark = pytest.mark.slow

TOE = "plain_games:Toe"
OPPONENTS = {
    "self": 0.2,
    "snapshots": 0.2,
    "own_players:Middle": 0.2,
    "own_players:LastOfAll": 0.1,
    "own_players:Dicing": 0.1,
    "agent:first": 0.1,
    "agent:first/snapshot:4": 0.1,
}
WAYS = {
    "inline": {"backend": "inline"},
    "forkserver": {"backend": "processes", "start_method": "forkserver"},
    "spawn": {"backend": "processes", "start_method": "spawn"},
}


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs, with a `first` one that can be an opponent; its network is smaller than that of
    others.
    """
    folder = tmp_path_factory.mktemp("runs")
    network = {"net_arch": [8]}
    train(
        trial(folder, name="first", game=TOE, backend="inline", policy_kwargs=network, seed=9),
        console=False,
    )
    return folder


def settings(**changes: Any) -> dict[str, Any]:
    few = {"n_episodes": 160, "eval_matches": 4, "max_opponents_per_worker": 8}
    return {"game": TOE, "opponents": OPPONENTS, **few, **changes}


@pytest.mark.parametrize(
    ("mode", "ways"), [("sync", ("inline", "forkserver")), ("overlap", ("inline", "spawn"))]
)
def test_every_way_gives_the_same_agent(mode: str, ways: tuple[str, str], runs_dir: Path) -> None:
    one, other = (
        train(trial(runs_dir, **settings(mode=mode, **WAYS[way])), console=False) for way in ways
    )
    assert figures(one) == figures(other)
    assert one.agent.read_bytes() == other.agent.read_bytes()
    for name in ("best.safetensors", "last.safetensors"):
        assert (one.run / name).read_bytes() == (other.run / name).read_bytes()
    lines = (one.run / "metrics.jsonl").read_text().splitlines()
    tags = {tag for line in lines for tag in json.loads(line)}
    for name in OPPONENTS.keys() - {"self", "snapshots"}:
        assert f"rollout/win_rate/{name}" in tags, "records of training"
        assert f"eval/win_rate/{name}" in tags, "a baseline opponent that helps to choose the best"


@pytest.fixture
def _stop(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("sparring.training.Interrupts", StopAfter)
    yield
    StopAfter.looks = NEVER


@pytest.mark.usefixtures("_stop")
@pytest.mark.parametrize("mode", ["sync", "overlap"])
def test_a_resumed_run_meets_the_same_opponents(mode: str, runs_dir: Path) -> None:
    """Even after the file of one of them has become another agent, and its run is gone."""
    other = runs_dir / f"{mode}.safetensors"
    other.write_bytes((runs_dir / "first" / "last.safetensors").read_bytes())
    opponents = {**OPPONENTS, f"agent:{other}": 0.2}
    whole = train_until(
        NEVER, runs_dir, f"{mode}-whole", **settings(mode=mode, opponents=opponents)
    )
    looks = StopAfter.looked
    stopped = train_until(
        looks // 2, runs_dir, f"{mode}-stopped", **settings(mode=mode, opponents=opponents)
    )
    assert stopped.interrupted
    assert len(list((stopped.run / "opponents").iterdir())) == 3
    other.write_bytes((stopped.run / "last.safetensors").read_bytes())
    hidden = (runs_dir / "first").rename(runs_dir / "hidden")
    try:
        assert figures(resume_until(NEVER, runs_dir, f"{mode}-stopped")) == figures(whole)
    finally:
        hidden.rename(runs_dir / "first")


def test_workers_never_open_the_file_of_an_agent(runs_dir: Path) -> None:
    """A worker that is replaced long after the file has gone plays against the same agent."""
    file = runs_dir / "gone.safetensors"
    file.write_bytes((runs_dir / "first" / "last.safetensors").read_bytes())
    dying = f"own_players:Dying(file={file})"
    config = trial(
        runs_dir,
        **settings(mode="sync", opponents={"self": 0.4, f"agent:{file}": 0.3, dying: 0.3}),
        **WAYS["forkserver"],
    )
    result = train(config, console=False)
    assert not file.exists()
    assert result.workers_replaced == 1
    assert result.episodes >= 160


def test_a_player_that_fails_ends_the_run_and_keeps_the_match(runs_dir: Path) -> None:
    opponents = {"self": 0.5, "own_players:Failing": 0.5}
    config = trial(runs_dir, name="failed", **settings(opponents=opponents), **WAYS["forkserver"])
    with pytest.raises(GameFault) as caught:
        train(config, console=False)
    message = str(caught.value)
    assert message.startswith(
        "player own_players:Failing raised LookupError in act (own_players.py, line "
    )
    assert "this was not in the book; fix it; the match is saved: sparring replay" in message
    record = json.loads((runs_dir / "failed" / "faults" / "1.json").read_text())
    assert record["player"] == "own_players:Failing"
    assert 5 <= len(record["actions"]) <= 6


def test_classes_and_objects_of_users_are_opponents_in_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = {**SHORT, "n_episodes": 200, "policy_kwargs": {"net_arch": [8]}}
    players = {"self": 0.5, Last: 0.3, Favourite(action=2): 0.2}
    train_dqn("tic_tac_toe", **{**settings, "opponents": players})
    text = (tmp_path / "runs" / "tic_tac_toe-1" / "config.toml").read_text()
    assert '"own_players:Last" = 0.3' in text
    assert '"own_players:Favourite(action=2)" = 0.2' in text
