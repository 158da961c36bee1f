"""Commands and scripts in the process of the test, for tests that are not about processes: each new
one would spend seconds on its imports.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import runpy
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sparring.cli import main


@dataclass(frozen=True)
class Answer:
    """Exit status of a command, and all that it printed: by stream, and in order."""

    status: int
    out: str
    err: str
    said: str


class _Copied(io.StringIO):
    """A stream that is copied to another one."""

    def __init__(self, other: io.StringIO) -> None:
        super().__init__()
        self._other = other

    def write(self, text: str) -> int:
        self._other.write(text)
        return super().write(text)


def sparring(*words: str, folder: Path, typed: str = "") -> Answer:
    """`sparring` with these arguments in this folder, with `typed` on its standard input."""
    said = io.StringIO()
    out, err = _Copied(said), _Copied(said)
    streams = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
    with _started_in(folder, typed), streams[0], streams[1]:
        status = main(words)
    return Answer(status, out.getvalue(), err.getvalue(), said.getvalue())


def python(script: str, folder: Path) -> str:
    """`python SCRIPT` in this folder: its standard output. What it raises passes."""
    out = io.StringIO()
    with _started_in(folder), contextlib.redirect_stdout(out):
        runpy.run_path(str(folder / script), run_name="__main__")
    return out.getvalue()


@contextlib.contextmanager
def _started_in(folder: Path, typed: str = "") -> Iterator[None]:
    """Current directory, standard input, `sys.path` and modules of a process that starts there;
    afterwards they are as before, and modules of the folder are forgotten.
    """
    path, stdin = [*sys.path], sys.stdin
    importlib.invalidate_caches()  # the folder may have got modules a moment ago
    try:
        sys.path.insert(0, str(folder))
        sys.stdin = io.StringIO(typed)
        with contextlib.chdir(folder):
            yield
    finally:
        sys.path[:], sys.stdin = path, stdin
        for name, module in [*sys.modules.items()]:
            if (getattr(module, "__file__", None) or "").startswith(f"{folder}/"):
                del sys.modules[name]
