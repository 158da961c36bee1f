"""Workers as processes of this machine.

One pipe and one ring of shared memory per worker and incarnation, one block of weights for all; no queue, lock or manager that a killed
process could leave stuck. What is said on the pipes stands in `worker.py`.

    starting --first command--> busy --report for its last command--> idle --next command--> busy
    any --process ends--> replaced: a new incarnation, with random streams of its own, is started in its place and told again whatever
                          was not finished; what the dead one had sent of that is thrown away

A worker that met what its successor would meet again, a fault of the game above all, says so, and the error is raised here at once.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import connection, resource_tracker
from types import TracebackType
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from sparring.errors import GameFault, WorkerError
from sparring.games import spec_of
from sparring.replay.transitions import transition_dtype
from sparring.rollout.rollout import RolloutSettings
from sparring.rollout.round import RoundCommand, RoundReport
from sparring.runtime.base import Batch, Notify
from sparring.runtime.main_module import UNGUARDED, WORKER_NAME, found_in_main, main_module_hidden, unguarded
from sparring.runtime.ring import Ring
from sparring.runtime.shared_memory import SharedBlock
from sparring.runtime.weights import WeightStore
from sparring.runtime.worker import PRELOAD_GAME, WorkerJob, worker_main

StartMethod = Literal["forkserver", "spawn"]

_PRELOAD: Final = ["sparring.runtime.preload"]
_MOST_FAILURES: Final = 3  # of one worker in a row, without a finished round in between
_MOST_RING_BYTES: Final = 64 * 2**20
_POLL_INTERVAL: Final = 0.01  # seconds; a look at the pipes of 46 workers takes 0.1 ms, and the rings hold a whole round
_OUT_OF_MEMORY: Final = "the system ends processes so when memory runs out: lower num_workers or num_envs_per_worker"
_SILENCE: Final = 60.0  # seconds without a word after which the user is told
_GRACE: Final = 0.5  # seconds for each step of stopping a process


def default_start_method() -> StartMethod:
    """`forkserver` where the system has it."""
    return "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


def ring_rows(settings: RolloutSettings, episodes: int) -> int:
    """Room for all transitions of a round with matches of full length, as far as that stays within 64 MiB a worker."""
    spec = spec_of(settings.policy.game)
    whole_round = (episodes + settings.num_envs) * (spec.max_plies + 1)
    affordable = _MOST_RING_BYTES // transition_dtype(spec).itemsize
    return max(settings.block, min(whole_round, affordable))


def shared_bytes(settings: RolloutSettings, *, num_workers: int, size: int, num_snapshots: int, episodes: int) -> int:
    """Memory that such `ProcessWorkers` reserve at their start."""
    dtype = transition_dtype(spec_of(settings.policy.game))
    rings = num_workers * Ring.bytes_needed(dtype, ring_rows(settings, episodes))
    return WeightStore.bytes_needed(size, num_snapshots) + rings


class _Handle:
    """The main process's side of one worker: its process, pipe, ring, and what it has yet to do."""

    def __init__(self, worker: int) -> None:
        self.worker = worker
        self.incarnation = -1
        self.failures = 0
        self.cause = self.traceback = ""  # of its end, where it could still tell
        self.todo: deque[RoundCommand | str | tuple[str, Any]] = deque()
        self.heard = 0.0  # time of its last word, or of the last command to it
        self.rows: list[NDArray[Any]] = []  # staged for the round at the head of `todo`
        self.finished: deque[tuple[list[NDArray[Any]], RoundReport]] = deque()
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
        episodes: int,
        start_method: StartMethod,
        notify: Notify,
    ) -> None:
        self._settings = settings
        self._spec = spec_of(settings.policy.game)
        self._dtype = transition_dtype(self._spec)
        self._ring_rows = ring_rows(settings, episodes)
        self._size, self._num_snapshots = size, num_snapshots
        self._context = multiprocessing.get_context(start_method)
        self._notify = notify
        self._handles = [_Handle(worker) for worker in range(num_workers)]
        self._block = SharedBlock(WeightStore.bytes_needed(size, num_snapshots))
        self.weights = WeightStore(self._block.memory, size, num_snapshots)
        self.replaced = 0
        self._last_poll = 0.0

    def __enter__(self) -> Self:
        if self._context.get_start_method() == "forkserver":
            self._context.set_forkserver_preload(_PRELOAD)
            os.environ[PRELOAD_GAME] = self._settings.policy.game  # read by the fork server, should it start now
        try:
            for handle in self._handles:
                self._start(handle)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        finally:
            os.environ.pop(PRELOAD_GAME, None)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        handles = [handle for handle in self._handles if handle.process is not None]
        for handle in handles:
            handle.pipe.close()  # an idle worker leaves by itself
        processes = [handle.process for handle in handles if handle.process.pid is not None]  # without those that failed to start
        for end in (lambda process: None, lambda process: process.terminate(), lambda process: process.kill()):
            deadline = time.monotonic() + _GRACE
            for process in processes:
                end(process)
            for process in processes:
                process.join(max(0.0, deadline - time.monotonic()))
        self._block.close()

    def start_round(self, commands: Sequence[RoundCommand]) -> None:
        for handle, command in zip(self._handles, commands, strict=True):
            handle.todo.append(command)
            handle.send(command)

    def finish_round(self, round_number: int) -> Batch:
        while not all(handle.finished for handle in self._handles):
            self._take_in(timeout=0.2)
            self._tell_of_silence()
        rows, reports = [np.empty(0, self._dtype)], []
        for handle in self._handles:
            pieces, report = handle.finished.popleft()
            assert report.round == round_number
            rows += pieces
            reports.append(report)
        return Batch.join(rows, reports)

    def _tell_of_silence(self) -> None:
        """A game whose step never returns can only be seen from outside."""
        now = time.monotonic()
        for handle in self._handles:
            if handle.todo and not handle.finished and now - handle.heard > _SILENCE:
                handle.heard = now
                self._notify(f"worker {handle.worker} has sent nothing for {_SILENCE:.0f} s: slow matches, or a step that never returns")

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
        return {str(handle.worker): {"incarnation": handle.incarnation, "body": handle.state} for handle in self._handles}

    def set_state(self, state: dict[str, Any]) -> None:
        for handle in self._handles:
            saved = state[str(handle.worker)]
            if handle.incarnation != saved["incarnation"]:  # its random streams are named by the incarnation
                self._stop(handle)
                handle.incarnation = saved["incarnation"] - 1
                self._start(handle)
            handle.todo.append(("set_state", saved["body"]))
            handle.send(handle.todo[-1])
        while any(handle.todo for handle in self._handles):  # only now would a successor begin with nothing
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
        if kind == "rows":
            handle.rows += handle.ring.read(value)
        elif kind == "report":
            handle.todo.popleft()
            handle.finished.append((handle.rows, value))
            handle.rows, handle.failures = [], 0
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
        handle.cause, handle.traceback, handle.rows, handle.pipe = "", "", [], ours
        handle.ring = Ring(ring.memory, self._dtype, self._ring_rows)
        job = WorkerJob(
            self._settings,
            self._spec,
            handle.worker,
            handle.incarnation,
            self._block,
            self._size,
            self._num_snapshots,
            ring,
            self._ring_rows,
        )
        name = f"{WORKER_NAME}{handle.worker}.{handle.incarnation}"
        handle.process = self._context.Process(target=worker_main, args=(theirs, job), name=name, daemon=True)  # type: ignore[attr-defined]
        with main_module_hidden(self._settings.policy), _deaf_to_ctrl_c():
            handle.process.start()
        theirs.close()
        ring.close()

    def _stop(self, handle: _Handle) -> None:
        handle.pipe.close()
        handle.process.kill()
        handle.process.join()


def _describe_status(status: int) -> str:
    return f"ended by signal {-status}" if status < 0 else f"ended with status {status}"


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Start a process that never hears SIGINT: Ctrl-C reaches the whole process group, and the main process decides.

    A new process inherits what is blocked, so this holds while it still imports.
    """
    resource_tracker.ensure_running()  # multiprocessing would start it below, and unblock SIGINT for us
    blocked_before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked_before)
