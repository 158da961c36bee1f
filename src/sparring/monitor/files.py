"""Files of a run's metrics: `metrics.jsonl`, one line a report, and TensorBoard's event files.

On resume both are continued. What was reported after the checkpoint is played again: those lines
are dropped from `metrics.jsonl`, and TensorBoard is told to drop them.
"""

from __future__ import annotations

import errno
import io
import json
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from sparring.errors import InputError

_LONGEST_LINE: Final = 2**20  # bytes


class MetricsWriter(Protocol):
    """Takes one report at a time; x is the number of plies so far."""

    @property
    def path(self) -> Path: ...

    def write(self, values: Mapping[str, float], plies: int) -> None:
        """Raises OSError if the disk does not take the report, which is then left out."""

    def close(self) -> None: ...


class MetricsFile:
    """One JSON object a line: `plies`, `wall_time` (seconds since 1970) and the values by tag."""

    def __init__(self, path: Path, resumed_at: int | None = None) -> None:
        _drop_unfinished_line(path)
        if resumed_at is not None:
            _keep_until(path, resumed_at)
        self.path = path
        self._file = _Records(path)

    def write(self, values: Mapping[str, float], plies: int) -> None:
        report = {"plies": plies, "wall_time": round(time.time(), 3), **values}
        self._file.append(json.dumps(report, allow_nan=False).encode() + b"\n")

    def close(self) -> None:
        self._file.close()


class EventFile:
    """TensorBoard scalars, on the disk as soon as they are written.

    TensorBoard's own writer has a thread, which an error on the disk would end with a traceback.
    """

    def __init__(self, directory: Path, resumed_at: int | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        now, host, process = time.time_ns(), socket.gethostname(), os.getpid()
        name = f"events.out.tfevents.{now // 10**9:010d}.{host}.{process}.{now % 10**9}"
        self.path = directory / name
        self._file = _Records(self.path)
        # what a new file begins with
        self._start = [Event(wall_time=time.time(), file_version="brain.Event:2")]
        if resumed_at is not None:  # readers drop earlier events from this step on
            log = SessionLog(status=SessionLog.START)
            step = resumed_at + 1
            self._start.append(Event(wall_time=time.time(), step=step, session_log=log))

    def write(self, values: Mapping[str, float], plies: int) -> None:
        scalars = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        events = [Event(wall_time=time.time(), step=plies, summary=Summary(value=scalars))]
        if self._file.is_empty:
            events = [*self._start, *events]
        records = io.BytesIO()
        for event in events:
            RecordWriter(records).write(event.SerializeToString())
        self._file.append(records.getvalue())

    def close(self) -> None:
        self._file.close()


class _Records:
    """A file that grows by whole records: one that a full disk cuts is taken back."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)

    @property
    def is_empty(self) -> bool:
        return os.fstat(self._descriptor).st_size == 0

    def append(self, record: bytes) -> None:
        end = os.fstat(self._descriptor).st_size
        if os.write(self._descriptor, record) < len(record):
            os.ftruncate(self._descriptor, end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        os.close(self._descriptor)


def _drop_unfinished_line(path: Path) -> None:
    """Remove the part of a line that a run leaves when it is killed while it writes."""
    if not path.exists():
        return
    if not path.is_file():
        raise InputError(f"{path} is not a file", remedy="move it away")
    with open(path, "rb+") as file:
        start = max(0, file.seek(0, os.SEEK_END) - _LONGEST_LINE)
        file.seek(start)
        tail = file.read()
        if not tail.endswith(b"\n"):
            file.truncate(start + tail.rfind(b"\n") + 1)


def _keep_until(path: Path, plies: int) -> None:
    """Cut the file after the last line of at most so many plies: the rest is played again."""
    if not path.exists():
        return
    kept = 0
    with open(path, "rb") as file:
        # bounded: a damaged file may be one line of gigabytes
        while line := file.readline(_LONGEST_LINE):
            try:
                if json.loads(line)["plies"] > plies:
                    break
            except (ValueError, KeyError, TypeError):
                break
            kept += len(line)
    os.truncate(path, kept)
