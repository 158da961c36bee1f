"""Files of a run's metrics: `metrics.jsonl`, one line a report, and TensorBoard's event
files. Both are appended to on resume.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter


class MetricsWriter(Protocol):
    """Takes one report at a time; x is the number of plies so far."""

    def write(self, values: Mapping[str, float], plies: int) -> None: ...

    def close(self) -> None: ...


class MetricsFile:
    """One JSON object a line: `plies`, `wall_time` (seconds since 1970) and the values by tag."""

    def __init__(self, path: Path) -> None:
        _drop_unfinished_line(path)
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115

    def write(self, values: Mapping[str, float], plies: int) -> None:
        self._file.write(
            json.dumps(
                {"plies": plies, "wall_time": round(time.time(), 3), **values}, allow_nan=False
            )
            + "\n"
        )
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class EventFile:
    """TensorBoard scalars, on the disk as soon as they are written."""

    def __init__(self, directory: Path) -> None:
        self._writer = EventFileWriter(str(directory))

    def write(self, values: Mapping[str, float], plies: int) -> None:
        scalars = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        self._writer.add_event(
            Event(wall_time=time.time(), step=plies, summary=Summary(value=scalars))
        )
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


def _drop_unfinished_line(path: Path) -> None:
    """Remove the part of a line that a run leaves when it is killed while it writes."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    if not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)
