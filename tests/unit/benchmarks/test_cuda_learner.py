"""benchmarks/cuda_learner.py as far as it goes without a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from child_processes import HANG

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def cuda_learner(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import cuda_learner

    return cuda_learner


def test_without_a_gpu_one_line_says_so() -> None:
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run(
        [sys.executable, BENCHMARKS / "cuda_learner.py"],
        capture_output=True,
        text=True,
        timeout=HANG,
        env=hidden,
    )
    assert (result.returncode, result.stdout, result.stderr) == (
        2,
        "",
        "cuda_learner: no CUDA device here\n",
    )


@pytest.mark.parametrize("prioritized", [False, True])
def test_the_learner_that_is_measured_learns(
    cuda_learner: Any, prioritized: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(cuda_learner, "SERIES", 9)
    series = cuda_learner.learner(
        cuda_learner.random_rows(300),
        torch.device("cpu"),
        prioritized=prioritized,
        bfloat16=False,
    )
    assert (series(), series()) == (9, 9)
