"""`sparring plan` against measured runs on this machine.

    python benchmarks/plan_check.py [--turns 2] [--seconds 12] [CASE ...]

For each case the figures are measured, the run is simulated, and a real run of the same settings is
timed with a full replay buffer, without evaluations and checkpoints: one after the other, several
turns, because other programs may come and go. The figures are those of the run's own agent at that
time, so that matches are as long. Printed are medians over the turns; the ratio is that of each
turn.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sparring.bench.machine import busy_share
from sparring.bench.sessions import QUIET, LiveSession, open_session
from sparring.config.schema import TrainConfig
from sparring.config.sources import build_config
from sparring.config.system import available_cpus
from sparring.plan.measure import measure
from sparring.plan.shape import Assumptions, run_of, shape_of
from sparring.plan.simulation import simulate

ROUNDS = 100  # simulated
# With the presets' replay ratio learning binds; with a small one play does.
CASES: Mapping[str, dict[str, Any]] = {
    f"{game}, {what} binds": {"game": game, **ratio}
    for game in ("connect_four", "ludo")
    for what, ratio in (("learning", {}), ("play", {"samples_per_insert": 0.1}))
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--workers", type=int, default=max(1, available_cpus() - 1))
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    print(f"{asked.workers} workers, {asked.threads} threads; before: {busy_share():.0%} busy")
    for name in asked.cases or CASES:
        check(name, CASES[name], asked)


def check(name: str, changes: Mapping[str, Any], asked: argparse.Namespace) -> None:
    hardware = {"num_workers": asked.workers, "learner_threads": asked.threads, "device": "cpu"}
    config = build_config(preset="quick", overrides={**QUIET_RUN, **changes, **hardware})
    predicted: dict[str, list[float]] = {}
    measured: dict[str, list[float]] = {}
    with open_session(config.model_dump()) as session:
        session.warm_up(asked.seconds / 2)
        for _ in range(asked.turns):
            add(predicted, prediction(config, session, asked))
            add(measured, rates(session, asked.seconds))
    print(name)
    for what in predicted:
        ratios = [one / other for one, other in zip(predicted[what], measured[what], strict=True)]
        print(
            f"  {what:12} predicted {statistics.median(predicted[what]):9,.0f}, "
            f"measured {statistics.median(measured[what]):9,.0f}, "
            f"ratio {statistics.median(ratios):.2f} ({', '.join(f'{r:.2f}' for r in ratios)})",
            flush=True,
        )


QUIET_RUN = {
    **{
        name: value
        for name, value in QUIET.items()
        if name in ("eval_interval", "checkpoint_interval", "log_interval", "tensorboard")
    },
    "exploration_initial_eps": 0.2,
    "exploration_final_eps": 0.2,
    "buffer_size": 50_000,  # updates follow its fill, which is to be over soon
    "learning_starts": 1_000,
}


def add(series: dict[str, list[float]], figures: Mapping[str, float]) -> None:
    for what, value in figures.items():
        series.setdefault(what, []).append(value)


def prediction(
    config: TrainConfig, session: LiveSession, asked: argparse.Namespace
) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        agent = Path(folder) / "agent.safetensors"
        session.agent().save(agent)
        start = config.model_copy(update={"init_from": str(agent)})
        figures = measure(start, seconds=asked.seconds / 12)
    shape = shape_of(config, cores=available_cpus(), workers=asked.workers, threads=asked.threads)
    run = dataclasses.replace(run_of(figures, config, shape, Assumptions()), pauses=())
    outcome = simulate(run, ROUNDS)
    matches = 60.0 * shape.episodes * outcome.parts_per_s
    return {
        "matches/min": matches,
        "plies/s": matches / 60.0 * figures.plies_per_match,
        "updates/s": outcome.updates_per_s,
    }


def rates(session: LiveSession, seconds: float) -> dict[str, float]:
    pace = session.slice(seconds)
    return {
        "matches/min": pace.episodes_per_min,
        "plies/s": pace.plies_per_s,
        "updates/s": pace.updates_per_s,
    }


if __name__ == "__main__":
    main()
