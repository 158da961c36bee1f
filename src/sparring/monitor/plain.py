"""The same figures as lines of text, for logs and pipes: no control codes, at most 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from sparring.monitor.state import (
    BUFFER_FILL,
    EPSILON,
    LEARNER_WAITS,
    RATING,
    WORKERS_WAIT,
    ConsoleState,
    Opponent,
    clock_time,
    count,
    figure,
    percent,
)

WIDTH: Final = 80
MAX_OPPONENTS: Final = 4
_INDENT: Final = " " * 7


def report_lines(progress: ConsoleState) -> list[str]:
    """One report, two or three lines; the first says how far the run is."""
    return list(_pack(_cells(progress)))


def _cells(progress: ConsoleState) -> Iterator[str]:
    """Cells of a report, most important first; a cell is never broken between lines."""
    get = progress.values.get
    yield f"{percent(progress.share):>5}"
    yield f"{count(progress.episodes)} matches"
    yield f"left {clock_time(progress.left)}"
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
        ("rating", RATING),
    ):
        if (value := get(tag)) is not None:
            yield f"{name} {figure(value)}"
    for name, tag in (
        ("buffer", BUFFER_FILL),
        ("workers wait", WORKERS_WAIT),
        ("learner waits", LEARNER_WAITS),
    ):
        if (value := get(tag)) is not None:
            yield f"{name} {percent(value).strip()}"
    yield from map(_result, progress.opponents()[:MAX_OPPONENTS])


def _result(opponent: Opponent) -> str:
    """Greedy results where there are any; an asterisk marks those of exploring matches."""
    if opponent.greedy is not None:
        return f"beats {opponent.name} {percent(opponent.greedy).strip()}"
    return f"beats {opponent.name} {percent(opponent.exploring).strip()}*"


def _pack(cells: Iterable[str]) -> Iterator[str]:
    """Cells side by side, as many as fit on a line; a cell that is too long by itself is cut."""
    line = ""
    for cell in cells:
        if line and len(line) + 2 + len(cell) > WIDTH:
            yield line
            line = _INDENT + cell
        else:
            line = f"{line}  {cell}" if line else cell
        line = line[:WIDTH]
    yield line
