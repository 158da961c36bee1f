"""Settings of all tests: no example of a property fails by the clock, because the machine may be
busy; all processes of a run find the same tests.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Compiled code is kept once per checkout, for all tests and the processes that they start.
os.environ.setdefault("SPARRING_CACHE_DIR", str(Path(__file__).parents[1] / ".cache" / "sparring"))

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse names of tests with addresses: every process of a run must find the same names."""
    assert not [item.nodeid for item in items if " at 0x" in item.nodeid]
