"""Tic-tac-toe whose constructor notes its process id."""

from __future__ import annotations

import os
from pathlib import Path

from plain_games import Toe


class CountedToe(Toe):
    """Appends its process id to the file that the environment names."""

    def __init__(self) -> None:
        with Path(os.environ["COUNTED_TOE"]).open("a") as file:
            file.write(f"{os.getpid()}\n")
