"""Ludo training beside the same training the old way, which `benchmarks/naive.py` runs; that file
comes with a checkout only.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from sparring.bench.measure import Cases, Settings, case
from sparring.bench.sessions import LUDO
from sparring.bench.whole import BarePieces, fastest, useful_threads
from sparring.errors import SparringError

SCRIPT: Final = Path(__file__).parents[3] / "benchmarks" / "naive.py"
_LONGER: Final = 2.0  # slices, beside the settings'


def measure(settings: Settings) -> Cases:
    """Matches, plies and updates of both, in turns; the column `limit` has the old way's rates."""
    if not SCRIPT.is_file():
        settings.note("naive: skipped: benchmarks/naive.py comes with a checkout only")
        return {}
    try:
        return _compared(settings)
    except SparringError as error:
        settings.note(f"naive: skipped: {error}")  # keep what was measured before
        return {}


def _compared(settings: Settings) -> Cases:
    seconds = settings.seconds * _LONGER
    ours: list[tuple[float, ...]] = []
    theirs: list[tuple[float, ...]] = []
    with ExitStack() as stack:
        threads = useful_threads(BarePieces({**LUDO, "mode": "sync"}, settings.seconds).speeds()[1])
        trials = {
            mode: fastest(settings, stack, "ludo", {**LUDO, "mode": mode}, threads)
            for mode in ("overlap", "async")
        }
        mode, session = max(trials.items(), key=lambda trial: trial[1].slice(seconds).plies_per_s)
        for turn in range(settings.slices):
            settings.say(f"naive: turn {turn + 1} of {settings.slices}")
            pace = session.slice(seconds)
            ours.append((pace.episodes_per_min, pace.plies_per_s, pace.updates_per_s))
            naive = _naive(seconds)
            theirs.append((naive["episodes_per_min"], naive["plies_per_s"], naive["updates_per_s"]))
    also = {"mode": mode, "workers": session.config.num_workers}
    units = ("matches/min", "plies/s", "updates/s")
    sides = zip(units, zip(*ours, strict=True), zip(*theirs, strict=True), strict=True)
    return {
        f"ludo_{unit.partition('/')[0]}": case(our, unit, limits=their, also=also)
        for unit, our, their in sides
    }


def _naive(seconds: float) -> dict[str, Any]:
    """Figures of one run of the script in a process of its own, without its start."""
    command = [sys.executable, str(SCRIPT), "--seconds", str(seconds), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        reason = " ".join(done.stderr.splitlines()[-1:]) or "no message"
        raise SparringError(f"{SCRIPT.name} failed: {reason}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures
