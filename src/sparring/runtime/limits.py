"""Limits of the system that many workers meet: open files, and the length of socket paths."""

from __future__ import annotations

import math
import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import util
from typing import Final

from sparring.errors import ConfigurationError

# its pipe, its sentinel, the end of the pipe that is its own sentinel, and the mapping of its ring
FILES_A_WORKER: Final = 4
FILES_A_SERVED_WORKER: Final = FILES_A_WORKER + 2  # both ends of its bell
_FILES_BESIDE: Final = 48  # of the fork server, libraries, logs and checkpoints
_SOCKET_PATH: Final = 103  # bytes of the longest path of a socket on macOS; 107 on Linux
_SOCKET_NAME: Final = len("/pymp-xxxxxxxx/listener-xxxxxxxx")
_SHORT_PLACES: Final = ("/tmp", "/var/tmp", "/dev/shm")


@dataclass(frozen=True)
class FileLimits:
    """Open files of this process, and its limits of them; infinity where there is none."""

    open: int
    soft: float
    hard: float

    def needed(self, num_workers: int, each: int = FILES_A_WORKER) -> int:
        """Open files of a run with so many workers, about."""
        return self.open + _FILES_BESIDE + each * num_workers

    def error(self, num_workers: int, each: int = FILES_A_WORKER) -> ConfigurationError | None:
        """The error of a limit that is too low for so many workers, None if it is not."""
        needed = self.needed(num_workers, each)
        if needed <= self.hard:
            return None
        affordable = (int(self.hard) - self.needed(0)) // each
        fewer = f"use num_workers={affordable} or fewer, or " if affordable > 0 else ""
        workers = "1 worker" if num_workers == 1 else f"{num_workers} workers"
        return ConfigurationError(
            f"the limit of open files is too low for {workers}",
            got=int(self.hard),
            expected=f"at least {needed}",
            remedy=f"{fewer}raise it: ulimit -n {needed}",
        )


def file_limits() -> FileLimits:
    """Return the limits of this process."""
    try:
        import resource
    except ImportError:  # Windows
        return FileLimits(0, math.inf, math.inf)
    soft, hard = (
        math.inf if limit == resource.RLIM_INFINITY else limit
        for limit in resource.getrlimit(resource.RLIMIT_NOFILE)
    )
    return FileLimits(_open_files(), soft, hard)


def allow_open_files(num_workers: int, each: int = FILES_A_WORKER) -> None:
    """Raise this process's limit of open files to the number that so many workers need.

    Raises `ConfigurationError` where the system does not allow it.
    """
    limits = file_limits()
    if limits.needed(num_workers, each) <= limits.soft:
        return
    if error := limits.error(num_workers, each):
        raise error
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits.needed(num_workers, each), hard))


def _open_files() -> int:
    """The number of files that this process has open, about."""
    try:
        return len(os.listdir("/dev/fd"))
    except OSError:
        return 16


def start_failure(error: OSError | EOFError) -> str:
    """Return why a process could not be started; EOFError: the fork server has ended."""
    return getattr(error, "strerror", None) or str(error) or "the fork server ended"


def cannot_start(reason: str) -> ConfigurationError:
    """The error of worker processes that cannot be started."""
    return ConfigurationError(
        "worker processes cannot be started",
        got=reason,
        remedy='lower num_workers, or use backend="inline"',
    )


def process_start_error(start_method: str) -> str:
    """Start a process that ends at once, as workers are started; return why that failed, or ""."""
    try:
        with short_temporary_directory():
            process = multiprocessing.get_context(start_method).Process(target=os.getpid)  # type: ignore[attr-defined]
            process.start()
        process.join()
    except (OSError, EOFError) as error:
        return start_failure(error)
    return "" if process.exitcode == 0 else f"it ended with status {process.exitcode}"


@contextmanager
def short_temporary_directory() -> Iterator[None]:
    """Within the block multiprocessing makes its directory of sockets where their paths are short
    enough, although TMPDIR may be long.
    """
    before = tempfile.tempdir
    if len(os.fsencode(tempfile.gettempdir())) + _SOCKET_NAME > _SOCKET_PATH:
        places = [place for place in _SHORT_PLACES if os.access(place, os.W_OK | os.X_OK)]
        tempfile.tempdir = places[0] if places else before
    try:
        util.get_temp_dir()  # made once for the life of this process, and deleted at its end
        yield
    finally:
        tempfile.tempdir = before
