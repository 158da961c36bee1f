"""Locks between processes: `flock`, which the system releases when its holder ends, however it
ends.
"""

from __future__ import annotations

import platform
from typing import BinaryIO

from sparring.errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def require_locks() -> None:
    """Raise `InputError` where the system has no such locks."""
    if fcntl is None:
        raise InputError(
            "training and saving need file locks",
            got=platform.system(),
            expected="Linux or macOS",
            remedy="on Windows use WSL",
        )


def lock(file: BinaryIO, *, wait: bool) -> None:
    """Lock a file for this process alone; without `wait`, BlockingIOError if another one has it."""
    require_locks()
    fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def unlock(file: BinaryIO) -> None:
    """Release the lock, also for forked children that have a copy of the descriptor."""
    fcntl.flock(file, fcntl.LOCK_UN)
