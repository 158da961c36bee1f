"""`train` and `resume` with the smallest runs; whole runs are in tests/integration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sparring.config.sources import build_config
from sparring.errors import ConfigurationError, FileFormatError, GameFault
from sparring.evaluation import evaluate
from sparring.runtime import InlineWorkers
from sparring.training import evaluator, faults_saved, resume, train

TINY = {
    "game": "tic_tac_toe",
    "n_episodes": 8,
    "num_workers": 1,
    "learner_threads": 1,
    "device": "cpu",
    "backend": "inline",
    "name": "run",
    "batch_size": 8,
    "buffer_size": 100,
    "learning_starts": 8,
    "eval_matches": 2,
    "policy_kwargs": {"net_arch": [4]},
    "tensorboard": False,
}


def test_a_run_that_was_killed_before_it_was_described(tmp_path: Path) -> None:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    with pytest.raises(FileFormatError, match=r"config\.toml cannot be read: No such file"):
        resume("run", runs_dir=str(tmp_path))


def test_resume_says_that_the_device_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
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
    with pytest.raises(
        ConfigurationError,
        match=r"^n_episodes: got 1, expected at least \d+, which were played already$",
    ):
        resume("run", runs_dir=str(tmp_path), overrides={"n_episodes": 1})
    assert (tmp_path / "run" / "config.toml").read_text() == before
    assert resume("run", runs_dir=str(tmp_path)).episodes >= 8


def test_the_best_agent_is_not_chosen_by_the_openings_of_its_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sparring evaluate RUN --seed 5` would repeat the very matches that made it the best. All
    evaluations of a run share their openings.
    """
    seeds: list[int] = []

    def seen(*args: Any, seed: int, **others: Any) -> dict[str, Any]:
        seeds.append(seed)
        return evaluate(*args, seed=seed, **others)

    monkeypatch.setattr(evaluator, "evaluate", seen)
    train(
        build_config(overrides={**TINY, "eval_interval": 3, "seed": 5, "runs_dir": str(tmp_path)}),
        console=False,
    )
    assert len(seeds) > 1
    assert len(set(seeds)) == 1
    assert seeds[0] != 5


@pytest.mark.parametrize("rounds", [0, 1])
def test_only_a_run_that_could_not_begin_leaves_nothing(
    rounds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the game's module is moved away in the middle, and a worker's successor cannot
    import it.
    """
    finish_round, finished = InlineWorkers.finish_round, []

    def finish(workers: InlineWorkers) -> object:
        finished.append(None)
        if len(finished) > rounds:
            raise ConfigurationError("there is no such module")
        return finish_round(workers)

    monkeypatch.setattr(InlineWorkers, "finish_round", finish)
    with pytest.raises(ConfigurationError, match="no such module"):
        train(
            build_config(overrides={**TINY, "episodes_per_batch": 1, "runs_dir": str(tmp_path)}),
            console=False,
        )
    assert (tmp_path / "run" / "config.toml").exists() == (rounds > 0)


@pytest.mark.parametrize(
    "error", [OSError(24, "Too many open files"), RuntimeError("odd"), KeyboardInterrupt()]
)
@pytest.mark.parametrize("where", ["open_workers", "write_file", "Monitor", "Interrupts"])
def test_a_run_that_cannot_begin_leaves_nothing_whatever_the_reason(
    where: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **options: object) -> object:
        raise error

    monkeypatch.setattr(f"sparring.training.{where}", fail)
    with pytest.raises(type(error)):
        train(build_config(overrides={**TINY, "runs_dir": str(tmp_path)}), console=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("game", "advice"),
    [
        (
            "pig:Pig(sides=8)",
            "the match is saved: sparring replay {}/1.json --game 'pig:Pig(sides=8)'",
        ),
        ("tic_tac_toe", "the match is saved: sparring replay {}/1.json"),
        (
            "__main__:Pig",
            "the match is saved in {}/1.json; to replay it, put the game in a module that can be "
            "imported from here",
        ),
    ],
)
def test_a_fault_says_how_to_replay_the_match(game: str, advice: str, tmp_path: Path) -> None:
    fault = GameFault(
        "it went wrong",
        {"game": game, "key": 1, "actions": [], "during": "step", "cause": "x", "traceback": ""},
    )
    with pytest.raises(GameFault) as caught, faults_saved(tmp_path / "faults"):
        raise fault
    assert str(caught.value) == f"it went wrong; {advice.format(tmp_path / 'faults')}"
    assert caught.value.record == fault.record


def test_a_fault_that_cannot_be_saved_is_reported_nevertheless(tmp_path: Path) -> None:
    record = {
        "game": "pig:Pig",
        "key": 1,
        "actions": [],
        "during": "step",
        "cause": "x",
        "traceback": "",
    }
    (tmp_path / "file").touch()
    for folder, kept, why in (
        (tmp_path / "file" / "faults", record, "Not a directory"),
        (tmp_path, {}, "'game'"),
    ):
        with pytest.raises(GameFault) as caught, faults_saved(folder):
            raise GameFault("it went wrong", kept)
        assert str(caught.value).startswith(
            f"it went wrong; the match could not be saved in {folder}: "
        )
        assert why in str(caught.value)
