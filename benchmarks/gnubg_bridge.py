"""GNU Backgammon (gnubg) as a scorer of turns: an optional program, started as processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
from backgammon_turns import Ends, checkers
from numpy.typing import NDArray

from sparring.errors import InputError, SparringError
from sparring.games.backgammon.rules import AT_DICE, BAR, OFF

INSTALL: Final = "apt-get install gnubg"
_INSIDE: Final = Path(__file__).with_name("gnubg_inside.py")
_PLACES: Final = slice(OFF + 1, BAR + 1)  # points 1 to 24, the bar
_AT_ONCE: Final = 64  # positions; these and their answers fit into a pipe, so that nobody waits


class Gnubg:
    """The best moves of GNU Backgammon's networks at 0 plies, in a money game without a cube:
    worth 1, all other turns 0.

    gnubg answers on a thread of its own and mostly waits for it, hence several `processes`. Raises
    `InputError` where gnubg is not installed.
    """

    def __init__(self, processes: int = 4) -> None:
        program = shutil.which("gnubg", path=f"{os.environ.get('PATH', '')}:/usr/games")
        if program is None:
            raise InputError("gnubg is not installed", remedy=INSTALL)
        self._processes = [_Process(program) for _ in range(processes)]

    def __call__(self, ends: Ends) -> NDArray[np.float64]:
        """[k] 1 for the turn that gnubg plays from each position, 0 for others."""
        asked = np.unique(ends.root)
        wanted = np.zeros((len(ends.before), 2, BAR + 1), np.int64)
        wanted[asked] = self.played(checkers(ends.before[asked]), dice(ends.before[asked]))
        after = checkers(ends.after)[:, ::-1]
        differ: NDArray[np.int64] = np.abs(after - wanted[ends.root]).sum(axis=(1, 2))
        if not np.array_equal(np.unique(ends.root[differ == 0]), asked):
            raise SparringError("gnubg plays a turn that our rules do not allow")
        return np.where(differ == 0, 1.0, 0.0)

    def played(self, counts: NDArray[np.int64], dice: NDArray[np.int64]) -> NDArray[np.int64]:
        """[m, 2, 26] `checkers` after gnubg's turns with `dice` [m, 2]; the mover's come first."""
        rows = np.concatenate([counts[:, 1, _PLACES], counts[:, 0, _PLACES], dice], axis=1)
        size = min(-(-len(rows) // len(self._processes)), _AT_ONCE)
        parts = np.split(rows.astype(np.uint8), range(size, len(rows), size))
        moves: list[list[int]] = []
        for first in range(0, len(parts), len(self._processes)):
            pairs = list(zip(self._processes, parts[first:], strict=False))
            for process, part in pairs:
                process.ask(part)
            moves += [move for process, part in pairs for move in process.answers(len(part))]
        after = counts.copy()
        for position, move in zip(after, moves, strict=True):
            for begin, end in zip(move[::2], move[1::2], strict=True):
                _move_checker(position, begin, end)
        return after

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.close()


def dice(observation: NDArray[np.int8]) -> NDArray[np.int64]:
    """[m, 2] the dice of whole throws."""
    left = observation[:, AT_DICE:]
    high, low = 6 - (left[:, ::-1] > 0).argmax(axis=1), 1 + (left > 0).argmax(axis=1)
    return np.stack([high, low], axis=1)


def _move_checker(position: NDArray[np.int64], begin: int, end: int) -> None:
    """Move a checker of the first seat of `position` [2, 26]."""
    position[0, begin] -= 1
    position[0, max(end, OFF)] += 1
    if end > OFF and position[1, BAR - end]:
        position[1, BAR - end] -= 1
        position[1, BAR] += 1


class _Process:
    """A gnubg that answers positions through pipes."""

    def __init__(self, program: str) -> None:
        (their_end, positions), (answers, their_answers) = os.pipe(), os.pipe()
        self._home = tempfile.TemporaryDirectory(prefix="gnubg-")  # not the user's settings
        self._process = subprocess.Popen(
            [program, "-t", "-q", "-r", "-s", self._home.name, "-p", str(_INSIDE)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(their_end, their_answers),
            env={**os.environ, "GNUBG_PIPES": f"{their_end} {their_answers}"},
        )
        os.close(their_end)
        os.close(their_answers)
        self._positions, self._answers = os.fdopen(positions, "wb"), os.fdopen(answers)

    def ask(self, rows: NDArray[np.uint8]) -> None:
        self._positions.write(b"%d\n" % len(rows) + rows.tobytes())
        self._positions.flush()

    def answers(self, number: int) -> list[list[int]]:
        lines = [self._answers.readline() for _ in range(number)]
        if not all(lines):
            raise SparringError(f"gnubg has ended with exit status {self._process.wait()}")
        return [[int(place) for place in line.split()] for line in lines]

    def close(self) -> None:
        self._positions.close()
        self._process.wait()
        self._answers.close()
        self._home.cleanup()
