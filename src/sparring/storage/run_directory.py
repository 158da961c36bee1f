"""The directory of one run: its name, its lock, the paths of its files, and its checkpoints.

runs/<name>/                claimed by mkdir, so that any number of processes can start side by side
  lock                      held with flock while a process trains here, as is the directory, in
                            case the file is deleted; the system frees both when that process ends,
                            even if it is killed
  ended.json                written when a training ends by itself, removed when the next begins: a
                            run without it was killed, or is running
  config.toml  metrics.jsonl  tensorboard/  best.safetensors  last.safetensors
  opponents/                copies of the agents that it plays against, for `sparring resume`
  checkpoints/<updates>/    written by `checkpoint.save`; the newest two are kept
  faults/<n>.json           matches in which a game or player failed, for `sparring replay`
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from sparring.errors import (
    ConfigurationError,
    FileFormatError,
    InputError,
    StorageError,
    nearest,
)
from sparring.storage import checkpoint
from sparring.storage.atomic import (
    is_complete,
    recover,
    remove_directory,
    sync_directory,
    write_file,
)
from sparring.storage.checkpoint import StateTree
from sparring.storage.locks import DirectoryLock, is_locked, require_locks

FAULTS = "faults"
OPPONENTS = "opponents"
KEPT_CHECKPOINTS = 2

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_NUMBER = re.compile(r"0|[1-9][0-9]*")
_CHECKPOINTS = "checkpoints"
_ENDED = "ended.json"
_READ_ATTEMPTS = 3

log = logging.getLogger(__name__)

State = Literal["running", "finished", "interrupted", "failed"]


@dataclass(frozen=True)
class RunState:
    """`finished` is a run of full length, or one that a rule or callback has ended (`reason`);
    `interrupted` one that a signal has stopped or that was killed; `failed` one that an error has
    ended (`reason`).
    """

    state: State
    reason: str = ""


class RunDirectory:
    """A run directory, locked by this process until `close` or the end of the `with` block."""

    def __init__(self, path: Path) -> None:
        """Lock an existing run directory; use `create` or `open`."""
        self.path = path
        self.config_path = path / "config.toml"
        self.metrics_path = path / "metrics.jsonl"
        self.tensorboard_path = path / "tensorboard"
        self.best_path = path / "best.safetensors"
        self.last_path = path / "last.safetensors"
        self.checkpoints_path = path / _CHECKPOINTS
        self.faults_path = path / FAULTS
        self.opponents_path = path / OPPONENTS
        self._kept = False
        self._damaged: set[int] = set()  # found while loading; the check of sizes cannot see it
        self._lock: DirectoryLock | None = DirectoryLock(path)

    @classmethod
    def create(cls, runs_root: str | Path, name: str | None, game: str) -> Self:
        """Make and lock a new run directory; without a name it is `<game>-<n>`, n the first free
        number from 1.

        ConfigurationError if the name is taken or invalid.
        """
        require_locks()
        runs_root = Path(runs_root)
        if name is not None:
            check_name(name)
        try:
            runs_root.mkdir(parents=True, exist_ok=True)
            path = (
                _claim_numbered(runs_root, game) if name is None else _claim_named(runs_root, name)
            )
            (path / _CHECKPOINTS).mkdir()
            sync_directory(path)
            sync_directory(runs_root)
            return cls(path)
        except OSError as error:
            raise ConfigurationError(
                f"cannot make a run directory in {runs_root}: {error.strerror}"
            ) from None

    @classmethod
    def open(cls, runs_root: str | Path, name: str | Path) -> Self:
        """Lock the run called `name` in `runs_root`; a name with a path separator is the path of a
        run directory.

        InputError if the run does not exist, or if another process holds its lock.
        """
        return cls(find_run(runs_root, name))

    @property
    def name(self) -> str:
        return self.path.resolve().name

    def save_checkpoint(self, updates: int, tree: Mapping[str, Any]) -> Path:
        """Save a tree under its number of updates, then delete all but the newest two complete
        checkpoints; return its path.

        A checkpoint of the same number is replaced. A kill at any moment leaves every acknowledged
        checkpoint that is among the newest two, and so does a failure: `StorageError` if the disk
        does not take it, `InputError` if another process has the lock because it was deleted.
        """
        self.check_held()
        if updates < 0:
            raise ValueError(
                f"a checkpoint is numbered by its updates: got {updates}, expected 0 or more"
            )
        try:
            checkpoint.save(self._checkpoint_path(updates), tree)
        except StorageError as error:
            kept = [n for n in _numbers(self.checkpoints_path) if n not in self._damaged]
            rest = f"the checkpoint of {kept[0]:,} updates is kept" if kept else "none is there yet"
            raise StorageError(f"{error}; {rest}", error) from None
        self._damaged.discard(updates)
        self._prune(updates)
        return self._checkpoint_path(updates)

    def load_checkpoint(self, into: Mapping[str, NDArray[np.uint8]] | None = None) -> StateTree:
        """Return the tree of the newest complete checkpoint (highest number of updates); others are
        skipped with a warning. `into` is that of `checkpoint.load`.

        InputError if there is none.
        """
        self.check_held()
        recover(self.checkpoints_path)
        for updates in _numbers(self.checkpoints_path):
            try:
                tree = checkpoint.load(self._checkpoint_path(updates), into)
            except FileFormatError as error:
                log.warning(
                    "warning: checkpoint %d of run %s is skipped: %s", updates, self.name, error
                )
                self._damaged.add(updates)
            else:
                return tree
        raise InputError(
            f"run {self.name!r} has no complete checkpoint to resume from",
            remedy="start a new run: sparring train",
        )

    def newest_checkpoint(self) -> int | None:
        """Return the updates of the newest complete checkpoint; None without one."""
        complete = (n for n in _numbers(self.checkpoints_path) if self._is_complete(n))
        return max(complete, default=None)

    def _is_complete(self, updates: int) -> bool:
        return updates not in self._damaged and is_complete(self._checkpoint_path(updates))

    def begin(self) -> None:
        """Note that a training begins."""
        (self.path / _ENDED).unlink(missing_ok=True)

    def end(self, state: State, reason: str) -> None:
        """Note for `state_of` how the training has ended. A full disk does not matter: the run then
        looks interrupted.
        """
        with contextlib.suppress(OSError):
            write_file(self.path / _ENDED, json.dumps({"state": state, "reason": reason}).encode())

    def keep(self) -> None:
        """Make `discard` do nothing from now on: the run has begun."""
        self._kept = True

    def discard(self) -> None:
        """Delete the directory of a run that could not begin, unless it has a checkpoint, an agent
        or a fault, or `keep` was called.
        """
        holds = (
            _numbers(self.checkpoints_path) or self.best_path.exists() or self.faults_path.exists()
        )
        if not self._kept and not holds:
            self.check_held()
            shutil.rmtree(self.path)

    def close(self) -> None:
        """Release the lock. May be called again."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def check_held(self) -> None:
        """Take the lock anew if its file was deleted or replaced; InputError if another process
        was faster.
        """
        if self._lock is None:
            raise ValueError(f"the run directory {self.path} is closed; open it again")
        if not self._lock.is_held:
            self.close()
            self._lock = DirectoryLock(self.path)

    def _checkpoint_path(self, updates: int) -> Path:
        return self.checkpoints_path / str(updates)

    def _prune(self, saved: int) -> None:
        """Delete all but the newest complete ones and the one just saved; oldest first, so that a
        kill meanwhile leaves the newest.
        """
        numbers = _numbers(self.checkpoints_path)
        complete = [number for number in numbers if self._is_complete(number)]
        for number in reversed(numbers):
            if number not in complete[:KEPT_CHECKPOINTS] and number != saved:
                remove_directory(self._checkpoint_path(number))


def find_run(runs_root: str | Path, name: str | Path) -> Path:
    """Return the directory of the run called `name`, as `RunDirectory.open` finds it; takes no
    lock. InputError if the run does not exist.
    """
    path = Path(name) if os.sep in str(name) else Path(runs_root) / name
    if not (path / _CHECKPOINTS).is_dir():
        raise _no_such_run(path)
    return path


def state_of(run: Path) -> RunState:
    """Return the state of a run. Takes no lock and writes nothing."""
    if is_locked(run):
        return RunState("running")
    try:
        ended = json.loads((run / _ENDED).read_bytes())
        return RunState(ended["state"], str(ended["reason"]))
    except (OSError, ValueError, KeyError, TypeError):  # killed before it could note its end
        return RunState("interrupted")


def runs_in(runs_root: Path) -> list[Path]:
    """Return the run directories in a directory, in no order; empty if there is no such
    directory.
    """
    try:
        return [path for path in runs_root.iterdir() if (path / _CHECKPOINTS).is_dir()]
    except OSError:
        return []


def fault_folder(agent: Path) -> Path:
    """Return the folder for matches in which something fails beside an agent file: that of its run,
    else one in the current directory.
    """
    run = agent.parent
    return run / FAULTS if (run / _CHECKPOINTS).is_dir() else Path(FAULTS)


def as_argument(run: Path) -> str:
    """The run as commands take it, wherever it is: its path, quoted for a shell."""
    return shlex.quote(str(run) if os.sep in str(run) else f".{os.sep}{run}")


def read_newest(run: Path, key: str) -> Any:
    """Return one part of the newest complete checkpoint of a run (see `checkpoint.load_part`), None
    without a checkpoint.

    Takes no lock and writes nothing. A process that trains there may delete or replace the
    checkpoint meanwhile: then the next one is tried, and at last the newest again. FileFormatError
    if all are damaged.
    """
    damage: FileFormatError | None = None
    for _ in range(_READ_ATTEMPTS):
        for updates in _numbers(run / _CHECKPOINTS):
            try:
                return checkpoint.load_part(run / _CHECKPOINTS / str(updates), key)
            except FileFormatError as error:
                damage = damage or error
    if damage is not None:
        raise damage
    return None


def newest_checkpoint(run: Path) -> int | None:
    """Return the updates of the newest complete checkpoint of a run, None without one. Takes no
    lock.
    """
    checkpoints = run / _CHECKPOINTS
    complete = (n for n in _numbers(checkpoints) if is_complete(checkpoints / str(n)))
    return next(complete, None)


def _numbers(checkpoints: Path) -> list[int]:
    """Numbers of updates, the names of the checkpoints, newest first."""
    names = [path.name for path in checkpoints.iterdir()] if checkpoints.is_dir() else []
    return sorted((int(name) for name in names if _NUMBER.fullmatch(name)), reverse=True)


def check_name(name: str) -> None:
    """Raise `ConfigurationError` if this cannot be the name of a run."""
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            "invalid run name",
            got=repr(name),
            expected="at most 100 letters, digits, '.', '_' and '-',"
            " the first a letter, a digit or '_'",
        )


def _claim_named(runs_root: Path, name: str) -> Path:
    try:
        (runs_root / name).mkdir()
    except FileExistsError:
        remedy = (
            f"choose another name, or continue it: sparring resume {as_argument(runs_root / name)}"
        )
        raise ConfigurationError(
            f"there is already a run {name!r} in {runs_root}", remedy=remedy
        ) from None
    return runs_root / name


def _claim_numbered(runs_root: Path, game: str) -> Path:
    """Claim by mkdir: if two processes want the same name, one gets it and the other tries the
    next.
    """
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", game)[-80:].lstrip(".-") or "run"
    for number in itertools.count(1):
        path = runs_root / f"{stem}-{number}"
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise AssertionError("unreachable")


def _no_such_run(path: Path) -> InputError:
    if path.is_dir():
        return InputError(
            f"{path} is not a run directory",
            remedy=f"a run directory has a folder {_CHECKPOINTS!r}",
        )
    names = [run.name for run in runs_in(path.parent)]
    remedy = nearest(path.name, names) or (
        f"there is {', '.join(sorted(names)[:5])}" if names else "start one: sparring train"
    )
    return InputError(f"there is no run {path.name!r} in {path.parent}", remedy=remedy)
