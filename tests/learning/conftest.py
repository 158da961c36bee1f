"""One torch thread for all of these trainings, as a worker has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sparring.runtime import torch_threads


@pytest.fixture(autouse=True)
def _one_torch_thread() -> Iterator[None]:
    with torch_threads(1):
        yield
