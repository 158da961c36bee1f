"""Description of this machine, and how busy it is with other things."""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
import time
from pathlib import Path
from typing import Any, Final

import torch

from sparring.config.system import affinity, available_cpus, available_memory, cpu_quota
from sparring.dqn.kernels import has_bfloat16

CPU_LIST: Final = Path("/proc/cpuinfo")
CPU_TIMES: Final = Path("/proc/stat")
_LIBRARIES: Final = ("torch", "numpy", "numba")
_FLAGS: Final = (
    "avx2",
    "avx512_f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_bf16",
    "amx_tile",
)  # in torch's names
_SAMPLE_SECONDS: Final = 0.3


def machine() -> dict[str, Any]:
    """The figures that rates depend on, and the load of the machine now, while this process is
    idle.
    """
    quota, memory = cpu_quota(), available_memory()
    has = torch.cpu.get_capabilities()
    return {
        "cpu": cpu_model(),
        "cpus": affinity(),
        "quota": None if math.isinf(quota) else round(quota, 2),
        "usable_cpus": available_cpus(),
        "simd": torch.backends.cpu.get_cpu_capability(),
        "flags": [flag for flag in _FLAGS if has.get(flag)],
        "bfloat16": has_bfloat16(),
        "free_memory_gib": None if math.isinf(memory) else round(memory / 2**30, 1),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in _LIBRARIES},
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "busy": busy_share(),
    }


def cpu_model(listing: Path = CPU_LIST) -> str:
    """The processor's name, where the system has it."""
    lines = listing.read_text(encoding="utf-8").splitlines() if listing.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def busy_share(times: Path = CPU_TIMES, seconds: float = _SAMPLE_SECONDS) -> float | None:
    """Share of the time of all CPUs that went to programs, or was taken by the host, during
    `seconds`; None where it is unknown.
    """
    if not times.exists():
        return None
    before = _idle_and_all(times)
    time.sleep(seconds)
    idle, total = (now - then for now, then in zip(_idle_and_all(times), before, strict=True))
    return round(1.0 - idle / total, 3) if total > 0 else None


def _idle_and_all(times: Path) -> tuple[int, int]:
    """Ticks of all CPUs since the start: idle ones (waiting for disks, too), and all. The last two
    columns are parts of the first two.
    """
    ticks = [int(word) for word in times.read_text(encoding="utf-8").split("\n", 1)[0].split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)
