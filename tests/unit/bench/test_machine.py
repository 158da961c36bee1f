from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from sparring.bench.machine import busy_share, cpu_model, machine
from sparring.bench.workers import private_bytes


def test_what_a_report_says_of_the_machine() -> None:
    told = machine()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    wanted = {
        "cpu",
        "cpus",
        "quota",
        "usable_cpus",
        "simd",
        "bfloat16",
        "cuda",
        "python",
        "torch",
        "numpy",
        "numba",
        "load",
        "busy",
    }
    assert wanted <= told.keys()
    assert 1 <= told["usable_cpus"] <= told["cpus"]


def test_the_name_of_the_processor(tmp_path: Path) -> None:
    listing = tmp_path / "cpuinfo"
    listing.write_text(
        "processor : 0\nmodel name\t: Fast One\nmodel\t: 2\nprocessor : 1\nmodel name\t: Other\n"
    )
    assert cpu_model(listing) == "Fast One"
    assert cpu_model(tmp_path / "none")


def test_how_busy_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 200 ticks 100 were idle and 20 waited for a disk; guests' ticks, the last two numbers, are
    in others already.
    """
    times = tmp_path / "stat"
    times.write_text("cpu  100 0 50 1000 10 0 0 5 7 7\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
    monkeypatch.setattr(
        time, "sleep", lambda seconds: times.write_text("cpu  140 0 60 1100 30 10 5 20 99 99\n")
    )
    assert busy_share(times) == pytest.approx(1.0 - 120 / 200)
    assert busy_share(tmp_path / "none") is None


def test_memory_that_a_process_has_for_itself(tmp_path: Path) -> None:
    use = tmp_path / "smaps_rollup"
    use.write_text(
        "5-7 ---p 0 0 0 [rollup]\nRss: 9000 kB\nShared_Clean: 80 kB\n"
        "Private_Clean: 4 kB\nPrivate_Dirty: 16 kB\nSwap: 0 kB\n"
    )
    assert private_bytes(use) == 20 * 1024


# Only Linux has the file; what is read out of it is tested above on every system.
@pytest.mark.skipif(
    sys.platform != "linux",
    reason="/proc/self/smaps_rollup, in which memory is counted, is on Linux alone",
)
def test_memory_of_this_process() -> None:
    assert private_bytes() > 2**20
