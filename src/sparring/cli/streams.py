"""Standard streams: results on standard output, progress on standard error; either may be shut."""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
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
    """Connect output streams without a reader (`| head -1`, a closed terminal) to the null device;
    return whether there was one.

    The interpreter flushes them once more when it exits.
    """
    broken = [stream for stream in (sys.stdout, sys.stderr) if _has_no_reader(stream)]
    for stream in broken:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return bool(broken)


def _has_no_reader(stream: Any) -> bool:
    try:
        poll = select.poll()
        poll.register(stream.fileno(), select.POLLOUT)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    except (OSError, ValueError):  # not a file, or closed
        return False


@contextlib.contextmanager
def progress_on_stderr(wanted: bool) -> Iterator[None]:
    """Redirect what is printed to standard error: standard output is for the one JSON object."""
    with contextlib.redirect_stdout(sys.stderr) if wanted else contextlib.nullcontext():
        yield


def print_json(values: Mapping[str, Any]) -> None:
    """Print `values` as one line of JSON."""
    print(json.dumps(values, allow_nan=False))
