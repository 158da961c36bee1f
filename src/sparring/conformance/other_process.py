"""Check that a worker process, which makes the game by its name, plays the same matches.

Other interpreters replay recorded matches. They are like a spawned worker: the same `sys.path` and
directory, modules imported anew, another order of sets. Both sides exchange two files in a
temporary folder.
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
from sparring.errors import UserCodeError
from sparring.games.faults import one_line

_HASH_SEEDS = ("1", "2")  # order of sets of str; at least one of the two differs from ours
_MATCHES = 8
_TIMEOUT = 300  # seconds
_IMPORTABLE = (
    "put the class at the top of a module that can be imported from here, and rely on nothing that "
    "was set up before"
)
_MAIN = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
    "from sparring.conformance import other_process; other_process.answer()"
)


def workers(subject: Subject) -> Iterator[Finding]:
    """Another process can make the game by its name and plays the same matches."""
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
            "only define things when the module is imported",
        )
        return
    answer = folder / "answer.json"
    if not answer.exists():
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        yield Finding(what, one_line(last), expected, _IMPORTABLE)
        return
    answered = json.loads(answer.read_text(encoding="utf-8"))
    answer.unlink()
    if answered["no memory"]:
        raise MemoryError(answered["error"])
    if answered["error"]:
        yield Finding(what, one_line(answered["error"]), expected, _IMPORTABLE)
    elif answered["difference"]:
        yield Finding(
            "a worker process plays different matches",
            answered["difference"],
            expected,
            "do not depend on the order of a set, a hash, a clock, a global generator, or numbers "
            "drawn when the module is imported",
        )


def _write_task(folder: Path, name: str, trace: Trace) -> None:
    """The name of the game and the first matches of `trace`."""
    task: dict[str, Any] = {
        view: np.stack([frame[view][:_MATCHES] for frame in trace.frames]) for view in VIEWS
    }
    task["actions"] = np.stack([actions[:_MATCHES] for actions in trace.actions])
    np.savez(folder / "trace.npz", name=np.array(name), keys=trace.keys[:_MATCHES], **task)


def answer() -> None:
    """In the other interpreter: replay the trace in the folder named by the last argument, and
    write the result there.
    """
    folder = Path(sys.argv[-1])
    result: dict[str, Any] = {"error": None, "no memory": False, "difference": None}
    with np.load(folder / "trace.npz", allow_pickle=False) as task:
        stored = dict(task)
    frames = [{view: stored[view][tick] for view in VIEWS} for tick in range(len(stored["seat"]))]
    trace = Trace(stored["keys"], frames, list(stored["actions"]))
    try:
        from sparring.games import make

        result["difference"] = replay(
            make(str(stored["name"]), trace.num_matches), trace, trace.keys
        )
    except BaseException as failure:
        error = failure
        if isinstance(failure, UserCodeError) and failure.__cause__ is not None:
            error = failure.__cause__
        where = place(error)
        result["error"] = text_of(error) + (f" ({where})" if where else "")
        result["no memory"] = is_of_memory(error)
    (folder / "answer.json").write_text(json.dumps(result), encoding="utf-8")


CHECKS: Level = {"workers": workers}
