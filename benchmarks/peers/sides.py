"""The interface of a side of the comparison, and the peers as sides: processes that work only when
it is their turn.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, Self

HERE: Final = Path(__file__).parent
THREADS: Final = {"1 thread": 1, "2 threads": 2}


@dataclass(frozen=True)
class Case:
    """A mix of play and learning: an update of 256 transitions every so many plies, or never."""

    name: str
    plies_per_update: int | None
    floor: float | None  # how many times as fast as the faster peer Sparring is to be


@dataclass(frozen=True)
class Figures:
    """Plies and updates of a side in one turn."""

    plies_per_s: float
    updates_per_s: float


class Side(Protocol):
    """One library, which can do the work in some ways, such as on 1 thread or 2; which one is the
    fastest is found out first.
    """

    name: str
    versions: dict[str, str]

    def ways(self, case: Case) -> Sequence[str]:
        """Those that may be the fastest."""

    def turn(self, case: Case, way: str, seconds: float) -> Figures:
        """Work for that long, after a warm-up that does not count."""

    def keep(self, case: Case, way: str) -> None:
        """The other ways of this case are not asked for any more."""


class Peer:
    """A driver in the environment of its library; `turns.py` says how they talk."""

    def __init__(self, name: str, environment: Path, driver: str) -> None:
        self.name = name
        self.versions: dict[str, str] = {}
        command = [str(environment / "bin" / "python"), str(HERE / driver)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=no_gpu()
        )

    def __enter__(self) -> Self:
        """Its first word comes when its replay is full."""
        try:
            self.versions = self._answer()["versions"]
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def ways(self, case: Case) -> Sequence[str]:
        return tuple(THREADS)

    def turn(self, case: Case, way: str, seconds: float) -> Figures:
        order = {
            "plies_per_update": case.plies_per_update,
            "threads": THREADS[way],
            "seconds": seconds,
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._answer()
        return Figures(answer["plies_per_s"], answer["updates_per_s"])

    def keep(self, case: Case, way: str) -> None:
        """Nothing is held for the others."""

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(
                f"the driver of {self.name} ended with exit status {self._process.wait()}"
            )
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _end(self) -> None:
        self._process.kill()
        self._process.communicate()


def no_gpu() -> dict[str, str]:
    """An environment in which no library finds a GPU."""
    return {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
