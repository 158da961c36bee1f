"""A worker process: a Rollout that takes commands from a pipe.

    main -> worker   RoundCommand            play a round
                     "get_state"             answer ("state", tree)
                     ("set_state", tree)     no answer
    worker -> main   ("rows", written)       rows ever written to the ring
                     ("report", report)      a round is over; all its rows were announced before
                     ("state", tree)
                     ("error", exception)    the last message: a successor would meet it again, so the main process raises it
                     ("failed", (cause, traceback))   the last message: a successor may fare better

Commands are taken in order. The end of the pipe ends the process, and so does the end of the main process, whatever ended it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import traceback
from dataclasses import dataclass
from multiprocessing import connection, parent_process
from typing import Any, Final, NoReturn

import torch

from sparring.errors import ConfigurationError, GameFault, InputError
from sparring.games import spec_of
from sparring.replay.transitions import transition_dtype
from sparring.rollout.rollout import Rollout, RolloutSettings
from sparring.rollout.round import RoundCommand
from sparring.runtime.ring import Ring
from sparring.runtime.shared_memory import SharedBlock
from sparring.runtime.weights import WeightStore

PRELOAD_GAME: Final = "SPARRING_PRELOAD_GAME"  # in the environment of a fork server: the game that it makes ready for its workers
_PR_SET_PDEATHSIG: Final = 1


@dataclass(frozen=True)
class WorkerJob:
    """What a worker process is started with."""

    settings: RolloutSettings
    worker: int
    incarnation: int
    weights: SharedBlock
    size: int
    num_snapshots: int
    ring: SharedBlock
    ring_capacity: int


def worker_main(pipe: connection.Connection, job: WorkerJob) -> None:
    """The body of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the main process decides
    _die_with_parent()
    torch.set_num_threads(1)
    try:
        rollout = _begin(job)
    except (ImportError, InputError) as error:
        _end(pipe, "error", _cannot_start(job, error))
    except BaseException as error:
        _end(pipe, "failed", _description(error))
    try:
        _serve(pipe, job, rollout)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the main process has hung up
    except GameFault as fault:
        _end(pipe, "error", fault)
    except BaseException as error:
        _end(pipe, "failed", _description(error))


def _begin(job: WorkerJob) -> Rollout:
    """Make the game and the players, which imports what users wrote."""
    store = WeightStore(job.weights.memory, job.size, job.num_snapshots)
    return Rollout(job.settings, store, worker=job.worker, incarnation=job.incarnation)


def _cannot_start(job: WorkerJob, error: Exception) -> ConfigurationError:
    remedy = 'define games and networks at the top of a file that a new process can import, or use backend="inline"'
    return ConfigurationError(f"worker {job.worker} cannot make what the main process could make: {error}; {remedy}")


def _end(pipe: connection.Connection, kind: str, value: Any) -> NoReturn:
    """Say the last word and end this process."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the main process has hung up
        pipe.send((kind, value))
    sys.exit(1)


def _description(error: BaseException) -> tuple[str, str]:
    """In one line what was raised and where, and the whole traceback."""
    [*_, line] = traceback.format_exception_only(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{os.path.basename(frame.filename)}, line {frame.lineno}, in {frame.name}"
    return f"{' '.join(line.split())} ({place})", "".join(traceback.format_exception(error))


def _serve(pipe: connection.Connection, job: WorkerJob, rollout: Rollout) -> None:
    ring = Ring(job.ring.memory, transition_dtype(spec_of(job.settings.policy.game)), job.ring_capacity)
    while True:
        command: Any = pipe.recv()
        if isinstance(command, RoundCommand):
            report = rollout.play_round(command, lambda rows: ring.write(rows, lambda written: pipe.send(("rows", written))))
            pipe.send(("report", report))
        elif command == "get_state":
            pipe.send(("state", rollout.get_state()))
        else:
            rollout.set_state(command[1])


def _die_with_parent() -> None:
    """Linux kills this process with the one that forked it; a thread watches the main process, which need not be the same."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    main = parent_process()
    assert main is not None

    def watch() -> None:
        main.join()
        os._exit(1)

    threading.Thread(target=watch, name="watch-main-process", daemon=True).start()
