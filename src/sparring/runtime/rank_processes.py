"""The processes of ranks 1, 2, ... on this machine, and ranks that torchrun has started.

Rank 0 is this process. Signals that stop a run reach the whole process group, so the others ignore
them: rank 0 decides. They end with it, whatever ended it (`worker.end_with_parent`). What such a
process raises is left as its last words, which rank 0 reports.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal

import torch

from sparring.errors import RankError
from sparring.rollout.rollout import RolloutSettings
from sparring.runtime.handle import describe_status
from sparring.runtime.main_module import (
    UNGUARDED,
    WORKER_NAME,
    found_in_main,
    main_module_hidden,
    unguarded,
)
from sparring.runtime.processes import PRELOAD
from sparring.runtime.rank_group import Meeting, RankGroup
from sparring.runtime.worker import end_with_parent, ignore_stop_signals, stop_signals_blocked

Serve = Callable[[RankGroup], None]  # body of the other ranks, by its name in a module

_NOTICE: Final = 5.0  # seconds in which the end of a process is noticed after its connection's
_NAP: Final = 0.02


@contextmanager
def local_ranks(
    size: int,
    settings: RolloutSettings,
    serve: Serve,
    start_method: Literal["forkserver", "spawn"],
) -> Iterator[RankGroup]:
    """Start ranks 1 to `size` - 1 of a run, and be connected with them within the block."""
    meeting = Meeting.host(size)
    context = multiprocessing.get_context(start_method)
    if start_method == "forkserver":
        context.set_forkserver_preload(PRELOAD)
    processes: list[Any] = []
    try:
        for rank in range(1, size):
            arguments = meeting.port, rank, size, serve
            name = f"{WORKER_NAME}rank-{rank}"
            make = context.Process  # type: ignore[attr-defined]
            processes.append(make(target=_rank_main, args=arguments, name=name, daemon=True))
            with main_module_hidden(settings), stop_signals_blocked():
                processes[-1].start()
        meeting.lost = lambda: _lost(meeting, processes)
        _wait_for_all(meeting, processes, settings)
        with meeting.group(local=True) as group:
            yield group
    finally:
        _end(processes)


def _wait_for_all(meeting: Meeting, processes: Sequence[Any], settings: RolloutSettings) -> None:
    while not all(meeting.arrived(rank) for rank in range(1, meeting.size)):
        for process in processes:
            if process.exitcode == UNGUARDED and found_in_main(settings):
                raise unguarded(settings)
            if process.exitcode is not None:
                raise RankError(meeting.lost())
        time.sleep(_NAP)


def _lost(meeting: Meeting, processes: Sequence[Any]) -> str:
    """Return which rank ended, and of what; its connection may end before its process does."""
    deadline = time.monotonic() + _NOTICE
    while time.monotonic() < deadline:
        for rank, process in enumerate(processes, start=1):
            if process.exitcode is not None:
                cause = meeting.cause(rank)
                what = f"failed: {cause}" if cause else describe_status(process.exitcode)
                return f"rank {rank} of {meeting.size} {what}"
        time.sleep(_NAP)
    return f"one of the {meeting.size} ranks does not answer"


def _end(processes: Sequence[Any]) -> None:
    """Let all end, which they do when they are told to or lose rank 0."""
    started = [process for process in processes if process.pid is not None]
    deadline = time.monotonic() + _NOTICE
    for process in started:
        process.join(max(0.0, deadline - time.monotonic()))
    for process in started:
        process.kill()
        process.join()


def _rank_main(port: int, rank: int, size: int, serve: Serve) -> None:
    end_with_parent()
    meeting = Meeting.attend(port, rank, size)
    meeting.arrive()
    _serve(meeting, serve, local=True)


@contextmanager
def torchrun_ranks() -> Iterator[RankGroup]:
    """As rank 0 under torchrun: be connected with the other ranks within the block."""
    with Meeting.of_torchrun().group(local=False) as group:
        yield group


def serve_torchrun(serve: Serve) -> None:
    """As another rank under torchrun: serve rank 0 until the run ends."""
    _serve(Meeting.of_torchrun(), serve, local=False)


def _serve(meeting: Meeting, serve: Serve, *, local: bool) -> None:
    ignore_stop_signals()
    torch.set_num_threads(1)
    try:
        with meeting.group(local=local) as group:
            serve(group)
    except RankError:  # rank 0 has ended, or another rank, which rank 0 reports
        sys.exit(1)
    except Exception as error:
        meeting.leave(" ".join(f"{type(error).__name__}: {error}".split()))
        sys.exit(1)
