"""Snapshots that several runs share: agent files in one directory, which all of them read.

    MEMBER@UPDATES.safetensors    one snapshot of the run called MEMBER

Each run alone writes files of its name, atomically. So no run waits for another, and the directory
may lie on a network file system. A run keeps its newest files there, as many as its pool has
places, and takes the newest of the others, an equal number of each.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sparring.dqn.agent import DQNAgent
from sparring.dqn.networks import PolicySpec
from sparring.errors import FileFormatError, InputError
from sparring.opponents.agents import load_found
from sparring.opponents.found import FoundAgent
from sparring.opponents.pool import SHARED, OpponentManager
from sparring.storage.atomic import write_file

_FILE: Final = re.compile(r"(?P<name>(?P<member>[A-Za-z0-9_][A-Za-z0-9._-]*)@[0-9]+)\.safetensors")


class SharedPool:
    """The directory as one run sees it; `member` is the name of the run, `size` the most snapshots
    that it keeps there, and the most of others that it takes.

    `warn` shows a line to the user: once for each file that cannot be used, and once if the
    directory cannot. Training goes on.
    """

    def __init__(
        self,
        directory: Path,
        member: str,
        spec: PolicySpec,
        *,
        size: int,
        warn: Callable[[str], None],
    ) -> None:
        self._directory = directory
        self._member = member
        self._spec = spec
        self._size = size
        self._warn = warn
        self._refused: set[str] = set()
        self._reachable = True

    def exchange(self, agent: DQNAgent, updates: int, pool: OpponentManager) -> None:
        """Publish the agent, and let the newest snapshots of other runs into the pool."""
        try:
            self._publish(agent.to_bytes(), updates)
            pool.take_shared(self._wanted(), self._read)
            self._reachable = True
        except OSError as error:
            if self._reachable:
                self._warn(
                    f"pool_dir: {error.filename or self._directory}: {error.strerror}; "
                    "training continues without an exchange of snapshots"
                )
            self._reachable = False

    def _publish(self, data: bytes, updates: int) -> None:
        write_file(self._path(f"{self._member}@{updates}"), data)
        for old in self._newest_first().get(self._member, [])[self._size :]:
            self._path(old).unlink(missing_ok=True)

    def _wanted(self) -> list[str]:
        """Names of the newest usable snapshots of the other runs."""
        found = self._newest_first()
        found.pop(self._member, None)
        usable = [[name for name in names if name not in self._refused] for names in found.values()]
        each = max(1, self._size // max(1, len(usable)))
        return [f"{SHARED}{name}" for names in usable for name in names[:each]][: self._size]

    def _newest_first(self) -> dict[str, list[str]]:
        """Names of snapshots by run, in the order in which that run has written them."""
        found: dict[str, list[tuple[int, str]]] = {}
        with os.scandir(self._directory) as entries:
            for entry in entries:
                if matched := _FILE.fullmatch(entry.name):
                    with contextlib.suppress(FileNotFoundError):  # its run has just deleted it
                        written = entry.stat().st_mtime_ns
                        found.setdefault(matched["member"], []).append((written, matched["name"]))
        return {
            member: [name for _, name in sorted(files, reverse=True)]
            for member, files in sorted(found.items())
        }

    def _read(self, shared: str) -> NDArray[np.float32] | None:
        """Return the weights of a snapshot; None, with a warning, if it cannot be used."""
        name = shared.removeprefix(SHARED)
        path = self._path(name)
        try:
            agent = load_found(FoundAgent(path), self._spec.game_spec, self._spec.network.factory)
            if agent.spec != self._spec:
                raise FileFormatError(
                    f"{path} has another network",
                    got=_described(agent.spec),
                    expected=_described(self._spec),
                )
        except InputError as error:
            if path.exists():  # else its run has just deleted it
                self._refused.add(name)
                self._warn(f"pool_dir: a snapshot is left out: {error}")
            return None
        return agent.vector

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.safetensors"


def _described(spec: PolicySpec) -> str:
    arguments = ", ".join(f"{name}={value}" for name, value in spec.network.arguments.items())
    values = " of positions after moves" if spec.afterstates else ""
    return f"{spec.network.factory}({arguments}){values}"
