"""Atomic writes of files and directories: whole or not at all.

A file or directory is written beside its target under another name, flushed to the disk and
renamed, so that a kill or a power cut at any moment leaves either the old one or the new one. Names
in between, all hidden:

    .<name>.sparring-tmp   being written or deleted; the next save removes it
    .<name>.sparring-old   the predecessor, while <name> is put in its place; the next save or
                           `recover` puts it back if <name> is missing

A directory has a manifest.json with the size and SHA-256 of its files, written last. A parent
directory has one writer of directories at a time (the lock of the run ensures it). A file may have
several writers, because each locks the temporary file.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

from sparring.errors import FileFormatError, InputError, StorageError
from sparring.storage.locks import lock, require_locks

MANIFEST = "manifest.json"
_MAX_MANIFEST: Final = 1_000_000  # bytes
_DISK_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_TEMPORARY = ".sparring-tmp"
_OLD = ".sparring-old"

Writer = Callable[[Path], object]
"""Writes one file at the given path; for contents too large to hold as bytes."""


def write_file(path: Path, data: bytes) -> None:
    """Write or replace one file, on the disk when this returns; `StorageError` if it cannot be.

    Parent directories are made as needed. `InputError` if a device, pipe or socket has the name:
    it would be replaced by a file.
    """
    _check_is_no_device(path)
    with _failing_with_one_line(path, len(data)):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _hidden(path, _TEMPORARY)
        with _locked(temporary) as file:
            try:
                file.truncate(0)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                os.replace(temporary, path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
        sync_directory(path.parent)


def write_directory(path: Path, files: Mapping[str, bytes | Writer], *, size: int = 0) -> None:
    """Write or replace a directory of plain files with its manifest, on the disk when this returns;
    `StorageError` if it cannot be. It says that `size` bytes are needed.

    Replacing is as safe as writing: the old directory is kept until the new one is in its place.
    Disk space for both is needed.
    """
    with _failing_with_one_line(path, size):
        path.parent.mkdir(parents=True, exist_ok=True)
        recover(path.parent)
        temporary = _hidden(path, _TEMPORARY)
        _remove(temporary)
        temporary.mkdir()
        try:
            entries = {
                name: _write_member(temporary / name, content) for name, content in files.items()
            }
            manifest = json.dumps({"files": entries}, indent=1, sort_keys=True)
            _write_member(temporary / MANIFEST, manifest.encode())
            sync_directory(temporary)
            _put_in_place(temporary, path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def read_directory(path: Path, only: Container[str] | None = None) -> dict[str, Path]:
    """Paths of the files of a directory by name, after comparing sizes and SHA-256 with the
    manifest; FileFormatError if they differ.

    With `only`, files of other names are left out, and only their sizes are compared.
    """
    entries = {
        name: entry for name, entry in _check_sizes(path).items() if only is None or name in only
    }
    for name, entry in entries.items():
        if _sha256(path / name) != entry.get("sha256"):
            raise FileFormatError(f"{path / name} is damaged: its SHA-256 differs from {MANIFEST}")
    return {name: path / name for name in entries}


def is_complete(path: Path) -> bool:
    """Return whether all files are there in their right sizes: cheap, and blind to damage inside a
    file.
    """
    try:
        _check_sizes(path)
    except FileFormatError:
        return False
    return True


def remove_directory(path: Path) -> None:
    """Delete a directory; a kill in between leaves it whole, or out of sight."""
    temporary = _hidden(path, _TEMPORARY)
    _remove(temporary)
    os.rename(path, temporary)
    _remove(temporary)


def recover(parent: Path) -> None:
    """Remove the leftovers of killed saves of directories in `parent`, and put back a predecessor
    whose successor is missing.
    """
    for old in sorted(parent.glob(f".*{_OLD}")):
        path = parent / old.name[1 : -len(_OLD)]
        if path.exists() or not _is_own_directory(old):
            _remove(old)
        else:
            os.rename(old, path)
    for leftover in sorted(parent.glob(f".*{_TEMPORARY}")):
        _remove_unless_file(leftover)  # which may have a living writer


def without_waiting(path: str, flags: int) -> int:
    """Opener for `open`: a pipe that nothing writes to is empty, instead of waiting for ever."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    os.set_blocking(descriptor, True)
    return descriptor


def sync_directory(path: Path) -> None:
    """Flush the names in a directory to the disk: a rename survives a power cut only then."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_is_no_device(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InputError(
            f"cannot save as {path}",
            got="a device, pipe or socket",
            expected="a regular file or a new name",
        )


def _hidden(path: Path, suffix: str) -> Path:
    return path.with_name(f".{path.name}{suffix}")


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """Open (or create) and lock a file that another process may rename or delete meanwhile."""
    require_locks()
    _remove_unless_file(path)
    while True:
        with open(path, "ab", opener=_without_following) as file:
            lock(file.fileno(), wait=True)
            try:
                ours = os.path.samestat(os.stat(path), os.fstat(file.fileno()))
            except FileNotFoundError:
                ours = False
            if ours:
                yield file
                return


def _write_member(path: Path, content: bytes | Writer) -> dict[str, Any]:
    """Write and flush one file; returns its entry in the manifest."""
    if callable(content):
        content(path)
    else:
        path.write_bytes(content)
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        return {
            "bytes": os.fstat(file.fileno()).st_size,
            "sha256": hashlib.file_digest(file, "sha256").hexdigest(),
        }


def _put_in_place(temporary: Path, path: Path) -> None:
    old = _hidden(path, _OLD)
    replaces = path.exists()
    if replaces:
        os.rename(path, old)
    os.rename(temporary, path)
    sync_directory(path.parent)
    if replaces:
        _remove(old)


def _remove(path: Path) -> None:
    """Delete a directory with its contents, or anything else; a symbolic link, never its target."""
    if _is_own_directory(path):
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _is_own_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _remove_unless_file(path: Path) -> None:
    try:
        is_file = stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_file:
        _remove(path)


def _without_following(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


@contextmanager
def _failing_with_one_line(path: Path, size: int) -> Iterator[None]:
    """Turn an OSError into a `StorageError`; on a full disk with the bytes needed and free."""
    try:
        yield
    except OSError as error:
        line = f"cannot save {path}: {error.strerror or error}"
        if error.errno in _DISK_FULL:
            free = shutil.disk_usage(next(p for p in path.absolute().parents if p.exists())).free
            line += f"; {size:,} bytes are needed, {free:,} are free"
        raise StorageError(line, error) from error


def _check_sizes(path: Path) -> dict[str, dict[str, Any]]:
    """Entries of the manifest by file name, after comparing the sizes."""
    try:
        if not stat.S_ISREG((manifest := (path / MANIFEST).stat()).st_mode):
            raise ValueError("not a file")
        if manifest.st_size > _MAX_MANIFEST:
            raise ValueError("too large")
        entries: dict[str, dict[str, Any]] = json.loads((path / MANIFEST).read_bytes())["files"]
        wrong = [
            name
            for name, entry in entries.items()
            if Path(name).name != name or (path / name).stat().st_size != entry["bytes"]
        ]
    except FileNotFoundError as error:
        raise FileFormatError(
            f"{path} is incomplete: {Path(error.filename).name} is missing"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FileFormatError(
            f"{path} is damaged: {MANIFEST} cannot be used ({type(error).__name__})"
        ) from None
    if wrong:
        raise FileFormatError(f"{path / wrong[0]} is damaged: its size differs from {MANIFEST}")
    return entries


def _sha256(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read: {error.strerror}") from None
