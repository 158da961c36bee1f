"""Sparring beside two other libraries on the same work and the same two cores: Connect Four against
itself, MLP 2x256, minibatches of 256.

    benchmarks/peers/install_openspiel.sh ENVIRONMENTS/openspiel
    benchmarks/peers/install_agilerl.sh ENVIRONMENTS/agilerl
    python benchmarks/peers/compare.py \\
        --openspiel ENVIRONMENTS/openspiel --agilerl ENVIRONMENTS/agilerl

All sides are started first and fill their replays. Then short turns find out how each is fastest on
two cores: the peers with one torch thread or two, Sparring with which mode and workers. Then the
sides take turns, one working while the others are stopped, so that all see the same machine;
figures are medians over the turns, and ratios are of one run. About a quarter of an hour.

With `--json` the last line is {"machine", "versions": {SIDE: {...}}, CASE: {"ratio", "floor",
"sides": {SIDE: {"plies_per_s", "updates_per_s", "spread": [min, max], "way"}}}}; `ratio` is
Sparring's plies per second over those of the faster peer.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import tyro
from sides import Case, Figures, Peer, Side
from sparring_side import Precision, Sparring

CASES: Final = (
    Case("learning_binds", 64, floor=3.0),
    Case("play_binds", 1024, floor=20.0),
    Case("no_learning", None, floor=None),
)
CORES: Final = 2
TRIALS: Final = 3  # turns of each way of working

Way = str
Table = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """Environments, sides and lengths of the comparison."""

    openspiel: Path
    """Environment that `install_openspiel.sh` has made."""
    agilerl: Path
    """Environment that `install_agilerl.sh` has made."""
    turns: int = 5
    """Turns of each side in each case."""
    seconds: float = 8.0
    """Length of a turn."""
    trial_seconds: float = 3.0
    """Length of a turn that looks for the fastest way of working."""
    precision: Precision = "auto"
    """Precision of Sparring's matrix products; auto: bfloat16 where the CPU has it. The peers have
    float32 only.
    """
    json: bool = False
    """Print one JSON object as the last line."""


def main(settings: Settings) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])  # the sides inherit it
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sides: list[Side] = [
            stack.enter_context(Sparring(folder, settings.precision)),
            stack.enter_context(
                Peer("open_spiel", settings.openspiel.absolute(), "openspiel_dqn.py")
            ),
            stack.enter_context(Peer("agilerl", settings.agilerl.absolute(), "agilerl_dqn.py")),
        ]
        for side in sides:
            print(side.name, side.versions, flush=True)
        report: Table = {
            "machine": machine(),
            "versions": {side.name: side.versions for side in sides},
        }
        for case in CASES:
            report[case.name] = compared(sides, case, settings)
            print_case(case, report[case.name])
    if settings.json:
        print(json.dumps(report))


def compared(sides: Sequence[Side], case: Case, settings: Settings) -> Table:
    """One case: how each side is fastest, and then how fast all are in turn."""
    ways = {side.name: fastest(side, case, settings.trial_seconds) for side in sides}
    rounds = [
        {side.name: side.turn(case, ways[side.name], settings.seconds) for side in sides}
        for _ in range(settings.turns)
    ]
    figures = {
        side.name: entry([turns[side.name] for turns in rounds], ways[side.name]) for side in sides
    }
    best_peer = max(figures[side.name]["plies_per_s"] for side in sides[1:])
    return {
        "ratio": round(figures[sides[0].name]["plies_per_s"] / best_peer, 2),
        "floor": case.floor,
        "sides": figures,
    }


def fastest(side: Side, case: Case, seconds: float) -> Way:
    """The way in which the side gets most plies done; they take turns, too."""
    ways = side.ways(case)
    trials = [
        {way: side.turn(case, way, seconds).plies_per_s for way in ways} for _ in range(TRIALS)
    ]
    best = max(ways, key=lambda way: statistics.median(trial[way] for trial in trials))
    side.keep(case, best)
    return best


def entry(turns: Sequence[Figures], way: Way) -> Table:
    plies = [turn.plies_per_s for turn in turns]
    return {
        "plies_per_s": round(statistics.median(plies), 1),
        "updates_per_s": round(statistics.median(turn.updates_per_s for turn in turns), 2),
        "spread": [round(min(plies), 1), round(max(plies), 1)],
        "way": way,
    }


def print_case(case: Case, table: Mapping[str, Any]) -> None:
    learning = (
        f"one update per {case.plies_per_update:,} plies" if case.plies_per_update else "no updates"
    )
    wanted = f" (wanted: {case.floor:g})" if case.floor else ""
    print(f"\n{case.name}: {learning}; Sparring / the faster peer: {table['ratio']:.1f}{wanted}")
    for name, side in table["sides"].items():
        low, high = side["spread"]
        rates = (
            f"{side['plies_per_s']:>10,.0f} plies/s ({low:,.0f} to {high:,.0f})"
            f" {side['updates_per_s']:>8,.1f} updates/s"
        )
        print(f"  {name:12}{rates}   {side['way']}", flush=True)


def machine() -> dict[str, Any]:
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": CORES,
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
