"""For tests that start other processes: one fork server that has loaded what workers need, a limit
on the time of each test, and a check that no process is left.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from typing import NoReturn

import pytest

LONGEST = 600  # seconds for one test: only a test that hangs takes so long


@pytest.fixture(scope="session", autouse=True)
def _fork_server_with_our_preload() -> None:
    """One fork server serves the whole pytest process; what it preloads is set before its first
    use.
    """
    os.environ.setdefault("SPARRING_PRELOAD_GAME", "tic_tac_toe")
    multiprocessing.set_forkserver_preload(["sparring.runtime.preload"])


@pytest.fixture(autouse=True)
def _time_limit() -> Iterator[None]:
    """A test that waits for ever fails instead of hanging."""

    def too_long(*_: object) -> NoReturn:
        raise TimeoutError(f"this test has taken {LONGEST} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(LONGEST)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    yield
    assert multiprocessing.active_children() == []


@pytest.fixture
def notes() -> list[str]:
    """Remarks for the user, where `notify` appends to it."""
    return []


@pytest.fixture
def tiny_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rings of one block: a worker cannot finish a round before the main process has read nearly
    all of it.
    """
    monkeypatch.setattr("sparring.runtime.processes._MAX_RING_BYTES", 1_000)
