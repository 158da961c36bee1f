"""CPUs and memory that this process may use, and the settings that follow from them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from sparring.errors import ConfigurationError

CGROUP_MOUNT: Final = Path("/sys/fs/cgroup")
CGROUP_LIST: Final = Path("/proc/self/cgroup")
MEMINFO: Final = Path("/proc/meminfo")
STATM: Final = Path("/proc/self/statm")


def available_cpus() -> int:
    """Return the CPUs that this process may use, at least 1: its affinity, limited by the quota of
    its control groups, rounded down.
    """
    return max(1, math.floor(min(affinity(), cpu_quota())))


def affinity() -> int:
    """Return the CPUs on which this process may run, before a quota."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_memory(needed: Mapping[str, tuple[float, str]], available: float | None = None) -> None:
    """Raise `ConfigurationError` if the memory is not there: bytes and a remedy for each use;
    `available`: by default `available_memory()`.

    The system would reserve it page by page, and end this process or another when none is left.
    """
    available = available_memory() if available is None else available
    if sum(size for size, _ in needed.values()) > available:
        got = [f"{size / 2**30:,.1f} GiB {what}" for what, (size, _) in needed.items() if size]
        raise ConfigurationError(
            "not enough memory",
            got=", ".join(got),
            expected=f"at most {available / 2**30:,.1f} GiB",
            remedy=max(needed.values())[1],
        )


def available_memory(
    meminfo: Path = MEMINFO, mount: Path = CGROUP_MOUNT, listing: Path = CGROUP_LIST
) -> float:
    """Return the bytes that can be allocated without swapping, as Linux estimates them, within what
    the control groups and `ulimit -v` leave; infinity if nothing is known.
    """
    try:
        lines = meminfo.read_text(encoding="utf-8").splitlines()
        free = next(
            1024 * float(line.split()[1]) for line in lines if line.startswith("MemAvailable:")
        )
    except (OSError, StopIteration):
        free = math.inf
    groups = _in_groups("memory", _memory_v2, _memory_v1, mount, listing)
    return min([free, _address_space(), *groups])


def _address_space() -> float:
    """Return what `ulimit -v` leaves to this process."""
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        used = int(STATM.read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
    except (ImportError, OSError):  # not on Linux
        return math.inf
    return math.inf if limit == resource.RLIM_INFINITY else max(0.0, float(limit - used))


def resolve_num_workers(num_workers: int | None) -> int:
    """None: all CPUs but two, which are for the learner and the rest of the machine."""
    return max(1, available_cpus() - 2) if num_workers is None else num_workers


def resolve_learner_threads(learner_threads: int | None, num_workers: int) -> int:
    """None: all CPUs that the workers leave."""
    return max(1, available_cpus() - num_workers) if learner_threads is None else learner_threads


def cpu_quota(mount: Path = CGROUP_MOUNT, listing: Path = CGROUP_LIST) -> float:
    """Return the CPUs that the control groups of this process (version 1 and 2) and their parents
    grant; infinity without a limit.

    Inside a container the groups are often listed by their path on the host and mounted at their
    own root: files that are missing are skipped.
    """
    return min([math.inf, *_in_groups("cpu", _quota_v2, _quota_v1, mount, listing)])


def processes_left(mount: Path = CGROUP_MOUNT, listing: Path = CGROUP_LIST) -> float:
    """Return the processes and threads that the control groups still allow; infinity without a
    limit.
    """
    return min([math.inf, *_in_groups("pids", _pids_left, _pids_left, mount, listing)])


def _pids_left(folder: Path) -> float:
    """`pids.max` holds a number, or "max"."""
    try:
        limit = (folder / "pids.max").read_text(encoding="utf-8").strip()
        used = int((folder / "pids.current").read_text(encoding="utf-8"))
        return math.inf if limit == "max" else max(0, int(limit) - used)
    except (OSError, ValueError):
        return math.inf


def _in_groups(
    controller: str,
    version_2: Callable[[Path], float],
    version_1: Callable[[Path], float],
    mount: Path,
    listing: Path,
) -> Iterator[float]:
    """Yield what each control group of this process, and each of their parents, grants."""
    try:
        lines = listing.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            yield from map(version_2, _folders((mount, mount / "unified"), path))
        elif controller in controllers.split(","):
            yield from map(version_1, _folders((mount / controllers, mount / controller), path))


def _folders(roots: tuple[Path, ...], path: str) -> Iterator[Path]:
    """Yield the group's folder and those of its parents, under each root."""
    inside = PurePosixPath(path.lstrip("/"))
    for root in roots:
        for group in (inside, *inside.parents):
            yield root / group


def _quota_v2(folder: Path) -> float:
    """`cpu.max` holds "quota period" in microseconds, or "max period"."""
    try:
        quota, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
        return math.inf if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return math.inf


def _quota_v1(folder: Path) -> float:
    """Quota and period in microseconds; a quota of -1 means no limit."""
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text(encoding="utf-8"))
        period = int((folder / "cpu.cfs_period_us").read_text(encoding="utf-8"))
        return quota / period if quota > 0 else math.inf
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf


def _memory_v2(folder: Path) -> float:
    """`memory.max` holds bytes, or "max"."""
    return _memory_left(folder, "memory.max", "memory.current", ("inactive_file", "active_file"))


def _memory_v1(folder: Path) -> float:
    """Without a limit the file holds a number near 2^63."""
    files = ("total_inactive_file", "total_active_file")
    return _memory_left(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", files)


def _memory_left(folder: Path, limit: str, usage: str, cached: tuple[str, ...]) -> float:
    """Return the limit less what is used; cached files count as used, but can be dropped."""
    try:
        granted = int((folder / limit).read_text(encoding="utf-8"))
        used = int((folder / usage).read_text(encoding="utf-8"))
        lines = (folder / "memory.stat").read_text(encoding="utf-8").splitlines()
        stat = {name: int(size) for name, size in map(str.split, lines)}
    except (OSError, ValueError):
        return math.inf
    return float(max(0, granted - used + sum(stat.get(name, 0) for name in cached)))
