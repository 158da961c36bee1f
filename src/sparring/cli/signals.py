"""Ctrl-C, SIGTERM and SIGHUP end every command with its status, wherever it is; a training saves
first.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any, Final

from sparring.cli.streams import drop_broken_output
from sparring.errors import Interrupted

_SIGNALS: Final = ("SIGINT", "SIGTERM", "SIGHUP")
_DEFAULTS: Final = (signal.SIG_DFL, signal.default_int_handler)
_IMPORTING: Final = "<frozen importlib._bootstrap>"


def end_by_signals() -> dict[int, Any]:
    """Let these signals raise `Interrupted`; return the handlers before.

    The system's default for SIGTERM would end the process, too, but not process 1 of a container:
    `docker stop` would wait for ten seconds, and then kill it. Signals that are ignored, as below
    `nohup`, stay ignored.
    """
    return {
        number: signal.signal(number, _end)
        for number in _numbers()
        if signal.getsignal(number) in _DEFAULTS
    }


def restore(handlers: Mapping[int, Any]) -> None:
    """Take back what `end_by_signals` did."""
    for number, handler in handlers.items():
        signal.signal(number, handler)


def print_result(show: Callable[[], None], *, stopped: bool) -> None:
    """Print the result of a training with `show`.

    Where a signal has stopped it, nothing changes any more how the command ends: no other signal,
    and no terminal that the same event has closed.
    """
    if stopped:
        _ignore_signals()
    try:
        show()
        sys.stdout.flush()
    except OSError:
        if not stopped:
            raise
        drop_broken_output()


def _ignore_signals() -> None:
    for number in _numbers():
        if signal.getsignal(number) is _end:
            signal.signal(number, signal.SIG_IGN)


def _numbers() -> Iterator[int]:
    if threading.current_thread() is threading.main_thread():  # no other may handle signals
        yield from (getattr(signal, name) for name in _SIGNALS if hasattr(signal, name))


def _end(number: int, frame: FrameType | None) -> None:
    """An exception would abort libraries in C++ that are being imported, with a traceback."""
    if _imports(frame):
        os.write(2, b"sparring: interrupted\n")
        os._exit(128 + number)
    raise Interrupted(signal=number)


def _imports(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code.co_filename != _IMPORTING:
        frame = frame.f_back
    return frame is not None
