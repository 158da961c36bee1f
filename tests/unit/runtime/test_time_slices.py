from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
from pathlib import Path
from sparring.runtime.worker import take_long_slices
take_long_slices()
print(Path("/proc/self/sched").read_text())
"""


def slice_of(report: str) -> float | None:
    """Milliseconds, as the kernel reports them."""
    found = re.search(r"se\.slice\s*:\s*(\d+)", report)
    return int(found[1]) / 1e6 if found else None


def custom_slices() -> bool:
    schedule = Path("/proc/self/sched")
    release = (
        re.match(r"(\d+)\.(\d+)", Path("/proc/sys/kernel/osrelease").read_text())
        if schedule.exists()
        else None
    )
    return (
        release is not None
        and (int(release[1]), int(release[2])) >= (6, 12)
        and slice_of(schedule.read_text()) is not None
    )


# Older kernels and other systems leave the request aside, by design: there is nothing to be seen
# then.
@pytest.mark.skipif(
    not custom_slices(), reason="needs Linux 6.12 or newer, with a kernel that tells of time slices"
)
def test_a_process_that_asks_gets_slices_of_20_ms() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert slice_of(done.stdout) == pytest.approx(20.0)
    before = slice_of(Path("/proc/self/sched").read_text())
    assert before is not None
    assert before < 20.0
