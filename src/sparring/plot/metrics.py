"""Series over plies from `metrics.jsonl` of a run."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparring.errors import FileFormatError, InputError

EVAL_WINS: Final = "eval/win_rate/"
EVAL_DRAWS: Final = "eval/draw_rate/"
EVAL_RETURNS: Final = "eval/return/"
ROLLOUT_WINS: Final = "rollout/win_rate/"
_WINDOWS: Final = 25  # smoothing windows in a series
_MIN_SMOOTHED: Final = 10  # values; a shorter series is not smoothed
_MAX_BYTES: Final = 2**31


@dataclass(frozen=True)
class Series:
    """The values of one tag, in the reports that have it."""

    plies: NDArray[np.float64]  # [n] increasing
    values: NDArray[np.float64]  # [n]

    def __len__(self) -> int:
        return len(self.plies)

    @property
    def is_smoothed(self) -> bool:
        """True if `smoothed` changes the series."""
        return len(self) >= _MIN_SMOOTHED

    def smoothed(self) -> Series:
        """The series with each value replaced by the mean of a window around it: a 25th of the
        series, at least three values, fewer at the ends.

        A series of less than 10 values is returned as it is.
        """
        if not self.is_smoothed:
            return self
        reach = max(1, len(self) // (2 * _WINDOWS))
        index = np.arange(len(self))
        first, last = np.maximum(index - reach, 0), np.minimum(index + reach + 1, len(self))
        total = np.concatenate([[0.0], np.cumsum(self.values)])
        return Series(self.plies, (total[last] - total[first]) / (last - first))


class Metrics:
    """The reports of a run, in order of plies. A report has `plies`, its place on the x-axis, and
    values by tag.
    """

    def __init__(self, reports: Sequence[Mapping[str, float]]) -> None:
        self._reports = _without_replayed(reports)

    @property
    def plies(self) -> float:
        """Length of the run so far."""
        return self._reports[-1]["plies"]

    def series(self, tag: str) -> Series:
        """The values of `tag`; an empty series if no report has it."""
        points = [(report["plies"], report[tag]) for report in self._reports if tag in report]
        plies, values = np.array(points, np.float64).reshape(-1, 2).T
        return Series(plies, values)

    def last(self, tag: str) -> float | None:
        """The newest value of `tag`, or None."""
        return next((report[tag] for report in reversed(self._reports) if tag in report), None)

    def with_returns(self) -> list[str]:
        """The names that have mean returns of evaluations."""
        tags = dict.fromkeys(tag for report in self._reports for tag in report)
        return [tag.removeprefix(EVAL_RETURNS) for tag in tags if tag.startswith(EVAL_RETURNS)]

    def opponents(self) -> list[str]:
        """The names of all opponents: first those with greedy results, then self, then others, then
        snapshots, the newest first.
        """
        tags = dict.fromkeys(tag for report in self._reports for tag in report)
        greedy = [tag.removeprefix(EVAL_WINS) for tag in tags if tag.startswith(EVAL_WINS)]
        others = [tag.removeprefix(ROLLOUT_WINS) for tag in tags if tag.startswith(ROLLOUT_WINS)]
        return list(dict.fromkeys([*greedy, *sorted(others, key=_rank)]))


def read_metrics(path: Path) -> Metrics:
    """The reports in a `metrics.jsonl`, without a last line that a running process has not
    finished.

    Raises `InputError` if there is no report yet, `FileFormatError` for an invalid line.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise FileFormatError(f"{path} is too large", expected=f"at most {_MAX_BYTES:,} bytes")
        lines = path.read_bytes().split(b"\n")[:-1]
    except OSError as error:
        raise InputError(
            f"no metrics in {path.parent}",
            got=f"{error.strerror} ({path.name})",
            remedy="train first",
        ) from None
    if not lines:
        raise InputError(
            f"no metrics in {path.parent} yet",
            got=f"no report in {path.name}",
            remedy="wait for the first one",
        )
    return Metrics(
        [_report(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)]
    )


def _report(line: bytes, where: str) -> dict[str, float]:
    try:
        report: Any = json.loads(line)
    except ValueError:
        report = None
    if not isinstance(report, dict) or "plies" not in report:
        raise FileFormatError(
            f"{where}: invalid report", expected="a JSON object with plies and values by tag"
        )
    for tag, value in report.items():
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
        ):
            raise FileFormatError(f"{where}: {tag}", got=repr(value), expected="a finite number")
    return report


def _without_replayed(reports: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """The reports that led to the newest one.

    A run that was killed resumes from its last checkpoint: the later report replaces one of plies
    that are played again. Two reports at the same ply are merged.
    """
    kept: list[dict[str, float]] = []
    for report in reports:
        while kept and kept[-1]["plies"] > report["plies"]:
            kept.pop()
        if kept and kept[-1]["plies"] == report["plies"]:
            kept[-1].update(report)
        else:
            kept.append(dict(report))
    return kept


def _rank(name: str) -> tuple[int, int]:
    number = name.removeprefix("snapshot:")
    if number.isdecimal():
        return 2, -int(number)
    return (0 if name == "self" else 1), 0
