"""GPUs that this process can use, and why there is none."""

from __future__ import annotations

import ctypes
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from sparring.errors import ConfigurationError

_DRIVER: Final = Path("/proc/driver/nvidia/version")
_NODES: Final = Path("/dev")
_LIBRARY: Final = "libcuda.so.1"


@dataclass(frozen=True)
class Gpu:
    """One GPU as torch sees it."""

    name: str
    free: int  # bytes
    total: int
    architecture: str  # sm_90


@dataclass(frozen=True)
class Gpus:
    """Facts about GPUs and their software."""

    cuda: str | None = None  # version that torch was built with
    hip: str | None = None  # the same for AMD
    driver: str = ""  # version of the kernel's NVIDIA driver, "" if none is loaded
    driver_cuda: int | None = None  # newest CUDA of its library, 12040 for 12.4; None: no library
    nodes: tuple[str, ...] = ()  # /dev/nvidia0, ...
    denied: tuple[str, ...] = ()  # those of them that this process may not use
    visible: str | None = None  # CUDA_VISIBLE_DEVICES
    architectures: tuple[str, ...] = ()  # that torch has code for
    error: str = ""  # of CUDA's start
    devices: tuple[Gpu, ...] = ()


def find_gpus() -> Gpus:
    """Return what there is; starts CUDA, which takes a second, where torch is built with it."""
    error, devices = "", tuple[Gpu, ...]()
    if torch.version.cuda or torch.version.hip:
        try:
            torch.cuda.init()  # type: ignore[no-untyped-call]
            devices = tuple(_gpu(index) for index in range(torch.cuda.device_count()))
        except (RuntimeError, AssertionError) as caught:
            error = " ".join(str(caught).split())
    nodes = tuple(sorted(str(node) for node in _NODES.glob("nvidia[0-9]*")))
    return Gpus(
        cuda=torch.version.cuda,
        hip=torch.version.hip,
        driver=driver_version(),
        driver_cuda=_driver_cuda(),
        nodes=nodes,
        denied=tuple(node for node in nodes if not os.access(node, os.R_OK | os.W_OK)),
        visible=os.environ.get("CUDA_VISIBLE_DEVICES"),
        architectures=tuple(torch.cuda.get_arch_list()) if devices else (),
        error=error,
        devices=devices,
    )


def _gpu(index: int) -> Gpu:
    properties = torch.cuda.get_device_properties(index)
    free, total = torch.cuda.mem_get_info(index)
    return Gpu(properties.name, free, total, f"sm_{properties.major}{properties.minor}")


def driver_version(file: Path = _DRIVER) -> str:
    """Return the version of the kernel's NVIDIA driver, "" if it is not loaded."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError:
        return ""
    found = re.search(r"\b\d{3}\.\d+(\.\d+)?\b", text)
    return found[0] if found else "of unknown version"


def _driver_cuda() -> int | None:
    try:
        version = ctypes.c_int()
        failed = ctypes.CDLL(_LIBRARY).cuDriverGetVersion(ctypes.byref(version))
    except (OSError, AttributeError):
        return None
    return None if failed else version.value


def device_error(name: str, gpus: Gpus) -> ConfigurationError | None:
    """The error of a device cuda or cuda:N that is not there, None if it is."""
    count = len(gpus.devices)
    if int(name.partition(":")[2] or 0) < count:
        return None
    if count:
        known = ", ".join(["cpu", *(f"cuda:{i}" for i in range(count))])
        expected, remedy = f"one of {known} on this machine", "leave it out to choose by itself"
    else:
        cause, remedy = why_none(gpus)
        expected = f"cpu on this machine: {cause}"
    return ConfigurationError("device", got=name, expected=expected, remedy=remedy)


def why_none(gpus: Gpus) -> tuple[str, str]:
    """Return why no GPU can be used, and the remedy."""
    if gpus.cuda is None:
        return "this torch is built without CUDA", "install torch with CUDA: pytorch.org says how"
    if not gpus.driver and not gpus.nodes:
        return "no NVIDIA driver is loaded", f"install the driver; {_ASK_FOR_IT}"
    if gpus.visible is not None and gpus.visible.strip() in ("", "-1"):
        return "CUDA_VISIBLE_DEVICES hides every GPU", "unset CUDA_VISIBLE_DEVICES"
    if not gpus.nodes:
        return f"driver {gpus.driver} is loaded, but /dev/nvidia0 is not there", _ASK_FOR_IT
    if gpus.denied:
        return f"{', '.join(gpus.denied)} may not be used by this user", _ASK_FOR_IT
    if gpus.driver_cuda is None:
        return f"{', '.join(gpus.nodes)} is there, but {_LIBRARY} is not", _ASK_FOR_IT
    if gpus.driver_cuda // 1000 < int(gpus.cuda.partition(".")[0]):
        newest = f"{gpus.driver_cuda // 1000}.{gpus.driver_cuda % 1000 // 10}"
        return (
            f"driver {gpus.driver} offers CUDA {newest}, this torch needs {gpus.cuda}",
            "update the driver, or install torch for an older CUDA",
        )
    reason = gpus.error or f"torch finds no GPU with CUDA_VISIBLE_DEVICES={gpus.visible}"
    return f"{', '.join(gpus.nodes)} is there, but {reason}", "see what nvidia-smi says"


_ASK_FOR_IT: Final = "in a container: --gpus all; with Slurm: --gres=gpu:1"
