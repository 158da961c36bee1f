"""The `sparring` command: exit statuses and streams.

Exit status: 0 done; 2 bad usage or configuration, one line on standard error and nothing written;
130 stopped by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP, with the run saved; 1 anything else, also
output that nothing reads. torch and the games are imported by the commands that need them, so that
help and errors appear at once.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

from sparring.cli.streams import drop_broken_output, open_closed_streams
from sparring.errors import SparringError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status; `argv` defaults to that of this process."""
    open_closed_streams()
    _import_from_current_directory()
    try:
        status = _answer(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        if not drop_broken_output():
            traceback.print_exc()
        return 1


def _import_from_current_directory() -> None:
    """Add the current directory to `sys.path`, for `train my_game:MyGame`.

    It comes last, so that files there cannot replace installed modules.
    """
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.append(os.getcwd())


def _answer(argv: list[str]) -> int:
    """Exit status of the command. Errors of ours are one line, others a traceback."""
    try:
        from sparring.cli.commands import run

        return run(argv)
    except SystemExit as stop:  # the help was printed
        return stop.code if isinstance(stop.code, int) else 0
    except KeyboardInterrupt as stop:
        print(f"sparring: {str(stop) or 'interrupted'}", file=sys.stderr)
        return 130
    except SparringError as error:
        print(f"sparring: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_status
    except BrokenPipeError:
        raise
    except Exception:
        traceback.print_exc()
        return 1
