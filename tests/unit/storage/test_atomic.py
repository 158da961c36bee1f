from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import threading
from pathlib import Path

import pytest

from sparring.errors import FileFormatError, InputError, StorageError
from sparring.storage.atomic import (
    is_complete,
    read_directory,
    recover,
    remove_directory,
    write_directory,
    write_file,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "made" / "on the way" / "agent"
    write_file(path, b"a longer first version")
    write_file(path, b"second")
    assert path.read_bytes() == b"second"
    assert names(path.parent) == ["agent"]


def test_file_takes_over_what_a_killed_save_left(tmp_path: Path) -> None:
    (tmp_path / ".agent.sparring-tmp").write_bytes(b"half of something, longer than what follows")
    write_file(tmp_path / "agent", b"whole")
    assert (tmp_path / "agent").read_bytes() == b"whole"
    assert names(tmp_path) == ["agent"]


def test_failed_file_save_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_file(tmp_path / "agent", b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"cannot save .*: No space left on device; 3 bytes"):
        write_file(tmp_path / "agent", b"new")
    assert (tmp_path / "agent").read_bytes() == b"old"
    assert names(tmp_path) == ["agent"]


def test_many_writers_of_one_file_leave_one_whole_version(tmp_path: Path) -> None:
    versions = [bytes([65 + index]) * (50_000 + index) for index in range(6)]

    def save(data: bytes) -> None:
        for _ in range(20):
            write_file(tmp_path / "agent", data)

    threads = [threading.Thread(target=save, args=(data,)) for data in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "agent").read_bytes() in versions
    assert names(tmp_path) == ["agent"]


def test_directory_reads_back_with_true_sizes_and_digests(tmp_path: Path) -> None:
    path = tmp_path / "parent" / "12"
    write_directory(path, {"a": b"alpha", "b": lambda target: target.write_bytes(b"beta" * 1000)})
    files = read_directory(path)
    assert {name: file.read_bytes() for name, file in files.items()} == {
        "a": b"alpha",
        "b": b"beta" * 1000,
    }
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["files"]["a"] == {"bytes": 5, "sha256": hashlib.sha256(b"alpha").hexdigest()}
    assert manifest["files"]["b"] == {
        "bytes": 4000,
        "sha256": hashlib.sha256(b"beta" * 1000).hexdigest(),
    }
    assert is_complete(path)
    assert names(path.parent) == ["12"]


@pytest.mark.parametrize("writes", ["file", "directory", "replacement"])
def test_order_of_flushes_and_renames(
    writes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The promise of a power cut: contents, then manifest, then the directory's names, then the
    rename, then the parent's names.
    """
    if writes == "replacement":
        write_directory(tmp_path / "target", {"first": b"1"})
    events: list[str] = []
    fsync, rename, replace = os.fsync, os.rename, os.replace

    def spy_fsync(descriptor: int) -> None:
        events.append("sync " + Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        fsync(descriptor)

    def spy_rename(source: Path, target: Path) -> None:
        events.append(f"{Path(source).name} -> {Path(target).name}")
        rename(source, target)

    def spy_replace(source: Path, target: Path) -> None:
        events.append(f"{Path(source).name} -> {Path(target).name}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "rename", spy_rename)
    monkeypatch.setattr(os, "replace", spy_replace)
    hidden, parent = ".target.sparring-tmp", "sync " + tmp_path.name
    if writes == "file":
        write_file(tmp_path / "target", b"x")
        assert events == [f"sync {hidden}", f"{hidden} -> target", parent]
        return
    write_directory(
        tmp_path / "target", {"first": b"1", "second": lambda path: path.write_bytes(b"2")}
    )
    aside = ["target -> .target.sparring-old"] if writes == "replacement" else []
    contents = ["sync first", "sync second", "sync manifest.json", f"sync {hidden}"]
    assert events == [*contents, *aside, f"{hidden} -> target", parent]


def test_directory_is_replaced(tmp_path: Path) -> None:
    write_directory(tmp_path / "7", {"a": b"old", "only old": b""})
    write_directory(tmp_path / "7", {"a": b"new"})
    assert read_directory(tmp_path / "7")["a"].read_bytes() == b"new"
    assert names(tmp_path / "7") == ["a", "manifest.json"]
    assert names(tmp_path) == ["7"]


def test_failed_directory_save_leaves_nothing_and_the_old_one(tmp_path: Path) -> None:
    write_directory(tmp_path / "7", {"a": b"old"})

    def fails(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError) as caught:
        write_directory(tmp_path / "7", {"a": b"new", "b": fails}, size=1_234_567)
    assert re.fullmatch(
        rf"cannot save {tmp_path}/7: No space left on device; "
        r"1,234,567 bytes are needed, [\d,]+ are free",
        str(caught.value),
    )
    assert read_directory(tmp_path / "7")["a"].read_bytes() == b"old"
    assert names(tmp_path) == ["7"]


def test_recover_undoes_half_a_replacement_and_clears_leftovers(tmp_path: Path) -> None:
    write_directory(tmp_path / "5", {"a": b"old"})
    os.rename(tmp_path / "5", tmp_path / ".5.sparring-old")  # killed between the two renames
    write_directory(tmp_path / "sub" / "6", {"a": b"new"})
    os.rename(tmp_path / "sub", tmp_path / ".6.sparring-tmp")
    (tmp_path / ".agent.sparring-tmp").write_bytes(b"a file that somebody may be writing")
    recover(tmp_path)
    assert names(tmp_path) == [".agent.sparring-tmp", "5"]
    assert read_directory(tmp_path / "5")["a"].read_bytes() == b"old"


def test_recover_drops_the_predecessor_of_a_finished_replacement(tmp_path: Path) -> None:
    write_directory(tmp_path / "5", {"a": b"new"})
    (tmp_path / ".5.sparring-old").mkdir()  # killed while it was being deleted
    recover(tmp_path)
    assert names(tmp_path) == ["5"]
    assert read_directory(tmp_path / "5")["a"].read_bytes() == b"new"


def test_the_next_save_clears_leftovers(tmp_path: Path) -> None:
    (tmp_path / ".3.sparring-tmp").mkdir()
    (tmp_path / ".3.sparring-tmp" / "a").write_bytes(b"half")
    write_directory(tmp_path / "4", {"a": b"x"})
    assert names(tmp_path) == ["4"]


def test_remove_directory(tmp_path: Path) -> None:
    write_directory(tmp_path / "4", {"a": b"x"})
    remove_directory(tmp_path / "4")
    assert names(tmp_path) == []


def test_removal_takes_the_name_away_before_the_first_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_directory(tmp_path / "4", {"a": b"x"})

    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(
        shutil, "rmtree", lambda path, ignore_errors=False: None if ignore_errors else killed(path)
    )
    with pytest.raises(KeyboardInterrupt):
        remove_directory(tmp_path / "4")
    assert names(tmp_path) == [".4.sparring-tmp"]


@pytest.mark.parametrize(
    ("damage", "message", "seen_cheaply"),
    [
        (
            lambda path: (path / "manifest.json").unlink(),
            "incomplete: manifest.json is missing",
            True,
        ),
        (lambda path: (path / "a").unlink(), "incomplete: a is missing", True),
        (lambda path: (path / "a").write_bytes(b"alph"), "size differs", True),
        (lambda path: (path / "a").write_bytes(b"alpho"), "SHA-256 differs", False),
        (
            lambda path: (path / "manifest.json").write_bytes(b'{"files": {"a": '),
            "manifest.json cannot be used",
            True,
        ),
        (
            lambda path: (path / "manifest.json").write_bytes(b"[1]"),
            "manifest.json cannot be used",
            True,
        ),
        (
            lambda path: (path / "manifest.json").write_bytes(b'{"files": [1]}'),
            "manifest.json cannot be used",
            True,
        ),
        (
            lambda path: (path / "manifest.json").write_bytes(b'{"files": {"a": 1}}'),
            "manifest.json cannot be used",
            True,
        ),
        (
            lambda path: (path / "manifest.json").write_bytes(b"[" * 100_000),
            "manifest.json cannot be used",
            True,
        ),
        (
            lambda path: (path / "manifest.json").write_bytes(
                b'{"files": {"../outside": {"bytes": 1, "sha256": ""}}}'
            ),
            "damaged",
            True,
        ),
        (
            lambda path: (path / "manifest.json").write_bytes(b'{"files": {"a": {"bytes": 5}}}'),
            "SHA-256 differs",
            False,
        ),
    ],
)
def test_damage_is_one_clear_line(
    damage: object, message: str, seen_cheaply: bool, tmp_path: Path
) -> None:
    assert callable(damage)
    path = tmp_path / "9"
    write_directory(path, {"a": b"alpha"})
    damage(path)
    with pytest.raises(FileFormatError, match=message) as caught:
        read_directory(path)
    assert "\n" not in str(caught.value)
    assert is_complete(path) is not seen_cheaply


def test_missing_directory(tmp_path: Path) -> None:
    assert not is_complete(tmp_path / "nowhere")
    with pytest.raises(FileFormatError, match="incomplete"):
        read_directory(tmp_path / "nowhere")


def leave(path: Path, kind: str, target: Path) -> None:
    """Put something at `path` that no save of ours leaves there."""
    if kind == "file":
        path.write_bytes(b"x")
    elif kind == "directory":
        (path / "deep").mkdir(parents=True)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(target if kind == "link" else target / "missing")


@pytest.mark.parametrize("kind", ["file", "directory", "link", "broken link", "pipe"])
@pytest.mark.parametrize("suffix", ["tmp", "old"])
def test_strange_leftovers_of_a_directory_are_removed_as_what_they_are(
    kind: str, suffix: str, tmp_path: Path
) -> None:
    kept, parent = tmp_path / "kept", tmp_path / "parent"
    kept.mkdir()
    (kept / "precious").write_bytes(b"x")
    parent.mkdir()
    for name in ("7", "8"):
        leave(parent / f".{name}.sparring-{suffix}", kind, kept)
    write_directory(parent / "7", {"a": b"x"})
    write_directory(parent / "7", {"a": b"y"})
    remove_directory(parent / "7")
    recover(parent)
    left = [".8.sparring-tmp"] if (kind, suffix) == ("file", "tmp") else []  # may have a writer
    assert names(parent) == (["8"] if (kind, suffix) == ("directory", "old") else left)
    assert names(kept) == ["precious"]


@pytest.mark.parametrize("kind", ["file", "directory", "link", "broken link", "pipe"])
def test_strange_leftovers_of_a_file_are_replaced(kind: str, tmp_path: Path) -> None:
    kept, parent = tmp_path / "kept", tmp_path / "parent"
    parent.mkdir()
    kept.write_bytes(b"precious")
    leave(parent / ".agent.sparring-tmp", kind, kept)
    write_file(parent / "agent", b"new")
    assert names(parent) == ["agent"]
    assert not (parent / "agent").is_symlink()
    assert (parent / "agent").read_bytes() == b"new"
    assert kept.read_bytes() == b"precious"


def test_a_checkpoint_that_is_a_link_is_removed_and_its_target_kept(tmp_path: Path) -> None:
    write_directory(tmp_path / "elsewhere" / "4", {"a": b"x"})
    (tmp_path / "4").symlink_to(tmp_path / "elsewhere" / "4")
    remove_directory(tmp_path / "4")
    assert names(tmp_path) == ["elsewhere"]
    assert is_complete(tmp_path / "elsewhere" / "4")


def test_a_huge_manifest_is_not_read(tmp_path: Path) -> None:
    write_directory(tmp_path / "4", {"a": b"x"})
    os.truncate(tmp_path / "4" / "manifest.json", 20 * 2**30)  # sparse
    with pytest.raises(FileFormatError, match=r"damaged: manifest\.json cannot"):
        read_directory(tmp_path / "4")


@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_or_device_is_never_replaced_by_a_file(tmp_path: Path, linked: bool) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    target = tmp_path / "link" if linked else pipe
    if linked:
        target.symlink_to(pipe)
    with pytest.raises(InputError, match="a device, pipe or socket"):
        write_file(target, b"agent")
    assert pipe.is_fifo()
    assert target.is_symlink() == linked
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({"pipe", target.name})
