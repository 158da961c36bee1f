"""Facts about this machine and this process, gathered in one place: checks take them as values."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import math
import os
import platform
import shutil
import socket
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sparring import __version__
from sparring.config import system
from sparring.dqn.gpus import Gpus, find_gpus
from sparring.errors import InputError
from sparring.games.compiled.cache import cache_root
from sparring.runtime import FileLimits, file_limits, process_start_error
from sparring.storage.locks import lock

SHARED_MEMORY: Final = Path("/dev/shm")
LIBRARIES: Final = ("torch", "numpy", "numba")
NO_LIMIT: Final = FileLimits(16, math.inf, math.inf)
NO_GPUS: Final = Gpus()
THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Folder:
    """A folder in which something is written; `error`: why it cannot be, "" if it can."""

    path: str
    free: float = math.inf  # bytes
    error: str = ""


@dataclass(frozen=True)
class Ray:
    """A cluster of Ray: `installed` is its version here, `answer` why it does not answer, "" if it
    does.
    """

    installed: str = ""
    answer: str = ""
    token: bool = False  # the environment has one


@dataclass(frozen=True)
class Machine:
    """Facts that the checks of `checks.py` need; the defaults are those of a good machine."""

    files: FileLimits = NO_LIMIT
    file_size: float = math.inf  # limit of the size of a file (`ulimit -f`)
    processes: float = math.inf  # that may still be started
    cpus: int = 64
    cores: int = 64  # CPUs of the affinity, before a quota
    quota: float = math.inf
    memory: float = math.inf  # bytes that can be allocated
    memfd: bool = True  # anonymous files exist, so shared memory does not lie in /dev/shm
    shm: Folder = Folder(str(SHARED_MEMORY))
    runs: Folder = Folder("runs")
    temporary: Folder = Folder("/tmp")
    cache: Folder = Folder("~/.cache/sparring")
    start_error: str = ""  # of a process that was started as workers are
    gpus: Gpus = NO_GPUS
    threads: Mapping[str, str] = field(default_factory=dict)  # environment variables
    versions: Mapping[str, str] = field(default_factory=dict)  # of libraries
    required: tuple[str, ...] = ()  # as torch>=2.13
    now: float = math.inf  # seconds since 1970
    installed_at: float = 0.0  # when the newest file of this package was written
    ray: Ray = Ray()


def look(runs_dir: str, start_method: str, *, processes: bool, ray: str | None) -> Machine:
    """Return the facts; `processes`: start one as a worker, `ray`: address of a cluster."""
    cache = cache_root()
    return Machine(
        files=file_limits(),
        file_size=_file_size(),
        processes=system.processes_left(),
        cpus=system.available_cpus(),
        cores=system.affinity(),
        quota=system.cpu_quota(),
        memory=system.available_memory(),
        memfd=hasattr(os, "memfd_create"),
        shm=folder(SHARED_MEMORY) if SHARED_MEMORY.exists() else Folder("", 0.0, "missing"),
        runs=folder(Path(runs_dir)),
        temporary=folder(Path(tempfile.gettempdir())),
        cache=Folder(str(cache), error=_cache_error(cache)),
        start_error=process_start_error(start_method) if processes else "",
        gpus=find_gpus(),
        threads={name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
        versions={"sparring": __version__, **_versions()},
        required=tuple(_required()),
        now=time.time(),
        installed_at=max(path.stat().st_mtime for path in Path(__file__).parents[1].glob("*")),
        ray=_ray(ray),
    )


def folder(path: Path) -> Folder:
    """Facts of a folder, or of the parent in which it would be made: a file is made, locked and
    deleted there.
    """
    there = path.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        free = float(shutil.disk_usage(there).free)
        with tempfile.TemporaryFile(dir=there) as file:
            lock(file.fileno(), wait=False)
    except OSError as error:
        return Folder(str(path), 0.0, error.strerror or type(error).__name__)
    except InputError as error:
        return Folder(str(path), free, str(error))
    return Folder(str(path), free)


def _file_size() -> float:
    try:
        import resource
    except ImportError:  # Windows
        return math.inf
    soft, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return math.inf if soft == resource.RLIM_INFINITY else soft


def _cache_error(cache: Path) -> str:
    """`cache_root` falls back to a folder that is deleted when this process ends."""
    kept = not str(cache).startswith(os.path.join(tempfile.gettempdir(), "sparring-cache-"))
    return "" if kept else "no folder for compiled code can be written"


def _versions() -> dict[str, str]:
    found = {name: _version(name) for name in LIBRARIES}
    return {"python": platform.python_version(), **found}


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _required() -> list[str]:
    """Requirements of this package without those of its extras."""
    try:
        lines = importlib.metadata.requires("sparring") or []
    except importlib.metadata.PackageNotFoundError:  # used from a folder, not installed
        return []
    return [line for line in lines if ";" not in line]


def _ray(address: str | None) -> Ray:
    if address is None:
        return Ray()
    installed = _version("ray") if importlib.util.find_spec("ray") else ""
    token = any(os.environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    return Ray(installed, unanswered(address), token)


def unanswered(address: str, seconds: float = 5.0) -> str:
    """Return why nothing answers at HOST:PORT, "" where something does; other addresses ("auto",
    "local") name a cluster of this machine.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        return ""
    try:
        with socket.create_connection((host, int(port)), seconds):
            return ""
    except ValueError:
        return f"{port} is not a port"
    except OSError as error:
        return error.strerror or str(error) or type(error).__name__
