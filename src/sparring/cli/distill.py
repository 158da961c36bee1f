"""`sparring distill`: another network that plays as an agent does."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sparring.cli.agent_commands import AGENT, RUNS_DIR, SEED, faults_kept
from sparring.cli.options import (
    Form,
    Option,
    auto_number,
    choice,
    parse_all,
    real_number,
    whole_number,
)
from sparring.cli.signals import print_result
from sparring.cli.streams import fitted, print_json, progress_on_stderr, say
from sparring.cli.train_options import JSON, network_options
from sparring.config.network import PolicyKwargs
from sparring.config.sources import agent_options

if TYPE_CHECKING:
    from sparring.training.distillation import DistillResult

_MINUTES: Final = 3.0

DISTILL: Final = Form(
    "Fit another network to the values of an agent: for a smaller file or faster moves.",
    [AGENT],
    {
        "network options": list(network_options({})),
        "options": [
            Option(
                "out",
                "File of the new agent; default: beside the agent's, named after the network.",
                "FILE",
            ),
            Option(
                "max_minutes",
                "Length in minutes.",
                "FLOAT",
                real_number,
                default=f"{_MINUTES:g}",
                absent=_MINUTES,
            ),
            Option(
                "positions",
                "Length in positions of the agent's play, in place of max_minutes.",
                "INT",
                whole_number,
            ),
            Option(
                "afterstates",
                "Value positions after moves (on), or actions (off); default: as the agent does.",
                "on|off",
                choice("on", "off"),
            ),
            SEED,
            Option(
                "device",
                "Device of the learner: auto, cpu, cuda or cuda:0, cuda:1, ...",
                "TEXT",
                default="auto",
                absent="auto",
            ),
            Option(
                "learner_threads",
                "CPU threads of the learner; with 1, equal seeds and positions give equal files; "
                "auto: available CPUs minus 1.",
                "INT|auto",
                auto_number,
                default="auto",
            ),
            JSON,
        ],
        "finding the agent": [
            RUNS_DIR,
            Option(
                "game",
                "The agent's game; naming module:Class allows importing it.",
                "NAME",
                common=False,
            ),
            Option(
                "agent_network",
                "The agent's network, if it is your own: module:factory.",
                "NAME",
                common=False,
            ),
        ],
    },
)


def distill(argv: Sequence[str], prog: str) -> int:
    """Answer `sparring distill`."""
    given = parse_all(DISTILL, argv, prog=prog)
    named = {name: getattr(given, name) for name in PolicyKwargs.model_fields}
    chosen = {name: value for name, value in named.items() if value is not None}
    network = agent_options({"policy_kwargs": chosen}).policy_kwargs
    from sparring.opponents.found import find_agent

    found = find_agent(given.agent, given.runs_dir, game=given.game, network=given.agent_network)
    student = found.folder / f"{found.path.stem}-{_label(network.network)}.safetensors"
    if given.out is not None:
        student = Path(given.out)
    from sparring.cli.evaluate import load_agent
    from sparring.training import distillation

    length = distillation.Length(given.max_minutes, given.positions)
    with progress_on_stderr(given.json), faults_kept(found):
        result = distillation.distill(
            load_agent(found),
            network,
            student,
            length=length,
            afterstates=None if given.afterstates is None else given.afterstates == "on",
            seed=given.seed,
            device=given.device,
            learner_threads=given.learner_threads,
        )
    figures = _figures(result, found.path)
    print_result(
        lambda: print_json(figures) if given.json else _print(figures), stopped=bool(result.signal)
    )
    if result.signal:
        say(f"interrupted; saved in {student}")
    return 128 + result.signal if result.signal else 0


def _label(network: str) -> str:
    """Part of a file name: a user's own network by its factory."""
    return network.rpartition(":")[2]


def _figures(result: DistillResult, teacher: Path) -> dict[str, Any]:
    from sparring.evaluation.score import wilson_interval

    same, n = result.agreement.same_move, result.agreement.positions
    return {
        "agent": str(teacher),
        "student": str(result.student),
        "bytes": {"agent": teacher.stat().st_size, "student": result.student.stat().st_size},
        "weights": result.num_weights,
        "positions": result.positions,
        "updates": result.updates,
        "seconds": round(result.seconds, 3),
        "loss": result.loss if math.isfinite(result.loss) else None,
        "held_out": {
            "positions": n,
            "same_move": same,
            "interval95": list(wilson_interval(same, n)),
            "lost_value": result.agreement.lost_value,
        },
    }


def _print(figures: Mapping[str, Any]) -> None:
    held_out, size = figures["held_out"], figures["bytes"]
    low, high = held_out["interval95"]
    print(
        f"{figures['positions']:,} positions, {figures['updates']:,} updates, "
        f"{figures['seconds']:,.0f} s"
    )
    print(
        fitted(
            f"{figures['student']}: {figures['weights']:,} weights, "
            f"{size['student'] / 1e6:,.2f} MB (the agent: {size['agent'] / 1e6:,.2f} MB)",
            indent=2,
        )
    )
    print(
        fitted(
            f"same move as the agent in {held_out['same_move']:.3f} ({low:.3f}-{high:.3f}) of "
            f"{held_out['positions']:,} held-out positions; "
            f"by its values, a move loses {held_out['lost_value']:.4f} on average",
            indent=2,
        )
    )
