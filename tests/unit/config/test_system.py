from __future__ import annotations

import math
import os
import resource
from pathlib import Path

import pytest

from sparring.config import system


def write(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)


@pytest.mark.parametrize(
    ("listing", "files", "quota"),
    [
        ("0::/\n", {}, math.inf),
        ("0::/\n", {"cpu.max": "max 100000\n"}, math.inf),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/a/b\n", {"a/b/cpu.max": "400000 100000\n", "a/cpu.max": "300000 100000\n"}, 3.0),
        ("0::/a/b\n", {"a/b/cpu.max": "200000 100000\n", "a/cpu.max": "max 100000\n"}, 2.0),
        ("0::/on/the/host\n", {"cpu.max": "250000 100000\n"}, 2.5),
        ("0::/\n", {"unified/cpu.max": "50000 100000\n"}, 0.5),
        ("0::/../..\n", {}, math.inf),
        (
            "4:cpu,cpuacct:/a\n0::/\n",
            {
                "cpu,cpuacct/a/cpu.cfs_quota_us": "300000",
                "cpu,cpuacct/a/cpu.cfs_period_us": "100000",
            },
            3.0,
        ),
        (
            "1:cpu:/a\n",
            {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "100000"},
            math.inf,
        ),
        (
            "1:cpu:/gone\n",
            {"cpu/cpu.cfs_quota_us": "150000", "cpu/cpu.cfs_period_us": "50000"},
            3.0,
        ),
        (
            "1:cpuset:/a\n",
            {"cpuset/a/cpu.cfs_quota_us": "100000", "cpuset/a/cpu.cfs_period_us": "100000"},
            math.inf,
        ),
        ("0::/\n", {"cpu.max": "nonsense\n"}, math.inf),
    ],
)
def test_quota_of_control_groups(
    tmp_path: Path, listing: str, files: dict[str, str], quota: float
) -> None:
    mount = tmp_path / "cgroup"
    write(mount, files)
    (tmp_path / "self").write_text(listing)
    assert system.cpu_quota(mount, tmp_path / "self") == quota


def test_no_control_groups(tmp_path: Path) -> None:
    assert system.cpu_quota(tmp_path, tmp_path / "absent") == math.inf


@pytest.mark.parametrize(
    ("affinity", "quota", "expected"), [(8, math.inf, 8), (8, 3.9, 3), (2, 16.0, 2), (4, 0.5, 1)]
)
def test_available_cpus(
    monkeypatch: pytest.MonkeyPatch, affinity: int, quota: float, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(affinity)), raising=False)
    monkeypatch.setattr(system, "cpu_quota", lambda: quota)
    assert system.available_cpus() == expected


@pytest.mark.parametrize(
    ("cpus", "workers", "threads"), [(1, 1, 1), (2, 1, 1), (3, 1, 2), (8, 6, 2), (48, 46, 2)]
)
def test_workers_and_learner_share_the_cpus(
    monkeypatch: pytest.MonkeyPatch, cpus: int, workers: int, threads: int
) -> None:
    monkeypatch.setattr(system, "available_cpus", lambda: cpus)
    assert system.resolve_num_workers(None) == workers
    assert system.resolve_learner_threads(None, workers) == threads


def test_what_is_given_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "available_cpus", lambda: 4)
    assert system.resolve_num_workers(9) == 9
    assert system.resolve_learner_threads(None, 9) == 1
    assert system.resolve_learner_threads(3, 9) == 3


def test_available_memory_is_what_linux_estimates(tmp_path: Path) -> None:
    file = tmp_path / "meminfo"
    file.write_text("MemTotal:       24000 kB\nMemFree:        1 kB\nMemAvailable:   20000 kB\n")
    none = tmp_path / "none"
    assert system.available_memory(file, none, none) == 20000 * 1024
    assert system.available_memory(none, none, none) == math.inf


def test_available_memory_is_what_ulimit_v_leaves(tmp_path: Path) -> None:
    none = tmp_path / "none"
    used = int(system.STATM.read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**32, hard))
    try:
        left = system.available_memory(none, none, none)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    assert 2**31 < left < 2**32 + 2**31


@pytest.mark.parametrize(
    ("listing", "files", "left"),
    [
        ("0::/a\n", {"a/memory.max": "max\n", "a/memory.current": "5\n", "a/memory.stat": ""}, 9e6),
        (
            "0::/a\n",
            {
                "a/memory.max": "1000000\n",
                "a/memory.current": "300000\n",
                "a/memory.stat": "anon 9\ninactive_file 120000\nactive_file 30000\n",
            },
            1_000_000 - 300_000 + 150_000,
        ),
        (
            "0::/a/b\n",
            {"a/memory.max": "500\n", "a/memory.current": "600\n", "a/memory.stat": "anon 600\n"},
            0,
        ),
        ("0::/a\n", {"a/memory.max": "nonsense\n"}, 9e6),
        (
            "7:memory:/docker/x\n",
            {
                "memory/memory.limit_in_bytes": "800000\n",
                "memory/memory.usage_in_bytes": "500000\n",
                "memory/memory.stat": "cache 9\ntotal_inactive_file 100000\ntotal_active_file 0\n",
            },
            400_000,
        ),
    ],
)
def test_available_memory_is_limited_by_control_groups(
    listing: str, files: dict[str, str], left: float, tmp_path: Path
) -> None:
    """The smaller of both: what Linux estimates, here 9 MB, and what the group's limit leaves."""
    meminfo, mount = tmp_path / "meminfo", tmp_path / "cgroup"
    meminfo.write_text(f"MemAvailable: {9e6 / 1024} kB\n")
    write(mount, files)
    (tmp_path / "self").write_text(listing)
    assert system.available_memory(meminfo, mount, tmp_path / "self") == left
