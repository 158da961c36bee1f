"""`train` and `resume` with the smallest runs; whole runs are in tests/integration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sparring.config.schema import TrainConfig
from sparring.config.sources import build_config
from sparring.errors import ConfigurationError, FileFormatError, GameFault
from sparring.evaluation import evaluate
from sparring.runtime import InlineWorkers
from sparring.training import evaluator, faults_saved, loop, resume, train
from sparring.training.changes import plain_settings
from sparring.training.resolve import resolved

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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The checkpoint says so, whatever stands in `config.toml`."""
    config = build_config(overrides={**TINY, "runs_dir": str(tmp_path)})
    with monkeypatch.context() as patch:
        patch.setattr(
            loop, "plain_settings", lambda own: {**plain_settings(own), "device": "cuda:0"}
        )
        train(config, console=False)
    resume("run", runs_dir=str(tmp_path))
    assert "device is now cpu, no longer cuda:0" in capsys.readouterr().out
    resume("run", runs_dir=str(tmp_path))
    assert "no longer" not in capsys.readouterr().out


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


def edited(run: Path, old: str, new: str) -> None:
    config = run / "config.toml"
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("num_workers = 1", "num_workers = 2"),
        ('mode = "overlap"', 'mode = "sync"'),
        ('mode = "overlap"', 'mode = "async"'),
        ("prioritized_replay = false", "prioritized_replay = true"),
        ("weight_averaging = 0.0", "weight_averaging = 0.9"),
        ("max_snapshots = 10", "max_snapshots = 1"),
        ("seed = 0", "seed = 1"),
        ("n_steps = 1", "n_steps = 3"),
        ('bootstrap = "zero_sum"', 'bootstrap = "own_turn"'),
        ("gamma = 0.99", "gamma = 0.9"),
        ("buffer_size = 100", "buffer_size = 200"),
        ("batch_size = 8", "batch_size = 16"),
        ("dueling = false", "dueling = true"),
        ('game = "tic_tac_toe"', 'game = "connect_four"'),
        ("learning_starts = 8", "learning_starts = 9"),
    ],
)
def test_a_configuration_that_was_edited_is_refused_in_one_line(
    old: str, new: str, tmp_path: Path
) -> None:
    """Which setting, what the checkpoint has, and what may change."""
    overrides = {**TINY, "runs_dir": str(tmp_path), "opponents": {"self": 1.0, "random": 1.0}}
    train(build_config(overrides=overrides), console=False)
    edited(tmp_path / "run", old, new)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(ConfigurationError, match=r"^config\.toml was edited: ") as caught:
        resume("run", runs_dir=str(tmp_path))
    line = str(caught.value)
    assert "\n" not in line
    assert "as in the checkpoint; set it back or start a new run; only n_episodes, " in line
    assert files == {path: path.read_bytes() for path in files}, "nothing is written"


def test_settings_that_change_nothing_that_was_learned_may_be_edited(tmp_path: Path) -> None:
    train(build_config(overrides={**TINY, "runs_dir": str(tmp_path)}), console=False)
    edited(tmp_path / "run", "eval_interval = 2000", "eval_interval = 7")
    edited(tmp_path / "run", "checkpoint_minutes = 10.0", "checkpoint_minutes = 1.0")
    assert resume("run", runs_dir=str(tmp_path)).episodes >= 8


def test_a_longer_run_says_that_its_schedules_begin_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The middle of the last round of one match: 7.5 of 8, then 7.5 of 16 matches."""
    cosine = {"learning_rate_schedule": "cosine", "learning_rate": 0.01}
    overrides = {**TINY, **cosine, "episodes_per_batch": 1, "runs_dir": str(tmp_path)}
    train(build_config(overrides=overrides), console=False)
    resume("run", runs_dir=str(tmp_path), overrides={"n_episodes": 16})
    said = capsys.readouterr().out
    assert "\nn_episodes is now 16, no longer 8: the run is no longer a function" in said
    assert "\nlearning rate continues at 0.00549, no longer at 9.61e-05" in said
    assert "epsilon continues" not in said, "which is over in both"
    resume("run", runs_dir=str(tmp_path))
    assert "no longer" not in capsys.readouterr().out


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


def test_networks_of_users_are_shown_in_the_precision_that_they_work_in() -> None:
    network = {"network": "user_network:Convolved"}
    config, _ = resolved(TrainConfig(game="tic_tac_toe", policy_kwargs=network, device="cpu"))
    assert (config.actor_precision, config.learner_precision) == ("float32", "float32")
