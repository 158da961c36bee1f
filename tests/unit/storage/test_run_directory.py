from __future__ import annotations

import fcntl
import logging
import os
import shlex
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from child_processes import HANG

from sparring.errors import ConfigurationError, InputError, SparringError
from sparring.storage import locks, run_directory
from sparring.storage.atomic import remove_directory
from sparring.storage.locks import DirectoryLock
from sparring.storage.run_directory import RunDirectory, as_argument


def tree(number: int) -> dict[str, object]:
    return {"networks": {"w": np.full(100, number)}, "counters": {"updates": number}}


def numbers(run: RunDirectory) -> list[str]:
    return sorted(path.name for path in run.checkpoints_path.iterdir())


def one_line(error: pytest.ExceptionInfo[SparringError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_default_names_count_up(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    for expected in ("connect_four-1", "connect_four-2"):
        with RunDirectory.create(root, None, "connect_four") as run:
            assert (run.name, run.path) == (expected, root / expected)
            assert run.path.is_dir()


def test_paths_are_the_documented_ones(tmp_path: Path) -> None:
    with RunDirectory.create(tmp_path, "my.run_1-a", "tic_tac_toe") as run:
        paths = [
            run.config_path, run.metrics_path, run.tensorboard_path, run.best_path, run.last_path,
            run.checkpoints_path, run.faults_path,
        ]  # fmt: skip
    documented = [
        "config.toml",
        "metrics.jsonl",
        "tensorboard",
        "best.safetensors",
        "last.safetensors",
        "checkpoints",
        "faults",
    ]
    assert paths == [tmp_path / "my.run_1-a" / name for name in documented]


@pytest.mark.parametrize(
    ("game", "name"),
    [
        ("my_module:MyGame", "my_module_MyGame-1"),
        ("../x y", "_x_y-1"),
        ("...", "run-1"),
        ("g" * 500, "g" * 80 + "-1"),
    ],
)
def test_a_game_of_any_label_gives_a_name(game: str, name: str, tmp_path: Path) -> None:
    with RunDirectory.create(tmp_path, None, game) as run:
        assert run.name == name
    RunDirectory.create(tmp_path, f"{name}x", game).close()


def test_a_run_that_could_not_begin_leaves_nothing(tmp_path: Path) -> None:
    with RunDirectory.create(tmp_path, "mine", "tic_tac_toe") as run:
        run.config_path.write_text("game = 'tic_tac_toe'\n")
        run.discard()
    assert list(tmp_path.iterdir()) == []
    RunDirectory.create(tmp_path, "mine", "tic_tac_toe").close()


@pytest.mark.parametrize("held", ["checkpoint", "agent", "fault", "matches"])
def test_a_run_that_has_something_is_never_discarded(held: str, tmp_path: Path) -> None:
    with RunDirectory.create(tmp_path, "mine", "tic_tac_toe") as run:
        if held == "checkpoint":
            run.save_checkpoint(0, tree(0))
        elif held == "agent":
            run.best_path.touch()
        elif held == "fault":
            run.faults_path.mkdir()
        else:
            run.keep()
        run.discard()
        assert run.checkpoints_path.is_dir()
        assert numbers(run) == (["0"] if held == "checkpoint" else [])
        assert run.best_path.exists() == (held == "agent")


def test_a_taken_name_has_a_remedy(tmp_path: Path) -> None:
    RunDirectory.create(tmp_path, "mine", "tic_tac_toe").close()
    with pytest.raises(ConfigurationError) as caught:
        RunDirectory.create(tmp_path, "mine", "tic_tac_toe")
    assert one_line(caught) == (
        f"there is already a run 'mine' in {tmp_path};"
        f" choose another name, or continue it: sparring resume {tmp_path / 'mine'}"
    )


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "a/b", "/abs", "-flag", "a b", "ä", "a\n", "x" * 101, "a\0"]
)
def test_bad_names_are_refused_before_anything_is_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        RunDirectory.create(tmp_path / "runs", name, "tic_tac_toe")
    assert "expected at most 100 letters" in one_line(caught)
    assert list(tmp_path.iterdir()) == []


def test_a_root_that_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(ConfigurationError, match="cannot make a run directory"):
        RunDirectory.create(tmp_path / "runs", None, "tic_tac_toe")


def test_six_processes_get_six_names(tmp_path: Path) -> None:
    source = """
import sys
from functools import partial
from sparring.storage.locks import DirectoryLock
from sparring.storage.run_directory import RunDirectory
print("ready", flush=True)
sys.stdin.readline()
with RunDirectory.create(sys.argv[1], None, "connect_four") as run:
    print(run.name, flush=True)
    sys.stdin.readline()
"""
    command = [sys.executable, "-c", source, str(tmp_path)]
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    try:
        answers = []
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        for child in children:
            assert child.stdin is not None
            child.stdin.write("\n")
            child.stdin.flush()
        for child in children:
            assert child.stdout is not None
            answers.append(child.stdout.readline().strip())
        assert sorted(answers) == [f"connect_four-{number}" for number in range(1, 7)]
    finally:
        for child in children:
            child.communicate("\n", timeout=HANG)
    assert [child.returncode for child in children] == [0] * 6


@pytest.mark.parametrize("how", ["name", "path", "path with slash"])
def test_open_by_name_or_path(how: str, tmp_path: Path) -> None:
    root = tmp_path / "runs"
    RunDirectory.create(root, "mine", "tic_tac_toe").close()
    given = {"name": "mine", "path": str(root / "mine"), "path with slash": f"{root}/mine/"}[how]
    with RunDirectory.open(root if how == "name" else tmp_path / "elsewhere", given) as run:
        assert (run.name, run.path) == ("mine", root / "mine")


def test_a_missing_run_names_the_nearest(tmp_path: Path) -> None:
    for name in ("connect_four-1", "tic_tac_toe-1"):
        RunDirectory.create(tmp_path, name, "tic_tac_toe").close()
    with pytest.raises(InputError) as caught:
        RunDirectory.open(tmp_path, "conect_four-2")
    assert (
        one_line(caught)
        == f"there is no run 'conect_four-2' in {tmp_path}; did you mean 'connect_four-1'?"
    )


def test_a_missing_run_and_no_other(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "runs"):
        with pytest.raises(InputError, match=r"there is no run 'mine'.*start one: sparring train"):
            RunDirectory.open(root, "mine")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_no_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    for given in ("holiday", ""):
        with pytest.raises(InputError, match="is not a run directory"):
            RunDirectory.open(tmp_path, given)
    assert list((tmp_path / "holiday").iterdir()) == []


def test_lock_is_exclusive_and_names_its_holder(tmp_path: Path) -> None:
    with RunDirectory.create(tmp_path, "mine", "tic_tac_toe"):
        with pytest.raises(InputError) as caught:
            RunDirectory.open(tmp_path, "mine")
        assert one_line(caught) == (
            f"the run 'mine' is in use by process {os.getpid()};"
            " wait until it ends, or choose another run"
        )
    with RunDirectory.open(tmp_path, "mine") as run:
        run.close()
        RunDirectory.open(tmp_path, "mine").close()


def test_who_looks_at_the_lock_does_not_keep_a_run_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    RunDirectory.create(tmp_path, "mine", "ludo").close()
    with open(tmp_path / "mine" / "lock", "rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        unlock = partial(fcntl.flock, looking, fcntl.LOCK_UN)
        monkeypatch.setattr(locks.time, "sleep", lambda seconds: unlock())
        with RunDirectory.open(tmp_path, "mine"):
            assert locks.is_locked(tmp_path / "mine")
            (tmp_path / "mine" / "lock").unlink()
            assert locks.is_locked(tmp_path / "mine"), "by the lock of the directory"
    assert not locks.is_locked(tmp_path / "mine")


def test_lock_ends_with_its_process(tmp_path: Path) -> None:
    RunDirectory.create(tmp_path, "mine", "tic_tac_toe").close()
    source = """
import sys, time
from sparring.storage.locks import DirectoryLock
from sparring.storage.run_directory import RunDirectory
run = RunDirectory.open(sys.argv[1], "mine")
print("locked", flush=True)
time.sleep(600)
"""
    with subprocess.Popen(
        [sys.executable, "-c", source, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "locked\n"
        with pytest.raises(InputError, match=f"in use by process {child.pid};"):
            RunDirectory.open(tmp_path, "mine")
        child.send_signal(signal.SIGKILL)
        child.wait(timeout=HANG)
        RunDirectory.open(tmp_path, "mine").close()


def test_nothing_is_saved_without_the_lock(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path, "mine", "tic_tac_toe")
    run.close()
    for use in (lambda: run.save_checkpoint(1, tree(1)), run.load_checkpoint):
        with pytest.raises(ValueError, match="is closed"):
            use()
    assert numbers(run) == []


def test_the_newest_two_are_kept_by_number_not_by_text(tmp_path: Path) -> None:
    with RunDirectory.create(tmp_path, "mine", "tic_tac_toe") as run:
        for updates, kept in [(0, ["0"]), (9, ["0", "9"]), (10, ["10", "9"]), (100, ["10", "100"])]:
            run.save_checkpoint(updates, tree(updates))
            assert numbers(run) == kept
            assert run.load_checkpoint()["counters"]["updates"] == updates


def test_the_same_number_is_replaced(tmp_path: Path) -> None:
    """Before learning starts many rounds have 0 updates."""
    with RunDirectory.create(tmp_path, "mine", "tic_tac_toe") as run:
        run.save_checkpoint(0, {"first": 1})
        run.save_checkpoint(0, {"second": 2})
        assert run.load_checkpoint() == {"second": 2}
        assert numbers(run) == ["0"]


def test_negative_updates_are_refused(tmp_path: Path) -> None:
    with (
        RunDirectory.create(tmp_path, "mine", "tic_tac_toe") as run,
        pytest.raises(ValueError, match="got -1"),
    ):
        run.save_checkpoint(-1, {})


def test_incomplete_and_damaged_ones_are_skipped_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with RunDirectory.create(tmp_path, "mine", "tic_tac_toe") as run:
        run.save_checkpoint(10, tree(10))
        run.save_checkpoint(20, tree(20))
        (run.checkpoints_path / "20" / "networks.safetensors").write_bytes(b"")
        (run.checkpoints_path / "30").mkdir()
        (run.checkpoints_path / "notes.txt").write_text("not a checkpoint")
        with caplog.at_level(logging.WARNING):
            assert run.load_checkpoint()["counters"]["updates"] == 10
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2
    assert messages[0].startswith("warning: checkpoint 30 of run mine is skipped: ")
    assert "manifest.json is missing" in messages[0]
    assert messages[1].startswith("warning: checkpoint 20 of run mine is skipped: ")
    assert "size differs" in messages[1]


def test_no_complete_checkpoint_is_one_line(tmp_path: Path) -> None:
    with (
        RunDirectory.create(tmp_path, "mine", "tic_tac_toe") as run,
        pytest.raises(InputError) as caught,
    ):
        run.load_checkpoint()
    assert (
        one_line(caught)
        == "run 'mine' has no complete checkpoint to resume from; start a new run: sparring train"
    )


@pytest.mark.parametrize("damaged", [[30], [20, 30]])
def test_damaged_ones_never_push_out_whole_ones(damaged: list[int], tmp_path: Path) -> None:
    """A checkpoint with a flipped bit looks complete; after it was found out, neither it nor its
    number counts.
    """
    with RunDirectory.create(tmp_path, "mine", "tic_tac_toe") as run:
        for updates in (10, 20, 30):
            run.save_checkpoint(updates, tree(updates))
        (run.checkpoints_path / "30").rename(run.checkpoints_path / "hold")
        run.save_checkpoint(10, tree(10))
        (run.checkpoints_path / "hold").rename(run.checkpoints_path / "30")
        for updates in damaged:
            file = run.checkpoints_path / str(updates) / "networks.safetensors"
            file.write_bytes(file.read_bytes()[:-1] + b"\xff")
        good = run.load_checkpoint()["counters"]["updates"]
        assert good == {1: 20, 2: 10}[len(damaged)]
        run.save_checkpoint(good + 1, tree(good + 1))
        assert numbers(run) == sorted([str(good), str(good + 1)])
        assert run.load_checkpoint()["counters"]["updates"] == good + 1


def test_the_one_just_saved_is_kept_whatever_its_number(tmp_path: Path) -> None:
    with RunDirectory.create(tmp_path, "mine", "tic_tac_toe") as run:
        for updates in (30, 40, 20):
            run.save_checkpoint(updates, tree(updates))
        assert numbers(run) == ["20", "30", "40"]


def test_pruning_begins_when_the_new_one_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunDirectory.create(tmp_path, "mine", "tic_tac_toe") as run:
        run.save_checkpoint(1, tree(1))
        run.save_checkpoint(2, tree(2))
        seen: list[list[str]] = []

        def spy(path: Path) -> None:
            seen.append(numbers(run))
            remove_directory(path)

        monkeypatch.setattr(run_directory, "remove_directory", spy)
        run.save_checkpoint(3, tree(3))
        assert seen == [["1", "2", "3"]]


def test_a_failed_save_keeps_both(tmp_path: Path) -> None:
    with RunDirectory.create(tmp_path, "mine", "tic_tac_toe") as run:
        run.save_checkpoint(1, tree(1))
        run.save_checkpoint(2, tree(2))
        with pytest.raises(TypeError):
            run.save_checkpoint(3, {"bad": object()})
        assert numbers(run) == ["1", "2"]


def other_process(tmp_path: Path) -> str:
    """Words of another process that opens the run."""
    source = """
import sys
from functools import partial
from sparring.errors import InputError
from sparring.storage.locks import DirectoryLock
from sparring.storage.run_directory import RunDirectory
try:
    RunDirectory.open(sys.argv[1], "mine")
    print("opened")
except InputError as error:
    print(error)
"""
    command = [sys.executable, "-c", source, str(tmp_path)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=HANG, check=True
    ).stdout.strip()


def test_a_lock_that_is_deleted_keeps_others_out(tmp_path: Path) -> None:
    with RunDirectory.create(tmp_path, "mine", "tic_tac_toe") as run:
        (run.path / "lock").unlink()
        assert other_process(tmp_path) == (
            "the run 'mine' is in use by another process; wait until it ends, or choose another run"
        )
        run.save_checkpoint(1, tree(1))
        assert (run.path / "lock").read_text() == str(os.getpid())
        assert f"in use by process {os.getpid()};" in other_process(tmp_path)
    assert other_process(tmp_path) == "opened"


@pytest.mark.parametrize("replaced", ["lock", "directory"])
def test_a_run_whose_lock_another_process_has_saves_nothing_more(
    replaced: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where directories cannot be locked (NFS), or where the directory was moved away."""
    monkeypatch.setattr(DirectoryLock, "_lock_directory", lambda self: None)
    with RunDirectory.create(tmp_path, "mine", "tic_tac_toe") as run:
        run.save_checkpoint(1, tree(1))
        if replaced == "lock":
            (run.path / "lock").unlink()
            other = RunDirectory.open(tmp_path, "mine")
        else:
            run.path.rename(tmp_path / "away")
            other = RunDirectory.create(tmp_path, "mine", "tic_tac_toe")
        before = numbers(other)
        with other:
            with pytest.raises(InputError, match=f"in use by process {os.getpid()};"):
                run.save_checkpoint(2, tree(2))
            with pytest.raises(ValueError, match="is closed"):
                run.save_checkpoint(2, tree(2))
            assert numbers(other) == before
            other.save_checkpoint(3, tree(3))
        assert numbers(other) == [*before, "3"]


def test_a_lock_that_is_a_link_is_refused_and_its_target_kept(tmp_path: Path) -> None:
    RunDirectory.create(tmp_path, "mine", "tic_tac_toe").close()
    (tmp_path / "precious").write_text("text")
    (tmp_path / "mine" / "lock").unlink()
    (tmp_path / "mine" / "lock").symlink_to(tmp_path / "precious")
    with pytest.raises(InputError, match="cannot be locked"):
        RunDirectory.open(tmp_path, "mine")
    assert (tmp_path / "precious").read_text() == "text"


@pytest.mark.parametrize("runs", [".", "my runs", "runs", "/tmp/it's"])
def test_a_run_as_an_argument_names_it_whatever_the_runs_directory_is(runs: str) -> None:
    """`resume` takes a name without a separator as one in `runs/`."""
    [word] = shlex.split(as_argument(Path(runs) / "connect_four-1"))
    assert os.sep in word
    assert Path(word) == Path(runs) / "connect_four-1"
