"""`sparring plan` against measured runs on this machine.

    python benchmarks/plan_check.py [--turns 12] [--seconds 1] [CASE ...]

For each case a real run with a full replay buffer, without evaluations and checkpoints, alternates
with the measurements of `plan`: a slice of one, a slice of the other, because other programs may
come and go. From the speeds of a turn the run is simulated; the ratio is that of predicted and
measured rates within a turn, and its median over the turns is printed, with the quartiles. Both
play with the run's own agent after its warm-up, so that matches are about as long.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sparring.bench.machine import busy_share
from sparring.bench.sessions import QUIET, open_session
from sparring.config.schema import TrainConfig
from sparring.config.sources import build_config
from sparring.config.system import available_cpus
from sparring.plan.figures import Figures
from sparring.plan.measure import Turn, measuring
from sparring.plan.shape import Assumptions, expected, shape_of

ROUNDS = 100  # simulated
WARM_UP = 5.0  # seconds
# With the presets' replay ratio learning binds; with a small one play does.
CASES: Mapping[str, dict[str, Any]] = {
    f"{game}, {what} binds": {"game": game, **ratio}
    for game in ("connect_four", "ludo")
    for what, ratio in (("learning", {}), ("play", {"samples_per_insert": 0.1}))
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}")
    parser.add_argument("--turns", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--workers", type=int, default=max(1, available_cpus() - 1))
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    print(f"{asked.workers} workers, {asked.threads} threads; before: {busy_share():.0%} busy")
    for name in asked.cases or CASES:
        check(name, CASES[name], asked)


def check(name: str, changes: Mapping[str, Any], asked: argparse.Namespace) -> None:
    hardware = {"num_workers": asked.workers, "learner_threads": asked.threads, "device": "cpu"}
    config = build_config(preset="quick-dqn", overrides={**QUIET_RUN, **changes, **hardware})
    threads = sorted({1, asked.threads})
    turns, paces = [], []
    with ExitStack() as stack:
        session = stack.enter_context(open_session(config.model_dump()))
        session.warm_up(WARM_UP)
        agent = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "agent.safetensors"
        session.agent().save(agent)
        start = config.model_copy(update={"init_from": str(agent)})
        plan = stack.enter_context(
            measuring(start, seconds=asked.seconds, say=quietly, threads=threads, batches=(1,))
        )
        for _ in range(asked.turns):
            turns.append(plan.turn())
            paces.append(session.slice(asked.seconds * len(threads)))
        figures = plan.figures()
    show(
        name,
        [prediction(figures, turn, config, asked) for turn in turns],
        [
            {
                "matches/min": pace.episodes_per_min,
                "plies/s": pace.plies_per_s,
                "updates/s": pace.updates_per_s,
            }
            for pace in paces
        ],
    )


def prediction(
    figures: Figures, turn: Turn, config: TrainConfig, asked: argparse.Namespace
) -> dict[str, float]:
    """Rates that follow from the speeds of one turn."""
    of_turn = dataclasses.replace(
        figures,
        plies_per_s=turn.plies_per_s,
        plies_per_s_alone=turn.plies_per_s_alone,
        updates=turn.updates,
    )
    shape = shape_of(config, cores=available_cpus(), workers=asked.workers, threads=asked.threads)
    _, outcome = expected(of_turn, config, shape, Assumptions(), ROUNDS)
    matches = 60.0 * shape.episodes * outcome.parts_per_s
    plies = matches / 60.0 * figures.plies_per_match
    return {"matches/min": matches, "plies/s": plies, "updates/s": outcome.updates_per_s}


def show(
    name: str, predicted: Sequence[Mapping[str, float]], measured: Sequence[Mapping[str, float]]
) -> None:
    print(name)
    for what in predicted[0]:
        pairs = [(p[what], m[what]) for p, m in zip(predicted, measured, strict=True)]
        low, middle, high = statistics.quantiles([p / m for p, m in pairs], n=4)
        medians = [statistics.median(side) for side in zip(*pairs, strict=True)]
        print(
            f"  {what:12} predicted {medians[0]:9,.0f}, measured {medians[1]:9,.0f}, "
            f"ratio {middle:.2f} ({low:.2f} to {high:.2f})",
            flush=True,
        )


def quietly(text: str) -> None:
    pass


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
    "max_snapshots": 0,  # a young run has none; `plan` measures with as many as in mid-run
}


if __name__ == "__main__":
    main()
