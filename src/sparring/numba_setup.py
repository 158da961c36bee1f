"""Numba's environment, corrected before its first import; worker processes inherit it.

Numba keeps the machine code of cached functions beside their source, or else in the user's cache
directory. Where neither can be written, as in a read-only installation without HOME, it raises an
error for each function.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path


def prepare() -> None:
    """Set a cache directory where Numba would find none, and drop settings with which it cannot run
    compiled games; each with a note on standard error.
    """
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        _drop("NUMBA_DISABLE_JIT", "CompiledGame(..., interpreted=True) runs rules in plain Python")
        if "numba" in sys.modules:
            sys.modules["numba"].config.DISABLE_JIT = 0
    threads = os.environ.get("NUMBA_NUM_THREADS", "1")
    if not (threads.isdecimal() and int(threads) > 0):
        _drop("NUMBA_NUM_THREADS", "it must be an integer of at least 1")
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if not (chosen and _can_write(Path(chosen))) and not _finds_a_cache():
        _set_temporary_cache()


def user_cache() -> Path | None:
    """Return the user's cache directory, which need not exist; None if it cannot be written, or the
    user has no home.
    """
    chosen = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(chosen) if os.path.isabs(chosen) and _can_write(Path(chosen)) else None


def _finds_a_cache() -> bool:
    return os.access(Path(__file__).parent, os.W_OK) or user_cache() is not None


def _can_write(folder: Path) -> bool:
    """Return whether the folder can be written, or created."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _set_temporary_cache() -> None:
    chosen = os.environ.get("SPARRING_CACHE_DIR")
    if chosen and _can_write(Path(chosen)):
        os.environ["NUMBA_CACHE_DIR"] = str(Path(chosen).absolute() / "numba")
        return
    folder = tempfile.mkdtemp(prefix="sparring-cache-")
    atexit.register(_remove, folder, os.getpid())
    os.environ["SPARRING_CACHE_DIR"] = folder
    os.environ["NUMBA_CACHE_DIR"] = os.path.join(folder, "numba")
    _note(
        "no directory for compiled code can be written, so it is compiled anew each time; "
        "set SPARRING_CACHE_DIR to one"
    )


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # and not a forked worker
        shutil.rmtree(folder, ignore_errors=True)


def _drop(variable: str, remedy: str) -> None:
    _note(f"{variable}={os.environ.pop(variable)} is ignored: {remedy}")


def _note(text: str) -> None:
    if sys.stderr is not None:
        print(f"sparring: note: {text}", file=sys.stderr)
