"""Locks between processes: `flock`, which the system releases when its holder ends, even if it is
killed.
"""

from __future__ import annotations

import contextlib
import os
import platform
import time
from pathlib import Path
from typing import Final

from sparring.errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_SUPPORTED: bool = fcntl is not None
_ATTEMPTS: Final = 10
_PAUSE: Final = 0.01  # seconds


def require_locks() -> None:
    """Raise `InputError` where the system has no such locks."""
    if fcntl is None:
        raise InputError(
            "training and saving need file locks",
            got=platform.system(),
            expected="Linux or macOS",
            remedy="on Windows use WSL",
        )


def lock(descriptor: int, *, wait: bool) -> None:
    """Lock a file for this process alone; without `wait`, BlockingIOError if another one has it."""
    require_locks()
    fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def is_locked(path: Path) -> bool:
    """Return whether a process holds the `DirectoryLock` of this directory; writes nothing.

    For less than a millisecond it keeps others from that lock, who try again.
    """
    return any(map(_is_locked, (path, path / "lock")))


def _is_locked(path: Path) -> bool:
    if not _SUPPORTED:
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # no lock file yet
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # this file system locks no directories
        return False
    finally:
        os.close(descriptor)
    return False


def _lock_soon(descriptor: int) -> None:
    """Lock a file that `is_locked` may be looking at; BlockingIOError if another process has it."""
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(BlockingIOError):
            lock(descriptor, wait=False)
            return
        time.sleep(_PAUSE)
    lock(descriptor, wait=False)


class DirectoryLock:
    """Locks of a directory and of its file `lock`, which names the process that holds them.

    The file is for file systems that cannot lock directories (NFS), the directory for files that
    are deleted.
    """

    def __init__(self, path: Path) -> None:
        """InputError with the process id of the holder if another process has one of them."""
        require_locks()
        self._paths = (path, path / "lock")
        self._descriptors: list[int] = []
        try:
            self._lock_both()
        except OSError as error:
            self.close()
            raise self._refusal(error) from None

    @property
    def is_held(self) -> bool:
        """Return whether both paths are still those that were locked."""
        try:
            pairs = zip(self._paths, self._descriptors, strict=True)
            return all(os.path.samestat(os.stat(path), os.fstat(fd)) for path, fd in pairs)
        except OSError:
            return False

    def close(self) -> None:
        """Release both locks."""
        for descriptor in self._descriptors:
            # Closing is not enough: a forked child with a copy of the descriptor would keep the
            # lock.
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)
        self._descriptors.clear()

    def _lock_both(self) -> None:
        directory, file = self._paths
        self._descriptors.append(os.open(directory, os.O_RDONLY))
        self._lock_directory()
        self._descriptors.append(os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666))
        _lock_soon(self._descriptors[1])
        os.truncate(self._descriptors[1], 0)
        os.pwrite(self._descriptors[1], str(os.getpid()).encode(), 0)

    def _lock_directory(self) -> None:
        try:
            _lock_soon(self._descriptors[0])
        except BlockingIOError:
            raise
        except OSError:
            pass  # this file system locks no directories

    def _refusal(self, error: OSError) -> InputError:
        directory, file = self._paths
        run = directory.resolve().name
        if not isinstance(error, BlockingIOError):
            return InputError(f"the run {run!r} cannot be locked: {error.strerror}")
        try:
            descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with open(descriptor, "rb") as text:
                holder = f"process {int(text.read(20))}"
        except (OSError, ValueError):
            holder = "another process"
        return InputError(
            f"the run {run!r} is in use by {holder}",
            remedy="wait until it ends, or choose another run",
        )
