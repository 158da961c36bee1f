"""A report as one line of text, for logs and pipes: a time stamp, no control codes, no wrapping."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from sparring.monitor.state import (
    BUFFER_FILL,
    EPSILON,
    EVAL_SCORE,
    LEARNER_IDLE,
    WORKERS_IDLE,
    ConsoleState,
    Opponent,
    clock_time,
    count,
    figure,
    percent,
)

MAX_OPPONENTS: Final = 4


def report_line(progress: ConsoleState, at: float | None = None) -> str:
    """Return one report as a line that begins with the local time: now, or `at` in seconds since
    1970.
    """
    return "  ".join((time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)), *_cells(progress)))


def _cells(progress: ConsoleState) -> Iterator[str]:
    """Cells of a report, most important first."""
    get = progress.values.get
    yield f"{percent(progress.share):>5}"
    yield f"{count(progress.episodes)} matches"
    yield f"ETA {clock_time(progress.eta)}"
    for tag, unit in (
        ("perf/plies_per_s", " plies/s"),
        ("perf/episodes_per_min", "/min"),
        ("perf/updates_per_s", " updates/s"),
    ):
        if (value := get(tag)) is not None:
            yield f"{count(value)}{unit}"
    for name, tag in (
        ("loss", "train/loss"),
        ("Q", "train/q_mean"),
        ("epsilon", EPSILON),
        ("score", EVAL_SCORE),
    ):
        if (value := get(tag)) is not None:
            yield f"{name} {figure(value)}"
    for name, tag in (
        ("buffer", BUFFER_FILL),
        ("workers idle", WORKERS_IDLE),
        ("learner idle", LEARNER_IDLE),
    ):
        if (value := get(tag)) is not None:
            yield f"{name} {percent(value).strip()}"
    yield from map(_result, progress.opponents()[:MAX_OPPONENTS])


def _result(opponent: Opponent) -> str:
    """Return the win rate in evaluation if there is one, else in training."""
    if opponent.mean_return is not None:
        name = opponent.name
        if opponent.greedy is not None:
            name = f"vs {name} {percent(opponent.greedy).strip()},"
        return f"{name} return {opponent.mean_return:+.3g}"
    if opponent.greedy is not None:
        return f"vs {opponent.name} {percent(opponent.greedy).strip()}"
    return f"vs {opponent.name} {percent(opponent.exploring).strip()} (training)"
