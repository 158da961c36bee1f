"""Reading from a run that another process may be training: without its lock, without writing,
whatever is deleted meanwhile.
"""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from sparring.errors import FileFormatError
from sparring.storage import checkpoint
from sparring.storage.run_directory import RunDirectory, read_newest


def tree(number: int) -> dict:
    opponents = {"taken": number, "weights": {"0": np.full(3, number, np.float32)}}
    return {"opponents": opponents, "replay": {"rows": np.zeros(1000)}, "version": 4}


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    with RunDirectory.create(tmp_path, "one", "tic_tac_toe") as directory:
        yield directory


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_newest_while_the_lock_is_held_and_nothing_is_written(run: RunDirectory) -> None:
    for number in (8, 9, 10):
        run.save_checkpoint(number, tree(number))
    (run.checkpoints_path / ".11.sparring-tmp").mkdir()  # the next one is being written
    before = files(run.path)
    part = read_newest(run.path, "opponents")
    assert (part["taken"], part["weights"]["0"].tolist()) == (10, [10, 10, 10])
    assert read_newest(run.path, "version") == 4
    assert files(run.path) == before
    assert (run.checkpoints_path / ".11.sparring-tmp").is_dir()


def test_a_run_without_a_checkpoint_has_nothing(run: RunDirectory, tmp_path: Path) -> None:
    assert read_newest(run.path, "opponents") is None
    assert read_newest(tmp_path, "opponents") is None


def test_a_damaged_checkpoint_is_passed_over(run: RunDirectory) -> None:
    for number in (8, 9):
        run.save_checkpoint(number, tree(number))
    damage(run.checkpoints_path / "9" / "opponents.safetensors")
    assert read_newest(run.path, "opponents")["taken"] == 8
    damage(run.checkpoints_path / "8" / "state.json")
    with pytest.raises(FileFormatError, match=r"9/opponents\.safetensors is damaged"):
        read_newest(run.path, "opponents")


def test_only_the_part_is_read(run: RunDirectory) -> None:
    run.save_checkpoint(9, tree(9))
    damage(run.checkpoints_path / "9" / "replay.safetensors")
    assert read_newest(run.path, "opponents")["taken"] == 9
    with pytest.raises(FileFormatError, match="replay"):
        checkpoint.load(run.checkpoints_path / "9")


def test_a_part_that_is_not_there(run: RunDirectory) -> None:
    run.save_checkpoint(9, tree(9))
    with pytest.raises(
        FileFormatError, match="has no part 'oponents': expected one of opponents, replay, version"
    ):
        read_newest(run.path, "oponents")


def test_while_checkpoints_come_and_go(run: RunDirectory) -> None:
    """Each is deleted two saves later: a reader that is slow finds the one it began with gone."""
    run.save_checkpoint(0, tree(0))
    done = threading.Event()

    def save() -> None:
        for number in range(1, 40):
            run.save_checkpoint(number, tree(number))
        done.set()

    writer = threading.Thread(target=save)
    writer.start()
    seen = []
    while not done.is_set():
        part = read_newest(run.path, "opponents")
        assert part["weights"]["0"].tolist() == [part["taken"]] * 3
        seen.append(part["taken"])
    writer.join()
    assert seen == sorted(seen)
    assert read_newest(run.path, "opponents")["taken"] == 39


def damage(path: Path) -> None:
    """Change a byte and not the size."""
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
