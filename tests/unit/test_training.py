"""What `resume` says of a run that is not as it was left; whole runs are in tests/integration."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparring.config_files import build_config
from sparring.errors import ConfigurationError, FileFormatError
from sparring.training import resume, train

TINY = {
    "game": "tic_tac_toe", "n_episodes": 8, "num_workers": 1, "learner_threads": 1, "device": "cpu", "backend": "inline", "name": "run",
    "batch_size": 8, "buffer_size": 100, "learning_starts": 8, "eval_matches": 2, "policy_kwargs": {"net_arch": [4]}, "tensorboard": False,
}  # fmt: skip


def test_a_run_that_was_killed_before_it_was_described(tmp_path: Path) -> None:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    with pytest.raises(FileFormatError, match=r"cannot read the configuration file: got .*config\.toml"):
        resume("run", runs_dir=str(tmp_path))


def test_another_device_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(build_config(overrides={**TINY, "runs_dir": str(tmp_path)}), console=False)
    resume("run", runs_dir=str(tmp_path))
    assert "no longer" not in capsys.readouterr().out
    config = tmp_path / "run" / "config.toml"
    config.write_text(config.read_text().replace('device = "cpu"', 'device = "cuda:0"'))
    resume("run", runs_dir=str(tmp_path), overrides={"device": "cpu"})
    assert "now on cpu, no longer on cuda:0" in capsys.readouterr().out


def test_a_run_cannot_end_before_what_was_played(tmp_path: Path) -> None:
    train(build_config(overrides={**TINY, "runs_dir": str(tmp_path)}), console=False)
    before = (tmp_path / "run" / "config.toml").read_text()
    with pytest.raises(ConfigurationError, match=r"^n_episodes: got 1, expected at least \d+, which were played already$"):
        resume("run", runs_dir=str(tmp_path), overrides={"n_episodes": 1})
    assert (tmp_path / "run" / "config.toml").read_text() == before
    assert resume("run", runs_dir=str(tmp_path)).episodes >= 8
