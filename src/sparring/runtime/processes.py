"""Workers as processes of this machine.

Who writes and who reads, for each worker and incarnation:

    main process                                                      worker process
    ------------                                                      --------------
    publish()     --writes-->  weights: one block for all workers  --reads-->  load_vector()
    start()       ---------->  pipe: commands, in order            --------->  serve()
                                                                                  | plays
    finish_*()    <----------  pipe: reports, "full", errors       <---------     |
    Batch.blocks  <--reads---  ring: rows                          <--writes-  Ring.write()
    Batch.release --writes-->  ring: number of the rows consumed   --reads-->  Ring.write()
    watch()       <--reads---  ring: number of its ticks           <--writes-  Ring.tick()
    end_early()   --writes-->  ring: rounds to be ended early      --reads-->  Ring.tick()
    poll()        <----------  sentinel: ready when the process has ended

With an inference server, a process of its own, see also `requests.py` (between workers and server)
and `server.py` (between main process and server).

Messages are listed in `worker.py`, the ring is described in `shared_memory.py`. States of a worker:

    starting --first command--> busy --report for its last command--> idle --next command--> busy
    any --process ends--> replaced: a new incarnation, with random streams of its own, is started
                          in its place and receives the unfinished commands again; rows that its
                          predecessor sent for an unfinished part are discarded

Deadlocks and races, and where each is avoided:

- A process that is killed while it holds the lock of a shared queue blocks all others for ever.
  There is no queue, lock, semaphore or manager: every pipe and every word of shared memory has one
  writer (`_start`).
- A worker waits for room in its ring while the learner is at work. `poll`, which the learner calls
  between updates, copies the rows of a full ring out (`WorkerHandle.receive`).
- Both sides block while they send to each other. A worker may block in `send`, because reports are
  large; main never does, because at most two small commands are in flight to a busy worker, and
  states are sent to idle ones only (`set_state`).
- Rows are read before the worker's stores arrive. A row is read only after the message that counts
  it: `send` and `recv` are system calls, which order the stores (`Ring`).
- A worker reports and dies at once, and its last message is overtaken by its end. What has ended
  is read to the end of its pipe before it is replaced (`_serve`).
- A pipe never ends because another worker inherited its other end: `forkserver` and `spawn` pass a
  new process its own descriptors only, and main closes its copy after the start (`_start`).
- Ctrl-C, a batch system or a closed terminal signal the whole process group, and a worker would die
  in the middle of a report. These signals are blocked while a worker starts, and then ignored
  (`stop_signals_blocked`, `worker_main`).
- The main process is killed. Workers end, even one that hangs in C (`worker.end_with_parent`).
- A worker hangs, or is stopped by a signal. It makes no ply for a stated time, and is killed and
  replaced (`Watch.look`).
- A block leaves the weight store while a worker copies it: see `weights.py`.

An error that a successor would meet again, a fault of the game above all, is raised here at once.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing import connection
from types import TracebackType
from typing import Any, Final, Literal, Self

from sparring.replay.transitions import transition_dtype
from sparring.rollout.rollout import Rollout, RolloutSettings
from sparring.rollout.round import RoundCommand
from sparring.runtime.base import Notify
from sparring.runtime.handle import WorkerHandle, describe_status
from sparring.runtime.inference import InferenceSettings
from sparring.runtime.limits import cannot_start, short_temporary_directory, start_failure
from sparring.runtime.main_module import (
    UNGUARDED,
    WORKER_NAME,
    found_in_main,
    main_module_hidden,
    unguarded,
)
from sparring.runtime.remote import RemoteWorkers
from sparring.runtime.server import InferenceServer, mailbox_layout
from sparring.runtime.shared_memory import Ring, SharedBlock
from sparring.runtime.weights import WeightStore
from sparring.runtime.worker import (
    PRELOAD_GAME,
    Body,
    WorkerJob,
    stop_signals_blocked,
    worker_main,
)

StartMethod = Literal["forkserver", "spawn"]

PRELOAD: Final = ["sparring.runtime.preload"]
_MAX_RING_BYTES: Final = 64 * 2**20
_OUT_OF_MEMORY: Final = (
    "the system kills processes when memory runs out: lower num_workers or num_envs_per_worker"
)
_GRACE: Final = 0.5  # seconds for each step of stopping a process


def default_start_method() -> StartMethod:
    """`forkserver` where the system has it."""
    return "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


def ring_rows(settings: RolloutSettings, episodes: int) -> int:
    """Capacity of a worker's ring: all transitions of a round with matches of full length, but at
    most 64 MiB.
    """
    spec = settings.policy.network_game
    whole_round = (episodes + settings.num_envs) * (spec.max_plies + 1)
    affordable = _MAX_RING_BYTES // transition_dtype(spec).itemsize
    return max(settings.block, min(whole_round, affordable))


def shared_bytes(
    settings: RolloutSettings,
    *,
    num_workers: int,
    size: int,
    num_snapshots: int,
    num_versions: int,
    episodes: int,
    served: bool = False,
) -> int:
    """Memory that such `ProcessWorkers` reserve at their start."""
    dtype = transition_dtype(settings.policy.network_game)
    rings = num_workers * Ring.bytes_needed(dtype, ring_rows(settings, episodes))
    total = rings + WeightStore.bytes_needed(size, num_snapshots, num_versions)
    if served:
        layout = mailbox_layout(settings, num_workers=num_workers, num_snapshots=num_snapshots)
        total += layout.bytes_needed
    return total


class ProcessWorkers(RemoteWorkers[WorkerHandle]):
    """Owns the worker processes and all memory shared with them: from `__enter__` to `__exit__`."""

    # To poll the pipes of 46 workers takes 0.1 ms, and the rings hold a whole round.
    poll_interval = 0.01

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
        inference: InferenceSettings | None = None,
    ) -> None:
        super().__init__([WorkerHandle(worker) for worker in range(num_workers)], notify)
        self._settings = settings
        self._spec = settings.policy.game_spec
        self._dtype = transition_dtype(settings.policy.network_game)
        self._ring_rows = ring_rows(settings, episodes)
        self._size, self._num_snapshots, self._num_versions = size, num_snapshots, num_versions
        self._body = body
        self._context = multiprocessing.get_context(start_method)
        self._block = SharedBlock(WeightStore.bytes_needed(size, num_snapshots, num_versions))
        self.weights = WeightStore(self._block.memory, size, num_snapshots, num_versions)
        self._server: InferenceServer | None = None
        if inference is not None:
            self._server = InferenceServer(
                inference,
                settings,
                num_workers=num_workers,
                weights=self._block,
                size=size,
                num_snapshots=num_snapshots,
                num_versions=num_versions,
                launch=self._launch,
                notify=notify,
            )

    def __enter__(self) -> Self:
        try:
            self._start_all()
        except (OSError, EOFError) as error:
            self.__exit__(None, None, None)
            raise cannot_start(start_failure(error)) from error
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _start_all(self) -> None:
        if self._context.get_start_method() == "forkserver":
            self._context.set_forkserver_preload(PRELOAD)
        # read by the fork server, should it start now
        os.environ[PRELOAD_GAME] = self._settings.policy.game
        try:
            with short_temporary_directory():
                if self._server is not None:
                    self._server.start()
                for handle in self._handles:
                    self._start(handle)
        finally:
            os.environ.pop(PRELOAD_GAME, None)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        handles = [handle for handle in self._handles if handle.process is not None]
        for handle in handles:
            handle.pipe.close()  # an idle worker ends by itself
        processes = [handle.process for handle in handles]
        deadline = time.monotonic() + _GRACE
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
        for process in processes:
            process.kill()
        for process in processes:
            process.join()
        if self._server is not None:
            self._server.close()
        self._block.close()

    def start(self, worker: int, command: RoundCommand) -> None:
        self._handles[worker].give(command)

    def hurry(self) -> None:
        super().hurry()
        if self._server is not None:
            self._server.hurry()

    def get_state(self) -> dict[str, Any]:
        assert not any(handle.unfinished for handle in self._handles), "a round is in flight"
        return super().get_state()

    def _give_state(self, handle: WorkerHandle, body: dict[str, Any]) -> None:
        handle.give(("set_state", body))

    def _serve(self, timeout: float) -> None:
        by_pipe = {handle.pipe: handle for handle in self._handles}
        by_sentinel = {handle.process.sentinel: handle for handle in self._handles}
        server = [] if self._server is None else [self._server.sentinel]
        ready = connection.wait([*by_pipe, *by_sentinel, *server], timeout)
        ended = [handle for sentinel, handle in by_sentinel.items() if sentinel in ready]
        for pipe, handle in by_pipe.items():
            # What has ended may have sent its last message since the pipes were polled.
            if pipe in ready or handle in ended:
                handle.receive()
        for handle in ended:
            self._replace(handle)
        if self._server is not None:
            if self._server.sentinel in ready:
                self._server.replace()
            self._server.watch()
        self._watch.look(self._handles, lambda handle: handle.process.kill())

    def _replace(self, handle: WorkerHandle) -> None:
        handle.process.join()
        status = handle.process.exitcode
        if status == UNGUARDED and found_in_main(self._settings):
            raise unguarded(self._settings)
        killed = status == -signal.SIGKILL and not handle.cause
        handle.failed(describe_status(status), self._notify, _OUT_OF_MEMORY if killed else "")
        self.replaced += 1
        self._begin_anew(handle)

    def _begin_anew(self, handle: WorkerHandle) -> None:
        handle.kill()
        self._start(handle)
        handle.repeat_unfinished()

    def _start(self, handle: WorkerHandle) -> None:
        ours, theirs = self._context.Pipe()
        ring = SharedBlock(Ring.bytes_needed(self._dtype, self._ring_rows))
        handle.begin_process(ours, Ring(ring.memory, self._dtype, self._ring_rows))
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
            None if self._server is None else self._server.end_of(handle.worker),
        )
        name = f"{WORKER_NAME}{handle.worker}.{handle.incarnation}"
        try:
            handle.process = self._launch(worker_main, (theirs, job), name)
        finally:
            theirs.close()
            ring.close()

    def _launch(self, target: Callable[..., None], arguments: tuple[Any, ...], name: str) -> Any:
        """Start a process that ends with this one and leaves signals to it."""
        make = self._context.Process  # type: ignore[attr-defined]
        process = make(target=target, args=arguments, name=name, daemon=True)
        with main_module_hidden(self._settings), stop_signals_blocked():
            process.start()
        return process
