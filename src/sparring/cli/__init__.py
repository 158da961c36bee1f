"""The `sparring` command: exit statuses and streams.

Exit status: 0 done; 2 bad usage or configuration, one line on standard error and nothing written;
130 stopped by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP, with the run saved; 1 anything else, also
output that nothing reads or a full disk does not take. torch and the games are imported by the
commands that need them, so that help and errors appear at once.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Sequence
from signal import SIGINT

from sparring.cli.signals import end_by_signals, restore
from sparring.cli.streams import drop_broken_output, is_of_output, open_closed_streams, say
from sparring.errors import SparringError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status; `argv` defaults to that of this process."""
    open_closed_streams()
    handlers = end_by_signals()
    _import_from_current_directory()
    try:
        status = _answer(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        return status
    except OSError as error:
        if not (drop_broken_output() or is_of_output(error)):
            traceback.print_exc()
        elif not isinstance(error, BrokenPipeError):
            say(f"the output cannot be written: {error.strerror or error}")
        return 1
    finally:
        if argv is not None:  # called by another program; else this process ends now
            restore(handlers)


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
        say(str(stop) or "interrupted")
        return 128 + getattr(stop, "signal", SIGINT)
    except SparringError as error:
        say(" ".join(str(error).split()))
        return error.exit_status
    except MemoryError as error:
        say(f"not enough memory: {' '.join(str(error).split()) or 'this machine has no more'}")
        return 1
    except ModuleNotFoundError as error:
        if error.name not in _required_modules():
            traceback.print_exc()
        else:  # after `pip install --no-deps`, which is enough to load an agent
            say(f"the commands need {error.name}, which is not installed; pip install sparring")
        return 1
    except OSError:  # perhaps of the output
        raise
    except Exception:
        traceback.print_exc()
        return 1


def _required_modules() -> set[str]:
    """Return the modules that Sparring cannot do without; none if it runs uninstalled."""
    from importlib.metadata import PackageNotFoundError, requires  # slow, and for this case alone

    try:
        needed = [name for name in requires("sparring") or () if ";" not in name]
    except PackageNotFoundError:
        return set()
    return {re.split(r"[^\w-]", name)[0].replace("-", "_") for name in needed}
