"""Reports of a run in `metrics.jsonl`: the newest ones, and those that are added."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sparring.storage.atomic import without_waiting

_FIRST: Final = 2**16  # bytes that are read at first, from the end
_MOST: Final = 2**22


def newest_values(path: Path, until: str) -> dict[str, float]:
    """The newest value of each tag, read from the end of the file back to a report that has the tag
    `until`, 4 MiB at most; empty if there is no report.
    """
    values: dict[str, float] = {}
    try:
        with open(path, "rb", opener=without_waiting) as file:
            end, size = file.seek(0, os.SEEK_END), _FIRST
            while True:
                file.seek(max(0, end - size))
                for line in file.read(size).splitlines():  # the first one may be half a report
                    for report in _parsed(line):
                        values |= report
                if until in values or size >= min(end, _MOST):
                    return values
                size *= 8
    except OSError:  # not there yet
        return values


class Reports:
    """Lines that are added to `metrics.jsonl`, whole ones only.

    A resume cuts the file back to its checkpoint and writes on, so the first reading is of all.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def new(self) -> tuple[bool, list[dict[str, float]]]:
        """Return whether the file was read from its beginning, and the reports since the last
        call.
        """
        try:
            with open(self._path, "rb", opener=without_waiting) as file:
                if os.fstat(file.fileno()).st_size < self._offset:
                    self._offset = 0
                file.seek(self._offset)
                data = file.read()
        except OSError:  # not there yet
            return False, []
        anew, whole = self._offset == 0, data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return anew, [report for line in whole.splitlines() for report in _parsed(line)]


def _parsed(line: bytes) -> Iterator[dict[str, float]]:
    try:
        report = json.loads(line)
    except ValueError:
        return
    if isinstance(report, dict) and all(map(_is_finite, report.values())) and "wall_time" in report:
        yield report


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
