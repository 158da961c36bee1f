"""A worker process: a body, which is a Rollout, that takes commands from a pipe.

    main -> worker   RoundCommand                     play a round
                     "get_state"                      answer ("state", tree)
                     ("set_state", tree)              answer ("restored", None)
    worker -> main   ("full", written)                the ring is full; the worker waits for room
                     ("report", (report, written))    a round is over
                     ("state", tree)
                     ("restored", None)
                     ("error", exception)             the last message: the main process raises it,
                                                      since a successor would meet it again
                     ("failed", (cause, traceback))   the last message: a successor may succeed

`written` is the number of rows ever written to the ring. Commands are executed in order. The end of
the pipe ends the process, and so does the end of the main process, whatever ended it.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import faulthandler
import os
import signal
import struct
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import connection, forkserver, parent_process, resource_tracker
from typing import Any, Final, NoReturn, Protocol

import torch

from sparring.errors import ConfigurationError, GameFault, InputError, SparringError
from sparring.games import GameSpec, spec_of
from sparring.replay.transitions import transition_dtype
from sparring.rollout.rollout import RolloutSettings, Sink
from sparring.rollout.round import Between, RoundCommand, RoundReport
from sparring.runtime.requests import ServedNetworks, WorkersEnd
from sparring.runtime.shared_memory import Ring, SharedBlock
from sparring.runtime.watch import STUCK
from sparring.runtime.weights import WeightStore

# environment variable of a fork server: the game that it prepares for its workers
PRELOAD_GAME: Final = "SPARRING_PRELOAD_GAME"
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))
_PR_SET_PDEATHSIG: Final = 1


@dataclass(frozen=True)
class WorkerJob:
    """Arguments of a worker process."""

    settings: RolloutSettings
    spec: GameSpec  # as the main process has it
    worker: int
    incarnation: int
    weights: SharedBlock
    size: int
    num_snapshots: int
    num_versions: int
    ring: SharedBlock
    ring_capacity: int
    body: Callable[..., Body]  # by its name in a module
    server: WorkersEnd | None = None  # that answers for the networks


class Body(Protocol):
    """Body of a worker: a `Rollout`, or something that stands in for one."""

    def play_round(self, command: RoundCommand, sink: Sink, between: Between) -> RoundReport: ...

    def get_state(self) -> dict[str, Any]: ...

    def set_state(self, state: dict[str, Any]) -> None: ...


class PermanentError(Exception):
    """Carries an error that a successor would meet again."""

    def __init__(self, error: SparringError) -> None:
        super().__init__(str(error))
        self.error = error


def worker_main(pipe: connection.Connection, job: WorkerJob) -> None:
    """The body of the process."""
    begin_process()
    take_long_slices()
    store = WeightStore(job.weights.memory, job.size, job.num_snapshots, job.num_versions)
    try:
        body = make_body(
            _with_networks(job),
            job.settings,
            job.spec,
            store,
            worker=job.worker,
            incarnation=job.incarnation,
        )
    except BaseException as error:
        end_with_message(pipe, error)
    try:
        _serve(pipe, job, body)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the main process has closed the pipe
    except BaseException as error:
        end_with_message(pipe, error)


def begin_process() -> None:
    """Leave signals to the main process, end with it, and run torch on one thread."""
    ignore_stop_signals()
    end_with_parent()
    torch.set_num_threads(1)


def ignore_stop_signals() -> None:
    """Leave them to the main process: they may reach the whole process group."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _with_networks(job: WorkerJob) -> Callable[..., Body]:
    """The body's class; where there is a server, with its networks."""
    if job.server is None:
        return job.body
    return partial(job.body, networks=ServedNetworks(job.server))


def make_body(
    body: Callable[..., Body],
    settings: RolloutSettings,
    spec: GameSpec,
    store: WeightStore,
    *,
    worker: int,
    incarnation: int,
) -> Body:
    """Make the game and the players, which imports what users wrote; `spec` is the game's as the
    main process has it.
    """
    try:
        _check_spec(worker, spec_of(settings.policy.game), spec)
        return body(settings, store, worker=worker, incarnation=incarnation)
    except (ImportError, InputError) as error:
        what = (
            f"worker {worker} cannot make what the main process could make: {error}; "
            "define games, networks and players at the top of a file that a new process can "
            'import, or use backend="inline"'
        )
        raise PermanentError(ConfigurationError(what)) from error


def _check_spec(worker: int, ours: GameSpec, of_main: GameSpec) -> None:
    """Compare the specs' values by their `repr`: the game's file may have been edited since the
    main process imported it.
    """
    for name in (field.name for field in dataclasses.fields(GameSpec)):
        got, expected = repr(getattr(ours, name)), repr(getattr(of_main, name))
        if got != expected:
            what = f"the game differs between the main process and worker {worker}"
            remedy = "the file was changed since it was imported: start Python anew"
            raise PermanentError(
                ConfigurationError(
                    what, got=f"{name} {got:.100}", expected=f"{expected:.100}", remedy=remedy
                )
            )


def end_with_message(pipe: connection.Connection, error: BaseException) -> NoReturn:
    """Send the last message and end this process."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the main process has ended
        pipe.send(last_words(error))
    sys.exit(1)


def last_words(error: BaseException) -> tuple[str, Any]:
    """The last message of a worker that raised `error`."""
    if isinstance(error, PermanentError):
        return "error", error.error
    if isinstance(error, GameFault):
        return "error", error
    return "failed", _description(error)


def _description(error: BaseException) -> tuple[str, str]:
    """One line with the exception and its place; and the whole traceback."""
    [*_, line] = traceback.format_exception_only(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{os.path.basename(frame.filename)}, line {frame.lineno}, in {frame.name}"
    return f"{' '.join(line.split())} ({place})", "".join(traceback.format_exception(error))


def _serve(pipe: connection.Connection, job: WorkerJob, body: Body) -> None:
    dtype = transition_dtype(job.settings.policy.network_game)
    ring = Ring(job.ring.memory, dtype, job.ring_capacity)
    while True:
        command: Any = pipe.recv()
        if isinstance(command, RoundCommand):
            report = body.play_round(
                command,
                lambda rows: ring.write(rows, lambda written: pipe.send(("full", written))),
                partial(ring.tick, command.round),
            )
            pipe.send(("report", (report, ring.written)))
        elif command == "get_state":
            pipe.send(("state", body.get_state()))
        else:
            restore(body, command[1])
            pipe.send(("restored", None))


def restore(body: Body, state: dict[str, Any]) -> None:
    """Give a body a saved state; an error is one that a successor would meet again."""
    try:
        body.set_state(state)
    except SparringError as error:
        raise PermanentError(error) from error


def end_with_parent() -> None:
    """End this process with the main process, even while C code that hangs holds Python's lock.

    On Linux the kernel kills it with the process that forked it: the main process, or the fork
    server, which ends with the main process. A thread watches the main process, in case neither
    happens. Elsewhere that thread has to wind up a clock that ends this process when it stops.
    """
    linux = sys.platform == "linux"
    if linux:
        _let_fork_server_end()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(
        target=_watch_main_process,
        args=(None if linux else STUCK,),
        name="watch-main-process",
        daemon=True,
    ).start()


def _let_fork_server_end() -> None:
    """Close this process's copy of the descriptor that keeps the fork server running.

    multiprocessing gives one to each worker, so that one worker that hangs would keep the server
    running, and with it all workers.
    """
    server: Any = getattr(forkserver, "_forkserver", None)
    descriptor = getattr(server, "_forkserver_alive_fd", None)
    if descriptor is not None:
        os.close(descriptor)
        server._forkserver_alive_fd = None


def _watch_main_process(stuck: float | None) -> None:
    """End this process with the main process; after `stuck` seconds in which this thread could not
    run, faulthandler does, whose own thread needs no lock of Python.
    """
    main = parent_process()
    assert main is not None
    while main.is_alive():
        if stuck is not None:
            faulthandler.dump_traceback_later(stuck, exit=True)
        main.join(None if stuck is None else stuck / 10)
    os._exit(1)


_SLICE: Final = 0.02  # seconds; the default of Linux is about 0.003
_ATTRIBUTES: Final = struct.Struct("=IIQiIQQQ")  # struct sched_attr, its first version
_SET: Final = {"x86_64": 314, "aarch64": 274}  # numbers of the system call sched_setattr
_SCHED_OTHER: Final = 0


def take_long_slices() -> None:
    """Ask for long time slices, where Linux offers them (6.12 and newer); elsewhere do nothing.

    When a worker gets a CPU back, its network and matches have left the caches. With more workers
    than CPUs, 64 on two, that took a fifth of all the time. A process with a shorter slice that
    wakes up, the learner above all, still goes first.
    """
    number = _SET.get(os.uname().machine) if sys.platform == "linux" else None
    if number is not None:
        nice = os.getpriority(os.PRIO_PROCESS, 0)
        attributes = _ATTRIBUTES.pack(
            _ATTRIBUTES.size, _SCHED_OTHER, 0, nice, 0, int(1e9 * _SLICE), 0, 0
        )
        ctypes.CDLL(None).syscall(number, 0, attributes, 0)  # may be refused: nothing is lost


@contextmanager
def stop_signals_blocked() -> Iterator[None]:
    """Start a process that never receives SIGINT, SIGTERM or SIGHUP: Ctrl-C, a batch system or a
    closed terminal reach the whole process group, and the main process decides.

    A new process inherits blocked signals, so this holds while it still imports.
    """
    # multiprocessing would start it below, and unblock SIGINT in this process
    resource_tracker.ensure_running()
    blocked_before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked_before)
