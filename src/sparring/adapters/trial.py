"""Trial of a game in a process of its own, before this process makes it.

The code of a library can abort its process, hang, or take all memory where arguments are not what
it expects. So a game named with arguments of its library is first made, and played a little, by
another interpreter. A game that passes is marked in the cache folder and not tried again.

The other interpreter writes one JSON object to its standard output: {"error": a line, or null}.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np

from sparring.errors import ConfigurationError
from sparring.games.faults import one_line
from sparring.games.names import GameName, parse
from sparring.games.spec import BatchedGame, Match
from sparring.games.user_games import OF_ADAPTERS

_TIMEOUT: Final = 60.0  # seconds
_MEMORY: Final = 4 * 2**30  # bytes that a trial may take
_MATCHES, _PLIES, _SECONDS = 3, 2000, 2.0  # limits of the play
_MAIN: Final = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
    "from sparring.adapters import trial; trial.answer()"
)


def tried_game(
    name: GameName,
    library: str,
    num_slots: int,
    match_maker: Callable[[GameName], Callable[[], Match]],
) -> BatchedGame:
    """The game, whose matches `match_maker` makes, after a trial if it is named with arguments of
    the library; modules of users are not tried.
    """
    of_the_library = name.scheme == library and ":" not in name.target
    if of_the_library and name.arguments.keys() - OF_ADAPTERS:
        try_out(name, library)
    from sparring.games.python.game import LoopedGame  # imports Numba, which a trial does not need

    return LoopedGame(str(name), match_maker(name), num_slots)


def try_out(name: GameName, library: str) -> None:
    """Raise `ConfigurationError` if the game cannot be made by another process.

    `library` is the distribution whose version the mark of a success is for.
    """
    mark = _mark(name, library)
    if mark.exists():
        return
    path = json.dumps([os.path.abspath(entry) for entry in sys.path])
    command = [sys.executable, "-c", _MAIN, path, str(name)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT
        )
    except subprocess.TimeoutExpired:
        raise _refusal(name, f"no answer in {_TIMEOUT:.0f} s") from None
    if not done.stdout:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise _refusal(
            name, f"{_ending(done.returncode)}: {one_line((said or ['no message'])[-1])}"
        )
    if error := json.loads(done.stdout)["error"]:
        raise ConfigurationError(error)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()


def _refusal(name: GameName, got: str) -> ConfigurationError:
    return ConfigurationError(
        f"{name} cannot be made", got=got, remedy="change or remove its arguments"
    )


def _ending(status: int) -> str:
    if status >= 0:
        return f"the library ended its process with status {status}"
    try:
        return f"the library ended its process by {signal.Signals(-status).name}"
    except ValueError:
        return f"the library ended its process by signal {-status}"


def _mark(name: GameName, library: str) -> Path:
    """The file that remembers a success, by name and versions."""
    from sparring.games.compiled.cache import cache_root  # imports Numba, which a trial need not

    made_of = (str(name), metadata.version(library), sys.version)
    return cache_root() / "tried" / hashlib.sha256("\0".join(made_of).encode()).hexdigest()


def answer() -> None:
    """In the other interpreter: make the game named by the last argument, play, and answer."""
    out, error = os.dup(1), None
    os.dup2(2, 1)  # libraries print
    _limit_memory()
    name = parse(sys.argv[-1])
    try:
        _play(name, importlib.import_module(f"sparring.adapters.{name.scheme}").match_maker(name))
    except ConfigurationError as refusal:
        error = str(refusal)
    except MemoryError:
        error = str(_refusal(name, f"more than {_MEMORY / 2**30:.0f} GiB of memory"))
    except Exception as raised:
        error = str(_refusal(name, one_line(f"{type(raised).__name__}: {raised}")))
    os.write(out, json.dumps({"error": error}).encode())
    os._exit(0)  # whatever the library has left running


def _limit_memory() -> None:
    """Let allocations fail that would otherwise take all memory of the machine."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    statm = Path("/proc/self/statm")
    if not statm.exists():  # only on Linux
        return
    limit = int(statm.read_text().split()[0]) * resource.getpagesize() + _MEMORY
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _play(name: GameName, new_match: Callable[[], Any]) -> None:
    """Play random matches, and call every method of a match."""
    rng, end = np.random.default_rng(0), time.monotonic() + _SECONDS
    for seed in range(_MATCHES):
        match = new_match()
        match.reset(np.random.default_rng(seed))
        for ply in range(_PLIES):
            legal = np.flatnonzero(match.mask())
            if not len(legal):
                raise _refusal(name, f"no legal action after {ply} plies")
            action = int(rng.choice(legal))
            for seat in range(match.spec.num_players):
                match.observe(seat)
            if ply < 2:
                match.copy()
            str(match)
            if match.step(action)[1] or time.monotonic() > end:
                break
