"""One fork server serves a whole pytest process, and only what it starts with is preloaded: make sure that it is ours."""

from __future__ import annotations

import multiprocessing
import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def _fork_server_with_our_preload() -> None:
    os.environ.setdefault("SPARRING_PRELOAD_GAME", "tic_tac_toe")
    multiprocessing.set_forkserver_preload(["sparring.runtime.preload"])
