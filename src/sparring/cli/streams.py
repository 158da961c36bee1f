"""Standard streams: results on standard output, progress on standard error; either may be shut."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import select
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Final

_STREAMS: Final = ("stdin", "stdout", "stderr")


def open_closed_streams() -> None:
    """Connect standard streams that the caller has closed (`>&-`) to the null device.

    A file that is opened later would get the free descriptor, and what is printed with it.
    """
    for descriptor, name in enumerate(_STREAMS):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free descriptor is this one
        if getattr(sys, name) is None:
            mode = "w" if descriptor else "r"
            setattr(sys, name, open(descriptor, mode, closefd=False))  # noqa: SIM115


def drop_broken_output() -> bool:
    """Connect output streams that cannot be written (no reader as with `| head -1`, a closed
    terminal, a full disk) to the null device; return whether there was one.

    The interpreter flushes them once more when it exits.
    """
    streams = (sys.stdout, sys.stderr)
    broken = [stream for stream in streams if _has_no_reader(stream) or _is_full(stream)]
    for stream in broken:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return bool(broken)


def is_of_output(error: OSError) -> bool:
    """Return whether the error may be that of an unbuffered stream, which shows no trace of it."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) and error.filename is None


def say(line: str) -> None:
    """Print a line to standard error. A full disk there does not change the exit status."""
    try:
        print(f"sparring: {line}", file=sys.stderr)
        sys.stderr.flush()
    except BrokenPipeError:
        raise
    except OSError:
        drop_broken_output()


def terminal_columns() -> float:
    """Columns of the terminal that standard output is; infinite for files and pipes."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else math.inf


def fitted(line: str, indent: int) -> str:
    """A line, wrapped between words where the terminal is narrower; `indent`: of its other parts,
    in columns.
    """
    columns = terminal_columns()
    if len(line) <= columns:
        return line
    parts = textwrap.TextWrapper(
        int(columns),
        subsequent_indent=indent * " ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return parts.fill(line)


def _has_no_reader(stream: Any) -> bool:
    try:
        poll = select.poll()
        poll.register(stream.fileno(), select.POLLOUT)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    except (OSError, ValueError):  # not a file, or closed
        return False


def _is_full(stream: Any) -> bool:
    """Try to write again what is buffered."""
    try:
        stream.flush()
    except OSError:
        return True
    except ValueError:  # closed
        pass
    return False


@contextlib.contextmanager
def progress_on_stderr(wanted: bool) -> Iterator[None]:
    """Redirect what is printed to standard error: standard output is for the one JSON object."""
    with contextlib.redirect_stdout(sys.stderr) if wanted else contextlib.nullcontext():
        yield


def print_json(values: Mapping[str, Any]) -> None:
    """Print `values` as one line of JSON."""
    print(json.dumps(values, allow_nan=False))
