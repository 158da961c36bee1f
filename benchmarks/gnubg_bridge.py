"""GNU Backgammon (gnubg) as a scorer of positions: an optional program, started as a process."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
from backgammon_turns import Turns, checkers
from numpy.typing import NDArray

from sparring.errors import InputError, SparringError

INSTALL: Final = "apt-get install gnubg"
_INSIDE: Final = Path(__file__).with_name("gnubg_inside.py")
_PLACES: Final = slice(1, 26)  # points 1 to 24, the bar
_AT_ONCE: Final = 256  # boards; their answers fit into a pipe, so neither side waits for the other


class Gnubg:
    """Values of positions by GNU Backgammon's networks at 0 plies, without a cube: chances to win,
    and with `gammons` those of gammons and backgammons, too.

    Raises `InputError` where gnubg is not installed.
    """

    def __init__(self, *, gammons: bool) -> None:
        program = shutil.which("gnubg", path=f"{os.environ.get('PATH', '')}:/usr/games")
        if program is None:
            raise InputError("gnubg is not installed", remedy=INSTALL)
        win = 2.0, *((1.0, 1.0, -1.0, -1.0) if gammons else (0.0, 0.0, 0.0, 0.0))
        self._worth = np.array(win)  # of the five chances; and -1 in all
        (their_end, boards), (answers, their_answers) = os.pipe(), os.pipe()
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
        self._boards, self._answers = os.fdopen(boards, "wb"), os.fdopen(answers)

    def __call__(self, turns: Turns) -> NDArray[np.float64]:
        """[k] points that the seats that moved can expect."""
        chances = self.chances(checkers(turns.after))
        points: NDArray[np.float64] = 1.0 - chances @ self._worth
        return points

    def chances(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """[k, 5] chances of the seats that throw next, from `checkers` as they see them."""
        boards = np.concatenate([counts[:, 1, _PLACES], counts[:, 0, _PLACES]], axis=1)
        parts = np.split(boards.astype(np.uint8), range(_AT_ONCE, len(boards), _AT_ONCE))
        return np.concatenate([self._ask(part) for part in parts])

    def _ask(self, boards: NDArray[np.uint8]) -> NDArray[np.float64]:
        self._boards.write(b"%d\n" % len(boards) + boards.tobytes())
        self._boards.flush()
        lines = [self._answers.readline().split() for _ in range(len(boards))]
        if not all(lines):
            raise SparringError(f"gnubg has ended with exit status {self._process.wait()}")
        return np.array(lines, np.float64)

    def close(self) -> None:
        """End the process."""
        self._boards.close()
        self._process.wait()
        self._answers.close()
        self._home.cleanup()
