"""Workers as processes of this machine.

One pipe and one ring of shared memory per worker and incarnation, one block of weights for all; no
queue, lock or manager that a killed process could leave stuck. What is said on the pipes stands in
`worker.py`.

    starting --first command--> busy --report for its last command--> idle --next command--> busy
    any --process ends--> replaced: a new incarnation, with random streams of its own, is started
                          in its place and receives the unfinished commands again; rows that its
                          predecessor sent for an unfinished part are discarded

A worker that met what its successor would meet again, a fault of the game above all, says so, and
the error is raised here at once.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from types import TracebackType
from typing import Any, Final, Literal, Self

from numpy.typing import NDArray

from sparring.errors import GameFault, WorkerError
from sparring.replay.transitions import join_rows, transition_dtype
from sparring.rollout.rollout import Rollout, RolloutSettings
from sparring.rollout.round import RoundCommand, RoundReport
from sparring.runtime.base import Batch, Notify
from sparring.runtime.main_module import (
    UNGUARDED,
    WORKER_NAME,
    found_in_main,
    main_module_hidden,
    unguarded,
)
from sparring.runtime.shared_memory import Ring, SharedBlock
from sparring.runtime.weights import WeightStore
from sparring.runtime.worker import PRELOAD_GAME, Body, WorkerJob, deaf_to_ctrl_c, worker_main

StartMethod = Literal["forkserver", "spawn"]

_PRELOAD: Final = ["sparring.runtime.preload"]
_MOST_FAILURES: Final = 3  # of one worker in a row, without a finished round in between
_MOST_RING_BYTES: Final = 64 * 2**20
# seconds; a look at the pipes of 46 workers takes 0.1 ms, and the rings hold a whole round
_POLL_INTERVAL: Final = 0.01
_OUT_OF_MEMORY: Final = (
    "the system ends processes so when memory runs out: lower num_workers or num_envs_per_worker"
)
_SILENCE: Final = 60.0  # seconds without a word after which the user is told
_GRACE: Final = 0.5  # seconds for each step of stopping a process


def default_start_method() -> StartMethod:
    """`forkserver` where the system has it."""
    return "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


def ring_rows(settings: RolloutSettings, episodes: int) -> int:
    """Room for all transitions of a round with matches of full length, as far as that stays within
    64 MiB a worker.
    """
    spec = settings.policy.game_spec
    whole_round = (episodes + settings.num_envs) * (spec.max_plies + 1)
    affordable = _MOST_RING_BYTES // transition_dtype(spec).itemsize
    return max(settings.block, min(whole_round, affordable))


def shared_bytes(
    settings: RolloutSettings,
    *,
    num_workers: int,
    size: int,
    num_snapshots: int,
    num_versions: int,
    episodes: int,
) -> int:
    """Memory that such `ProcessWorkers` reserve at their start."""
    dtype = transition_dtype(settings.policy.game_spec)
    rings = num_workers * Ring.bytes_needed(dtype, ring_rows(settings, episodes))
    return WeightStore.bytes_needed(size, num_snapshots, num_versions) + rings


@dataclass
class _Part:
    """One worker's finished part of a round: rows that had to leave the ring, and behind them those
    from `begin` to `end` in it.
    """

    report: RoundReport
    copied: list[NDArray[Any]]
    ring: Ring
    begin: int
    end: int

    def blocks(self) -> list[NDArray[Any]]:
        return [*self.copied, *self.ring.rows(self.begin, self.end)]

    def leave_ring(self) -> None:
        self.copied += _copies(self.ring.rows(self.begin, self.end))
        self.begin = self.end


class _Handle:
    """The main process's side of one worker: its process, pipe, ring, and what it has yet to do."""

    def __init__(self, worker: int) -> None:
        self.worker = worker
        self.incarnation = -1
        self.failures = 0
        self.cause = self.traceback = ""  # of its end, where it could still tell
        self.todo: deque[RoundCommand | str | tuple[str, Any]] = deque()
        self.heard = 0.0  # time of its last word, or of the last command to it
        self.copied: list[
            NDArray[Any]
        ] = []  # rows of the part at the head of `todo` that had to leave the ring
        self.begin = 0  # number of that part's first row that is still in the ring
        self.finished: deque[_Part] = deque()
        self.state: dict[str, Any] | None = None
        self.process: Any = None
        self.pipe: connection.Connection
        self.ring: Ring

    def send(self, command: Any) -> None:
        self.heard = time.monotonic()  # it had nothing to say before
        try:
            self.pipe.send(command)
        except OSError:
            pass  # it has died; `poll` finds that out and tells its successor


class ProcessWorkers:
    """Owns the worker processes and all memory shared with them: from `__enter__` to `__exit__`."""

    def __init__(
        self,
        settings: RolloutSettings,
        *,
        num_workers: int,
        size: int,
        num_snapshots: int,
        num_versions: int,
        episodes: int,
        start_method: StartMethod,
        notify: Notify,
        body: Callable[..., Body] = Rollout,
    ) -> None:
        self._settings = settings
        self._spec = settings.policy.game_spec
        self._dtype = transition_dtype(self._spec)
        self._ring_rows = ring_rows(settings, episodes)
        self._size, self._num_snapshots, self._num_versions = size, num_snapshots, num_versions
        self._body = body
        self._context = multiprocessing.get_context(start_method)
        self._notify = notify
        self._handles = [_Handle(worker) for worker in range(num_workers)]
        self._block = SharedBlock(WeightStore.bytes_needed(size, num_snapshots, num_versions))
        self.weights = WeightStore(self._block.memory, size, num_snapshots, num_versions)
        self.replaced = 0
        self._last_poll = 0.0

    def __enter__(self) -> Self:
        if self._context.get_start_method() == "forkserver":
            self._context.set_forkserver_preload(_PRELOAD)
            os.environ[PRELOAD_GAME] = (
                self._settings.policy.game
            )  # read by the fork server, should it start now
        try:
            for handle in self._handles:
                self._start(handle)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        finally:
            os.environ.pop(PRELOAD_GAME, None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        handles = [handle for handle in self._handles if handle.process is not None]
        for handle in handles:
            handle.pipe.close()  # an idle worker leaves by itself
        processes = [
            handle.process for handle in handles if handle.process.pid is not None
        ]  # without those that failed to start
        for end in (
            lambda process: None,
            lambda process: process.terminate(),
            lambda process: process.kill(),
        ):
            deadline = time.monotonic() + _GRACE
            for process in processes:
                end(process)
            for process in processes:
                process.join(max(0.0, deadline - time.monotonic()))
        self._block.close()

    def start(self, worker: int, command: RoundCommand) -> None:
        handle = self._handles[worker]
        handle.todo.append(command)
        handle.send(command)

    def finish_round(self) -> Batch:
        while not all(handle.finished for handle in self._handles):
            self._take_in(timeout=0.2)
            self._tell_of_silence()
        return _batch(self._handles)

    def finish_any(self) -> Batch:
        self._take_in(timeout=0.0)
        self._tell_of_silence()  # others may have so much ready that there is never a wait
        while not (ready := [handle for handle in self._handles if handle.finished]):
            self._take_in(timeout=0.2)
            self._tell_of_silence()
        return _batch([min(ready, key=lambda handle: handle.finished[0].report.round)])

    def _tell_of_silence(self) -> None:
        """A game whose step never returns can only be seen from outside."""
        now = time.monotonic()
        for handle in self._handles:
            if handle.todo and not handle.finished and now - handle.heard > _SILENCE:
                handle.heard = now
                self._notify(
                    f"worker {handle.worker} has sent nothing for {_SILENCE:.0f} s: slow matches, or a step that never returns"
                )

    def poll(self) -> None:
        now = time.monotonic()
        if now - self._last_poll >= _POLL_INTERVAL:
            self._last_poll = now
            self._take_in(timeout=0.0)

    def get_state(self) -> dict[str, Any]:
        for handle in self._handles:
            assert not handle.todo, "a round is in flight"
            handle.state = None
            handle.todo.append("get_state")
            handle.send("get_state")
        while any(handle.state is None for handle in self._handles):
            self._take_in(timeout=0.2)
        return {
            str(handle.worker): {"incarnation": handle.incarnation, "body": handle.state}
            for handle in self._handles
        }

    def set_state(self, state: dict[str, Any]) -> None:
        for handle in self._handles:
            saved = state[str(handle.worker)]
            if (
                handle.incarnation != saved["incarnation"]
            ):  # its random streams are named by the incarnation
                self._stop(handle)
                handle.incarnation = saved["incarnation"] - 1
                self._start(handle)
            handle.todo.append(("set_state", saved["body"]))
            handle.send(handle.todo[-1])
        while any(
            handle.todo for handle in self._handles
        ):  # only now would a successor begin with nothing
            self._take_in(timeout=0.2)
            self._tell_of_silence()

    def _take_in(self, timeout: float) -> None:
        """Serve whatever is ready: messages first, then the ends of processes."""
        by_pipe = {handle.pipe: handle for handle in self._handles}
        by_sentinel = {handle.process.sentinel: handle for handle in self._handles}
        ready = connection.wait([*by_pipe, *by_sentinel], timeout)
        for pipe, handle in by_pipe.items():
            if pipe in ready:
                self._drain(handle)
        for sentinel, handle in by_sentinel.items():
            if sentinel in ready:  # what it said last was heard above
                self._replace(handle)

    def _drain(self, handle: _Handle) -> None:
        try:
            while handle.pipe.poll():
                self._hear(handle, *handle.pipe.recv())
        except (EOFError, OSError):
            pass  # the sentinel tells the rest

    def _hear(self, handle: _Handle, kind: str, value: Any) -> None:
        handle.heard = time.monotonic()
        if kind == "full":
            _empty_ring(handle, value)
        elif kind == "report":
            report, written = value
            handle.todo.popleft()
            handle.finished.append(_Part(report, handle.copied, handle.ring, handle.begin, written))
            handle.copied, handle.begin, handle.failures = [], written, 0
        elif kind == "state":
            handle.todo.popleft()
            handle.state = value
        elif kind == "restored":
            handle.todo.popleft()
        elif kind == "error":
            if isinstance(value, GameFault):
                value.add_note(value.record["traceback"])  # which stayed in the worker
            raise value
        else:
            handle.cause, handle.traceback = value

    def _replace(self, handle: _Handle) -> None:
        handle.process.join()
        status = handle.process.exitcode
        if status == UNGUARDED and found_in_main(self._settings.policy):
            raise unguarded(self._settings.policy)
        handle.failures += 1
        cause = handle.cause or _describe_status(status)
        reason = handle.traceback or cause
        if handle.failures >= _MOST_FAILURES:
            self._notify(f"worker {handle.worker} failed: {reason}")
            remedy = f"; {_OUT_OF_MEMORY}" if status == -signal.SIGKILL else ""
            times = f"failed {handle.failures} times without finishing a round"
            raise WorkerError(f"worker {handle.worker} {times}; the last time: {cause}{remedy}")
        self.replaced += 1
        self._notify(f"worker {handle.worker} failed and is replaced: {reason}")
        self._stop(handle)
        self._start(handle)
        for command in handle.todo:
            handle.send(command)

    def _start(self, handle: _Handle) -> None:
        ours, theirs = self._context.Pipe()
        ring = SharedBlock(Ring.bytes_needed(self._dtype, self._ring_rows))
        handle.incarnation += 1
        handle.cause, handle.traceback, handle.pipe = "", "", ours
        handle.copied, handle.begin = [], 0
        handle.ring = Ring(ring.memory, self._dtype, self._ring_rows)
        job = WorkerJob(
            self._settings,
            self._spec,
            handle.worker,
            handle.incarnation,
            self._block,
            self._size,
            self._num_snapshots,
            self._num_versions,
            ring,
            self._ring_rows,
            self._body,
        )
        name = f"{WORKER_NAME}{handle.worker}.{handle.incarnation}"
        make = self._context.Process  # type: ignore[attr-defined]
        handle.process = make(target=worker_main, args=(theirs, job), name=name, daemon=True)
        with main_module_hidden(self._settings.policy), deaf_to_ctrl_c():
            handle.process.start()
        theirs.close()
        ring.close()

    def _stop(self, handle: _Handle) -> None:
        handle.pipe.close()
        handle.process.kill()
        handle.process.join()


def _batch(handles: Sequence[_Handle]) -> Batch:
    """The next finished part of each of these."""
    parts = [handle.finished.popleft() for handle in handles]
    assert len({part.report.round for part in parts}) == 1, "parts of several rounds"

    def release() -> None:
        for part in parts:
            part.ring.free(part.end)

    blocks = [block for part in parts for block in part.blocks()]
    return Batch.join(
        [handle.worker for handle in handles], blocks, [part.report for part in parts], release
    )


def _empty_ring(handle: _Handle, written: int) -> None:
    """Copy all rows out of a ring, so that its worker can go on."""
    for part in handle.finished:
        part.leave_ring()
    handle.copied += _copies(handle.ring.rows(handle.begin, written))
    handle.begin = written
    handle.ring.free(written)


def _copies(blocks: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    return [join_rows([block]) for block in blocks]


def _describe_status(status: int) -> str:
    return f"ended by signal {-status}" if status < 0 else f"ended with status {status}"
