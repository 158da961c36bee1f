"""Wait for processes that a test has started, and inspect them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import psutil

HANG: Final = 600.0  # seconds until a test gives up: for what hangs, never for what is slow
HELPERS = Path(__file__).parent  # for the PYTHONPATH of child processes


def wait_until(holds: Callable[[], bool], pause: float = 0.01) -> None:
    """Wait until `holds()`, or fail after `HANG` seconds."""
    deadline = time.monotonic() + HANG
    while not holds():
        assert time.monotonic() < deadline, f"it did not happen in {HANG:.0f} s"
        time.sleep(pause)


def is_running(process: psutil.Process) -> bool:
    """Return whether it has not ended; a zombie has, and only its parent has not noticed yet."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def workers_of(main: int) -> list[psutil.Process]:
    """Worker processes of a main process: children of its fork server, and spawned ones."""
    try:
        family = psutil.Process(main).children(recursive=True)
        return [
            p
            for p in family
            if p.ppid() != main or "multiprocessing.spawn" in " ".join(p.cmdline())
        ]
    except psutil.NoSuchProcess:
        return []


def shared_memory_of(pid: int) -> set[str]:
    """Inodes of Sparring's anonymous files that a process maps."""
    try:
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    except OSError:  # it has ended, or belongs to another user
        return set()
    return {line.split()[4] for line in lines if "memfd:sparring" in line}
