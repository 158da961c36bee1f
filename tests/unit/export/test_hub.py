"""Folders for the Hugging Face Hub; the library that sends them is a fake."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sparring.cli import main
from sparring.dqn.agent import DQNAgent
from sparring.dqn.networks import NetworkSpec, PolicySpec

RESULTS = {
    "players": {
        "agent": {
            "matches": 9,
            "cut": 0,
            "mean_return": 0.125,
            "return_interval95": [0.0, 1.0],
            "distinct": 9,
        }
    }
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run with an agent, in the working directory, and results in `results.json`."""
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "runs" / "toe"
    (run / "checkpoints").mkdir(parents=True)
    agent = DQNAgent(PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [8]})))
    agent.save(run / "best.safetensors")
    (run / "config.toml").write_text(
        f'game = "tic_tac_toe"\nruns_dir = "{tmp_path}"\nbatch_size = 32\nn_episodes = 100000\n'
    )
    report = {"plies": 7000, "wall_time": 1.0, "rollout/episodes": 1234.0, "train/n_updates": 56.0}
    (run / "metrics.jsonl").write_text(json.dumps(report) + "\n")
    Path("results.json").write_text(json.dumps(RESULTS))
    return run


class FakeHub:
    """The two calls of huggingface_hub, kept."""

    def __init__(self, *, fails: bool = False) -> None:
        self.calls: list[dict[str, Any]] = []
        self._fails = fails

    def create_repo(self, repo_id: str, **options: Any) -> str:
        if self._fails:
            raise RuntimeError("401 Client Error\nyou are not logged in")
        self.calls.append({"repo_id": repo_id, **options})
        return f"https://huggingface.co/{repo_id}"

    def upload_folder(self, **options: Any) -> None:
        self.calls.append(options)


def install(fake: FakeHub, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(HfApi=lambda: fake))
    return fake


def test_the_folder_has_the_agent_and_a_card(run: Path) -> None:
    assert main(["export", "toe", "--hub", "card", "--results", "results.json"]) == 0
    assert DQNAgent.load("card/agent.safetensors").to_bytes() == (
        (run / "best.safetensors").read_bytes()
    )
    card = Path("card/README.md").read_text()
    for part in (
        "# An agent for tic_tac_toe",
        "Its run: 1,234 matches, 7,000 plies, 56 updates.",
        "int8 [2, 3, 3]",
        "0.125",
        'DQNAgent.load("agent.safetensors")',
        "batch_size = 32\n",
    ):
        assert part in card
    assert str(run.parents[1]) not in card, "a path of this machine"
    assert "n_episodes" not in card, "a default"


def test_the_code_of_the_card_loads_the_agent(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "toe", "--hub", "card", "--results", "results.json"]) == 0
    monkeypatch.chdir("card")
    code = Path("README.md").read_text().partition("```python\n")[2].partition("```")[0]
    capsys.readouterr()
    exec(code, {})
    assert capsys.readouterr().out.startswith("[")


def test_without_results_the_agent_is_evaluated(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "toe", "--hub", "card", "--matches", "6", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["folder"], figures["pushed"]) == ("card", None)
    assert "random" in Path("card/README.md").read_text()


def test_a_push_sends_the_two_files_only(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = install(FakeHub(), monkeypatch)
    assert main(["export", "toe", "--hub", "c", "--results", "results.json", "--push", "a/b"]) == 0
    made, sent = fake.calls
    assert (made["repo_id"], sent["repo_id"], str(sent["folder_path"])) == ("a/b", "a/b", "c")
    assert sent["allow_patterns"] == ["agent.safetensors", "README.md"]
    assert 'hf_hub_download("a/b", "agent.safetensors")' in Path("c/README.md").read_text()


def test_a_push_that_fails_is_one_line_and_leaves_the_folder(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(FakeHub(fails=True), monkeypatch)
    assert main(["export", "toe", "--hub", "c", "--results", "results.json", "--push", "a/b"]) == 1
    said = capsys.readouterr().err
    assert "a/b was not pushed: RuntimeError: 401 Client Error you are not" in said
    assert said.count("\n") == 1
    assert Path("c/README.md").exists()


def test_without_the_library_a_push_writes_nothing(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert main(["export", "toe", "--hub", "c", "--push", "a/b"]) == 2
    assert "pip install 'sparring[hub]'" in capsys.readouterr().err
    assert not Path("c").exists()


def test_a_network_and_a_game_of_ones_own_are_named_in_the_code_that_loads_them() -> None:
    from sparring.export.hub import model_card

    network = NetworkSpec("user_network:Convolved", {"channels": 2})
    agent = DQNAgent(PolicySpec("plain_games:Toe", network))
    card = model_card(agent, trained="", settings="", results="", repo=None)
    named = 'game="plain_games:Toe", network="user_network:Convolved"'
    assert f'DQNAgent.load("agent.safetensors", {named})' in card
    assert "## Results" not in card
