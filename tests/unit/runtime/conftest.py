"""For tests that start other processes: one fork server with what workers need, no waiting for
ever, and nobody left behind.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from typing import NoReturn

import pytest

LONGEST = 600  # seconds, of one test: for those that hang, on a busy machine too


@pytest.fixture(scope="session", autouse=True)
def _fork_server_with_our_preload() -> None:
    """One fork server serves a whole pytest process, and has only what was asked for before its
    first use.
    """
    os.environ.setdefault("SPARRING_PRELOAD_GAME", "tic_tac_toe")
    multiprocessing.set_forkserver_preload(["sparring.runtime.preload"])


@pytest.fixture(autouse=True)
def _no_waiting_for_ever() -> Iterator[None]:
    """A worker that was forgotten is a test that fails, not one that hangs."""

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
    """What workers have to tell the user, where `notify` appends to it."""
    return []


@pytest.fixture
def tiny_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rings of one block: a worker cannot finish a round before the main process has read nearly
    all of it.
    """
    monkeypatch.setattr("sparring.runtime.processes._MOST_RING_BYTES", 1_000)
