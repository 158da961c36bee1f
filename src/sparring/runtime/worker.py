"""A worker process: a Rollout that takes commands from a pipe.

    main -> worker   RoundCommand            play a round
                     "get_state"             answer ("state", tree)
                     ("set_state", tree)     no answer
    worker -> main   ("rows", written)       rows ever written to the ring
                     ("report", report)      a round is over; all its rows were announced before
                     ("state", tree)
                     ("failed", traceback)   the last message

Commands are taken in order. The end of the pipe ends the process, and so does the end of the main process, whatever ended it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import traceback
from dataclasses import dataclass
from multiprocessing import connection, parent_process
from typing import Any, Final

import torch

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
        _serve(pipe, job)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the main process has hung up
    except BaseException:
        pipe.send(("failed", traceback.format_exc()))
        sys.exit(1)


def _serve(pipe: connection.Connection, job: WorkerJob) -> None:
    store = WeightStore(job.weights.memory, job.size, job.num_snapshots)
    ring = Ring(job.ring.memory, transition_dtype(spec_of(job.settings.policy.game)), job.ring_capacity)
    rollout = Rollout(job.settings, store, worker=job.worker, incarnation=job.incarnation)
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
