"""Figures of a plan from the report of `sparring bench --json`.

They are those of the benchmark's own network, for Connect Four. What it does not measure is taken
as nothing (evaluations, checkpoints, a worker's start of a round) or as usual (`_PART`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sparring.bench.work import BATCH, MLP
from sparring.config.schema import TrainConfig
from sparring.dqn.networks import count_weights
from sparring.errors import FileFormatError
from sparring.plan.figures import CPU, CUDA, Figures, UpdateTime
from sparring.replay.build import replay_bytes
from sparring.replay.transitions import transition_dtype

_PART: Final = 0.2e-3  # seconds of the main process for a part of a round
_MICRO: Final = 1e-6
_SPREAD: Final = 0.3  # of the plies of a match


def figures_of_benchmark(report: Mapping[str, Any], origin: str, config: TrainConfig) -> Figures:
    """Raise `FileFormatError` for a part that is missing."""

    def rate(part: str, case: str) -> float:
        try:
            found = float(report[part][case]["rate"])
        except (KeyError, TypeError, ValueError):
            found = 0.0
        if not found > 0.0:
            raise FileFormatError(
                f"{origin} lacks {part} {case}",
                remedy="make one with `sparring bench --part actor --part transport "
                "--part learner --part whole --json`",
            )
        return found

    machine = report["machine"] if isinstance(report["machine"], dict) else {}
    precision = "bfloat16" if machine.get("bfloat16") else "float32"
    kind = "prioritized" if config.prioritized_replay else "uniform"
    seconds = 1.0 / rate("learner", f"cpu_{precision}_{kind}")
    updates = [UpdateTime(CPU, 1, BATCH, seconds, seconds)]
    on_gpu = f"cuda_float32_{kind}"
    if on_gpu in report.get("learner", {}):
        seconds = 1.0 / rate("learner", on_gpu)
        updates.append(UpdateTime(CUDA, 1, BATCH, seconds, seconds))
    row = "ring_to_prioritized" if config.prioritized_replay else "round_to_replay"
    plies_per_match = _plies_per_match(report, rate("whole", "play_overlap"), origin)
    spec = MLP.game_spec
    return Figures(
        game=spec.name,
        source=f"benchmark of {machine.get('cpu', 'a machine')}",
        network=f"of the benchmark (MLP 2 x 256), not of the preset, batch {BATCH}",
        cpus=max(1, int(machine.get("usable_cpus") or 1)),
        plies_per_s=rate("actor", f"mlp_{precision}"),
        plies_per_s_alone=rate("actor", f"mlp_{precision}"),
        plies_per_match=plies_per_match,
        rows_per_match=plies_per_match,
        match_spread=_SPREAD,
        start=0.0,
        part=_PART,
        row=1.0 / rate("transport", row),
        publish=_MICRO * rate("transport", f"broadcast_{precision}"),
        evaluation=0.0,
        checkpoint=0.0,
        row_bytes=transition_dtype(spec).itemsize,
        replay_bytes=replay_bytes(spec, config),
        weights=count_weights(MLP),
        max_plies=spec.max_plies,
        updates=tuple(updates),
    )


def _plies_per_match(report: Mapping[str, Any], plies_per_s: float, origin: str) -> float:
    try:
        return (
            60.0 * plies_per_s / float(report["whole"]["play_overlap"]["also"]["episodes_per_min"])
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        raise FileFormatError(f"{origin} lacks the matches of whole play_overlap") from None
