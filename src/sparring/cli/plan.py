"""`sparring plan`: its options, and its answer. torch is imported only to measure."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sparring.cli.options import (
    Argument,
    Form,
    Option,
    choice,
    parse_all,
    real_number,
    whole_number,
)
from sparring.cli.streams import print_json, progress_on_stderr
from sparring.cli.train_options import JSON, QUICK
from sparring.errors import InputError

if TYPE_CHECKING:
    from sparring.config.schema import TrainConfig
    from sparring.plan.figures import Figures

_MAX_CORES: Final = 20_000


def _between(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        value = whole_number(text)
        if not least <= value <= most:
            raise ValueError(f"a whole number from {least:,} to {most:,}")
        return value

    return read


def _positive(text: str) -> float:
    value = real_number(text)
    if not 0.0 < value < math.inf:  # NaN, too
        raise ValueError("a number above 0")
    return value


PLAN: Final = Form(
    "Plan a run for other hardware: measure this machine for half a minute, then simulate. "
    "Nothing is trained.",
    [Argument("game", "GAME", "Game name, or module:Class for your own.")],
    {
        "hardware": [
            Option(
                "cores",
                "CPU cores to plan for.",
                "INT",
                _between(2, _MAX_CORES),
                default="48",
                absent=48,
            ),
            Option("gpus", "GPUs to plan for.", "INT", _between(0, 64), default="0", absent=0),
            Option(
                "nodes",
                "Machines that share the cores, with the learner on one of them.",
                "INT",
                _between(1, _MAX_CORES),
                default="1",
                absent=1,
            ),
            Option(
                "gpu_updates",
                "Updates per second on one of the GPUs; auto: measured, or assumed.",
                "FLOAT",
                _positive,
                default="auto",
            ),
            Option(
                "link_gbit",
                "Network link of the learner's machine, in Gbit/s.",
                "FLOAT",
                _positive,
                default="10",
                absent=10.0,
            ),
        ],
        "options": [
            Option("preset", "Preset of the run.", "NAME", default=QUICK, absent=QUICK),
            Option(
                "mode",
                "sync, overlap or async. Default: the preset's.",
                "NAME",
                choice("sync", "overlap", "async"),
            ),
            Option(
                "agents",
                "Agents that are trained at once in the last plan. Default: one per GPU, or 6.",
                "INT",
                _between(1, 64),
            ),
            Option(
                "init_from",
                "Agent file whose matches are measured; a trained agent's are longer, or shorter.",
                "FILE",
            ),
            Option(
                "from",
                "Take the figures from a file, which plan --json or bench --json printed.",
                "FILE",
            ),
            JSON,
        ],
    },
)


def plan(argv: Sequence[str], prog: str) -> int:
    """Answer `sparring plan`; bad input is reported without waiting for torch."""
    given = parse_all(PLAN, argv, prog=prog)
    from sparring.config.sources import build_config
    from sparring.games import check_name

    check_name(given.game)
    if given.nodes > given.cores:
        raise InputError("--nodes", got=given.nodes, expected=f"at most the {given.cores} cores")
    if given.init_from and vars(given)["from"]:
        raise InputError("--init-from has no effect with --from", remedy="drop one of them")
    asked = {"game": given.game, "mode": given.mode, "init_from": given.init_from}
    overrides = {name: value for name, value in asked.items() if value is not None}
    config = build_config(preset=given.preset, overrides=overrides)
    with progress_on_stderr(given.json):
        report = _answer(given, config)
    if given.json:
        print_json(report)
    return 0


def _answer(given: Any, config: TrainConfig) -> dict[str, Any]:
    from sparring.plan import plans, shape, show

    figures = _figures(vars(given)["from"], config)
    assumed = shape.Assumptions(given.gpu_updates, given.link_gbit)
    machine = plans.Machine(given.cores, given.gpus, given.nodes)
    agents = given.agents or given.gpus or _AGENTS
    found = plans.plans(
        figures, config, machine, preset=given.preset, agents=agents, assumed=assumed
    )
    show.print_plans(figures, config, machine, found, assumed, given.preset)
    return {
        "game": figures.game,
        "preset": given.preset,
        "machine": dataclasses.asdict(machine),
        "assumed": show.assumptions(figures, machine, assumed),
        "plans": [one.to_json() for one in found],
        "figures": figures.to_json(),
    }


_AGENTS: Final = 6  # where there is no GPU


def _figures(file: str | None, config: TrainConfig) -> Figures:
    """The figures of a file, else measured now."""
    if file is None:
        from sparring.bench.show import progress
        from sparring.plan.measure import measure

        with progress() as say:
            return measure(config, say=say)
    from sparring.plan.figures import figures_of, read_report

    return figures_of(read_report(Path(file)), file, config)
