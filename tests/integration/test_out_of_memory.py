"""A run whose memory runs out ends with one line, and with its checkpoint; an injected error stands
in for a GPU's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from trial_runs import resolved_trial, trial

from sparring.dqn.learner import Learner
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.errors import OutOfMemory
from sparring.training import assembly, out_of_memory, resume, train
from sparring.training.out_of_memory import MemoryUse, memory_use

GIB = 2**30
USE = MemoryUse(networks=GIB, row=100.0, sample=100_000.0, batch_size=2**17, buffer_size=10_000_000)


@pytest.mark.parametrize(
    ("limit", "line"),
    [
        (8 * GIB, "batch_size=32768 would fit"),
        (19 * GIB, "batch_size=131072 would fit"),
        (1 * GIB, "choose a smaller network"),
    ],
)
def test_what_would_fit_is_computed(limit: float, line: str) -> None:
    use = MemoryUse(**{**vars(USE), "batch_size": 2**18})
    assert use.fits(limit) == line
    batch = int(line.partition("=")[2].partition(" ")[0] or 0)
    assert use.networks + use.replay + use.sample * batch < limit or not batch


def test_a_smaller_buffer_may_fit_too() -> None:
    use = MemoryUse(**{**vars(USE), "sample": 10_000.0, "buffer_size": 90_000_000})
    assert use.fits(10 * GIB) == "buffer_size=62000000 would fit"
    both = MemoryUse(**{**vars(use), "buffer_size": 63_000_000})
    assert both.fits(10 * GIB) == "batch_size=65536 or buffer_size=62000000 would fit"


def test_what_was_seen_counts_where_it_is_more_than_estimated() -> None:
    policy = PolicySpec("connect_four", NetworkSpec("mlp", {"net_arch": [256, 256]}))
    config = resolved_trial(game="connect_four", batch_size=1024)
    plain, seen = memory_use(config, policy), memory_use(config, policy, peak=5.0 * GIB)
    assert 3 * 4 * (84 + 256 + 256 + 7) <= plain.sample < 20_000
    assert seen.minibatch == pytest.approx(5.0 * GIB - seen.networks - seen.replay)


def test_the_run_ends_with_one_line_and_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = Learner.update

    def full(learner: Learner, *arguments: Any, **options: Any) -> Any:
        if learner.updates >= 40:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return update(learner, *arguments, **options)

    config = trial(tmp_path, name="run", backend="inline", checkpoint_interval=15)
    with monkeypatch.context() as patch:
        patch.setattr(Learner, "update", full)
        patch.setattr(out_of_memory, "device_limit", lambda device: (3.0 * GIB, 0.0))
        with pytest.raises(OutOfMemory) as caught:
            train(config, console=False)
    line = str(caught.value)
    assert line.startswith(
        "the memory of cpu has run out: got batch_size=16 (0.0 GiB) and a replay"
    )
    assert "of buffer_size=700 (0.0 GiB), 3.0 GiB are left; " in line
    assert line.endswith(f" updates. Continue with: sparring resume {tmp_path / 'run'}")
    whole = train(trial(tmp_path, name="whole", backend="inline"), console=False)
    assert resume("run", runs_dir=str(tmp_path), console=False).sha256 == whole.sha256


def test_a_replay_that_does_not_fit_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(assembly, "make_replay", full)
    monkeypatch.setattr(out_of_memory, "device_limit", lambda device: (30_000.0, 0.0))
    with pytest.raises(
        OutOfMemory, match=r"replay of buffer_size=700 .* or buffer_size=\d+ would fit$"
    ):
        train(trial(tmp_path / "runs", name="run", backend="inline"), console=False)
    assert not (tmp_path / "runs").exists()
