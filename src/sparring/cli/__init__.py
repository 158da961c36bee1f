"""The `sparring` command: which command, which exit status, what goes to which stream.

Exit status: 0 done; 2 bad usage or configuration, one line on standard error and nothing written;
130 stopped by Ctrl-C; 1 anything else. torch and the games are imported by the commands that need
them, so that help and mistakes are answered at once.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

from sparring.errors import SparringError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status; `argv` defaults to that of this process."""
    _look_for_modules_here()
    try:
        status = _answer(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        return _reader_has_gone()


def _look_for_modules_here() -> None:
    """Modules that a command line names, as in `train my_game:MyGame`, may lie in the current
    directory.

    Behind all others: what happens to lie there must not stand in for what is installed.
    """
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.append(os.getcwd())


def _answer(argv: list[str]) -> int:
    """The command's exit status, after errors have been told in the way that suits each kind."""
    try:
        from sparring.cli.commands import run

        return run(argv)
    except SystemExit as stop:  # tyro has printed the help
        return stop.code if isinstance(stop.code, int) else 0
    except KeyboardInterrupt:
        print("sparring: interrupted", file=sys.stderr)
        return 130
    except SparringError as error:
        print(f"sparring: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_status
    except BrokenPipeError:
        raise
    except Exception:
        traceback.print_exc()
        return 1


def _reader_has_gone() -> int:
    """Quiet if nobody reads our standard output any more, as in `sparring games | head -1`; else an
    error like any other.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # the interpreter flushes once more when it exits
    else:
        traceback.print_exc()
    return 1
