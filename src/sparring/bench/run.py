"""One run of the benchmark: the machine, then the parts, one after the other."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from sparring.bench import measure_part, show
from sparring.bench.machine import machine
from sparring.bench.measure import Cases, Settings
from sparring.runtime import torch_threads


def run(parts: Sequence[str], seconds: float) -> dict[str, Any]:
    """Measure `parts` in slices of `seconds`, print each when it is done, and return the JSON
    object of all, without skipped parts.
    """
    begun = time.perf_counter()
    report: dict[str, Any] = {"machine": machine()}
    show.print_machine(report["machine"])
    measured: dict[str, Cases] = {}
    with torch_threads(1):
        for part in parts:
            with show.progress() as say:
                cases = measure_part(part, Settings(seconds, say=say, note=show.note))
            if cases:
                measured[part] = cases
                report[part] = {name: one.to_json() for name, one in cases.items()}
                show.print_part(part, cases)
    show.print_floors(measured, time.perf_counter() - begun)
    return report
