"""The check that a worker process, which makes the game by its name, plays the same matches.

A recorded match is played again by other interpreters, which see what a spawned worker sees: the
same `sys.path` and directory, modules imported anew, another order of sets. What the two say to
each other are two files in a folder of their own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sparring.conformance.findings import Finding, is_of_memory, place, text_of
from sparring.conformance.recordings import VIEWS, Trace, replay
from sparring.conformance.subject import Level, Subject
from sparring.games.faults import one_line

_HASH_SEEDS = (
    "1",
    "2",
)  # of the order of sets of str; one of the two, at least, is not the order here
_MATCHES = 8
_TIMEOUT = 300  # seconds
_IMPORTABLE = "put the class at the top of a module that can be imported from here, and let it need nothing that was set up before"
_MAIN = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from sparring.conformance import other_process; other_process.answer()"


def workers(subject: Subject) -> Iterator[Finding]:
    """The game can be made in another process by its name, and its matches are the same there."""
    if subject.name is None:
        return
    with tempfile.TemporaryDirectory(prefix="sparring-check-") as folder:
        _write_task(Path(folder), subject.name, subject.trace)
        for hash_seed in _HASH_SEEDS:
            if found := next(_asked(Path(folder), hash_seed), None):
                yield found
                return


def _asked(folder: Path, hash_seed: str) -> Iterator[Finding]:
    """Findings of one other interpreter."""
    path = json.dumps([os.path.abspath(entry) for entry in sys.path])
    command = [sys.executable, "-c", _MAIN, path, str(folder)]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    what, expected = "a worker process cannot make the game", "the same matches as here"
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        yield Finding(
            what,
            f"no answer in {_TIMEOUT} s",
            expected,
            "do nothing but define things when the module is imported",
        )
        return
    answer = folder / "answer.json"
    if not answer.exists():
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        yield Finding(what, one_line(last), expected, _IMPORTABLE)
        return
    told = json.loads(answer.read_text(encoding="utf-8"))
    answer.unlink()
    if told["no memory"]:
        raise MemoryError(told["error"])
    if told["error"]:
        yield Finding(what, one_line(told["error"]), expected, _IMPORTABLE)
    elif told["difference"]:
        remedy = "depend on no order of a set, no hash, no clock, no global generator, and on nothing drawn when the module is imported"
        yield Finding("a worker process plays other matches", told["difference"], expected, remedy)


def _write_task(folder: Path, name: str, trace: Trace) -> None:
    """The name of the game and the first matches of `trace`."""
    task: dict[str, Any] = {
        view: np.stack([frame[view][:_MATCHES] for frame in trace.frames]) for view in VIEWS
    }
    task["actions"] = np.stack([actions[:_MATCHES] for actions in trace.actions])
    np.savez(folder / "trace.npz", name=np.array(name), keys=trace.keys[:_MATCHES], **task)


def answer() -> None:
    """In the other interpreter: play the trace in the folder that is the last argument, and write
    down what comes of it.
    """
    folder = Path(sys.argv[-1])
    told: dict[str, Any] = {"error": None, "no memory": False, "difference": None}
    with np.load(folder / "trace.npz", allow_pickle=False) as task:
        stored = dict(task)
    frames = [{view: stored[view][tick] for view in VIEWS} for tick in range(len(stored["seat"]))]
    trace = Trace(stored["keys"], frames, list(stored["actions"]))
    try:
        from sparring.games import make

        told["difference"] = replay(make(str(stored["name"]), trace.num_matches), trace, trace.keys)
    except Exception as error:
        where = place(error)
        told["error"] = text_of(error) + (f" ({where})" if where else "")
        told["no memory"] = is_of_memory(error)
    (folder / "answer.json").write_text(json.dumps(told), encoding="utf-8")


CHECKS: Level = {"workers": workers}
