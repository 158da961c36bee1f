"""The caller's `__main__` and the processes that we start.

multiprocessing runs the main script again in every new process, so that what was defined there can
be unpickled. Nothing of ours is, and a script without a main guard would start the training again:
so the script is hidden while a worker is started, unless the game, the network or an opponent lives
in it. Then workers run it, and one that finds itself training ends at once with the status
`UNGUARDED`.
"""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import process
from pathlib import Path
from typing import Final

from sparring.errors import ConfigurationError
from sparring.rollout.rollout import RolloutSettings
from sparring.user_code import is_importable_name

UNGUARDED: Final = 78  # EX_CONFIG of sysexits.h
WORKER_NAME: Final = "sparring-worker-"

_MAIN: Final = "__main__:"
_GUARD: Final = 'put the call that trains under: if __name__ == "__main__":'


def found_in_main(settings: RolloutSettings) -> str:
    """Name of the game, the network or an opponent that lives in the main script; "" if none
    does.
    """
    policies = (settings.policy, *(agent.spec for agent in settings.roster.agents.values()))
    names = (
        settings.policy.game,
        *(policy.network.factory for policy in policies),
        *settings.roster.classes,
    )
    return next((name.removeprefix(_MAIN) for name in names if name.startswith(_MAIN)), "")


def check_main_module(settings: RolloutSettings) -> None:
    """Raise `ConfigurationError` if workers would need a main script that cannot be run again."""
    name, main = found_in_main(settings), sys.modules["__main__"]
    if name and not _can_be_run_again(main):
        where = (
            "the __main__.py of a package"
            if main.__spec__ is not None
            else "python -c, standard input or a notebook"
        )
        raise ConfigurationError(
            f"worker processes cannot import {name}",
            got=f"a definition in {where}",
            expected="one in a module or a script",
            remedy='put it in a file and import it from there, or use backend="inline"',
        )


def check_importable(settings: RolloutSettings) -> None:
    """Raise `ConfigurationError` if workers that do not run the main script would need it."""
    if name := found_in_main(settings):
        raise ConfigurationError(
            f"workers on other machines cannot import {name}",
            got="a definition in the main script",
            expected="one in a module that every node can import",
            remedy='put it in a file and import it from there, or use backend="processes"',
        )


def check_guard() -> None:
    """End this process, or raise `ConfigurationError`, if a training starts here only because the
    main script is being run again.
    """
    current = process.current_process()
    # set by multiprocessing until the process has what it needs
    if not getattr(current, "_inheriting", False):
        return
    if current.name.startswith(WORKER_NAME):
        # Nothing is printed, whatever the script does with exceptions: the main process reports it.
        os._exit(UNGUARDED)
    raise ConfigurationError(
        "training was started by a process that is itself being started", remedy=_GUARD
    )


def name_for_others(name: str) -> str:
    """Name, for another program in this directory, of a game of our main script: `pig:Pig` for
    `__main__:Pig` in pig.py.

    The name stays as it is where the script cannot be imported from here, and where the main script
    does not define it.
    """
    main = sys.modules["__main__"]
    if not name.startswith(_MAIN) or not _can_be_run_again(main):
        return name
    file = Path(str(main.__file__))
    if main.__spec__ is None and (
        file.suffix != ".py" or file.parent.resolve() != Path.cwd().resolve()
    ):
        return name
    module = file.stem if main.__spec__ is None else main.__spec__.name
    others = f"{module}:{name.removeprefix(_MAIN)}"
    return others if is_importable_name(others.partition("(")[0]) else name


def unguarded(settings: RolloutSettings) -> ConfigurationError:
    """Error for a worker that ended with `UNGUARDED`."""
    what = (
        f"{found_in_main(settings)} lives in the main script, so every worker runs the script, "
        "and would train again"
    )
    return ConfigurationError(what, remedy=_GUARD)


@contextmanager
def main_module_hidden(settings: RolloutSettings) -> Iterator[None]:
    """Within the block, a new process does not import the caller's `__main__`, unless it has to."""
    main = sys.modules["__main__"]
    if not found_in_main(settings):
        sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _can_be_run_again(main: types.ModuleType) -> bool:
    """Return whether multiprocessing runs this module in a new process: it leaves out the
    `__main__.py` of packages, and needs a file.
    """
    if main.__spec__ is not None:
        return main.__spec__.name.rpartition(".")[2] != "__main__"
    return Path(getattr(main, "__file__", None) or "/").is_file()
