"""Limits of the system that many workers meet: open files, and the length of socket paths."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import util
from typing import Final

from sparring.errors import ConfigurationError

# its pipe, its sentinel, the end of the pipe that is its own sentinel, and the mapping of its ring
FILES_A_WORKER: Final = 4
_FILES_BESIDE: Final = 48  # of the fork server, libraries, logs and checkpoints
_SOCKET_PATH: Final = 103  # bytes of the longest path of a socket on macOS; 107 on Linux
_SOCKET_NAME: Final = len("/pymp-xxxxxxxx/listener-xxxxxxxx")
_SHORT_PLACES: Final = ("/tmp", "/var/tmp", "/dev/shm")


def allow_open_files(num_workers: int) -> None:
    """Raise this process's limit of open files to the number that so many workers need.

    Raises `ConfigurationError` where the system does not allow it.
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    beside = _open_files() + _FILES_BESIDE
    needed = beside + FILES_A_WORKER * num_workers
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        affordable = (hard - beside) // FILES_A_WORKER
        fewer = f"use num_workers={affordable} or fewer, or " if affordable > 0 else ""
        workers = "1 worker" if num_workers == 1 else f"{num_workers} workers"
        raise ConfigurationError(
            f"the limit of open files is too low for {workers}",
            got=hard,
            expected=f"at least {needed}",
            remedy=f"{fewer}raise it: ulimit -n {needed}",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _open_files() -> int:
    """The number of files that this process has open, about."""
    try:
        return len(os.listdir("/dev/fd"))
    except OSError:
        return 16


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
