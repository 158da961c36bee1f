"""Several learners (ranks) in one run: on the CPU, two processes that share each minibatch."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed
from child_processes import HANG, wait_until
from stopped_runs import NEVER, StopAfter, figures, resume_until, saved, train_until
from trial_runs import start, trial

from sparring.config.sources import to_toml
from sparring.errors import ConfigurationError, RankError, SparringError
from sparring.storage.run_directory import RunDirectory
from sparring.training import TrainResult, resume, train
from sparring.training.callbacks import RoundEvent

TWO = {"devices": "cpu:2", "backend": "inline", "learner_precision": "float32"}
RAINBOW = {"policy_kwargs": {"net_arch": [16], "atoms": 11, "noisy": True}, "n_steps": 3}


@pytest.fixture
def stoppable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("sparring.training.Interrupts", StopAfter)
    StopAfter.looks = NEVER
    yield
    StopAfter.looks = NEVER


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """A run on two ranks that is never stopped."""
    return train(trial(tmp_path_factory.mktemp("whole"), name="whole", **TWO), console=False)


def test_the_same_seed_and_ranks_give_the_same_agent(whole: TrainResult, tmp_path: Path) -> None:
    """Also with workers as processes; one learner, which draws other minibatches, gives another."""
    again = train(trial(tmp_path, **{**TWO, "backend": "processes"}), console=False)
    assert again.agent.read_bytes() == whole.agent.read_bytes()
    assert figures(again) == figures(whole)
    alone = train(trial(tmp_path, **{**TWO, "devices": None}), console=False)
    assert alone.updates == whole.updates
    assert alone.sha256 != whole.sha256


def test_the_agent_of_a_run_plays_and_is_not_trained_further(whole: TrainResult) -> None:
    observation = np.zeros((2, 3, 3), np.int8)
    action, _ = whole.trained.predict(observation)
    assert 0 <= int(action) < 9
    with pytest.raises(SparringError, match=r"`sparring resume` continues a run$"):
        whole.trained.learn()


@pytest.mark.usefixtures("stoppable")
@pytest.mark.parametrize("looks", [40, 97])
def test_stopped_on_two_ranks_and_resumed_on_two_it_ends_the_same(
    looks: int, whole: TrainResult, tmp_path: Path
) -> None:
    stopped = train_until(looks, tmp_path, "run", **TWO)
    assert stopped.interrupted
    assert stopped.updates < whole.updates
    resumed = resume_until(NEVER, tmp_path, "run")
    assert figures(resumed) == figures(whole)
    assert resumed.agent.read_bytes() == whole.agent.read_bytes()


@pytest.mark.usefixtures("stoppable")
@pytest.mark.parametrize(("first", "then"), [("cpu:2", None), (None, "cpu:2")])
def test_resumed_on_another_number_of_ranks_nothing_is_lost(
    first: str | None, then: str | None, tmp_path: Path
) -> None:
    """The replay is shared out anew, a minibatch that one learner has drawn ahead is dropped."""
    changes = {**TWO, "devices": first, "learner_threads": 2, "target_update_interval": 7}
    stopped = train_until(55, tmp_path, "run", **changes)
    before = saved(stopped)
    same = resume_until(0, tmp_path, "run", devices=then)  # stopped before anything is done
    after = saved(same)
    assert same.updates == stopped.updates > 0
    assert same.sha256 == stopped.sha256
    for part in ("buffer", "sampler"):
        for name, value in before["replay"][part].items():
            assert np.array_equal(after["replay"][part][name], value), name
    resumed = resume_until(NEVER, tmp_path, "run")
    assert resumed.episodes >= 240
    assert resumed.updates > stopped.updates


@pytest.mark.parametrize("changes", [RAINBOW, {"mode": "async", "backend": "processes"}])
def test_what_one_learner_does_ranks_do(changes: dict[str, Any], tmp_path: Path) -> None:
    result = train(trial(tmp_path, **{**TWO, **changes}), console=False)
    assert result.updates > 50
    assert result.episodes >= 240


class KillRank:
    """Kills rank 1 after some rounds, once there is a checkpoint."""

    def on_round(self, event: RoundEvent) -> None:
        if event.rounds == 9:
            [rank] = [p for p in multiprocessing.active_children() if "rank-1" in p.name]
            rank.kill()


def test_a_rank_that_dies_ends_the_run_which_resumes(whole: TrainResult, tmp_path: Path) -> None:
    config = trial(tmp_path, name="run", **TWO, checkpoint_interval=10)
    died = (
        r"^rank 1 of 2 ended by signal 9; saved are the first \d+ updates\. "
        r"Continue with: sparring resume \S*run$"
    )
    with pytest.raises(RankError, match=died):
        train(config, callbacks=KillRank(), console=False)
    assert not multiprocessing.active_children()
    again = resume("run", runs_dir=str(tmp_path), console=False)
    assert again.agent.read_bytes() == whole.agent.read_bytes()


def test_a_rank_that_raises_is_reported_with_its_cause(tmp_path: Path) -> None:
    network = {"policy_kwargs": {"network": "user_network:main_only"}}
    config = trial(tmp_path, name="run", **TWO, **network)
    cause = r"^rank 1 of 2 failed: .* made outside of the main process; nothing was saved$"
    with pytest.raises(RankError, match=cause):
        train(config, console=False)
    assert not (tmp_path / "run").exists()


def saved_updates(run: Path) -> int:
    with RunDirectory.open(run.parent, run.name) as directory:
        return int(directory.load_checkpoint()["learner"]["updates"])


@pytest.mark.full
def test_sigterm_saves_a_run_on_two_ranks(tmp_path: Path) -> None:
    """Sent to the whole group, as batch systems do: the other rank leaves it to rank 0."""
    config = trial(tmp_path, name="run", **TWO, n_episodes=1_000_000, eval_interval=10**9)
    metrics = tmp_path / "run" / "metrics.jsonl"
    with start(config) as process:
        wait_until(lambda: metrics.exists() and '"train/loss"' in metrics.read_text())
        os.killpg(process.pid, signal.SIGTERM)
        said, _ = process.communicate(timeout=HANG)
    assert process.returncode == 143, said
    assert "SIGTERM: stopping after this round, and saving" in said
    assert "Traceback" not in said
    updates = saved_updates(tmp_path / "run")
    longer = {"n_episodes": 1000, "devices": None}
    assert resume("run", runs_dir=str(tmp_path), overrides=longer, console=False).updates > updates


def test_torchrun_without_as_many_devices_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "3", "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    for devices, got in ((None, "one device"), ("cpu:2", "cpu:2")):
        expected = f"^devices: got {got}, expected 3 devices, one for each rank of torchrun$"
        with pytest.raises(ConfigurationError, match=expected):
            train(trial(tmp_path, devices=devices), console=False)
    assert not list(tmp_path.iterdir())


def test_a_process_that_uses_torch_distributed_itself_is_told_so(tmp_path: Path) -> None:
    store = torch.distributed.HashStore()  # type: ignore[attr-defined]
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        with pytest.raises(ConfigurationError, match=r"destroy_process_group\(\) before$"):
            train(trial(tmp_path, name="run", **TWO), console=False)
    finally:
        torch.distributed.destroy_process_group()
    assert not (tmp_path / "run").exists()


@pytest.mark.full
def test_torchrun_starts_the_same_run(whole: TrainResult, tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(to_toml(trial(tmp_path, name="run", **TWO)), encoding="utf-8")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = ["-m", "sparring", "train", "tic_tac_toe", "--preset", "none", "--config", str(path)]
    done = subprocess.run(
        [*launcher, *command], capture_output=True, text=True, timeout=HANG, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == whole.agent.read_bytes()
