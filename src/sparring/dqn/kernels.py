"""How a processor multiplies matrices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch


def has_bfloat16() -> bool:
    """Whether this CPU multiplies matrices of bfloat16 in hardware, about twice as fast as those of
    float32.
    """
    has = torch.cpu.get_capabilities()
    return bool(has.get("avx512_bf16") or has.get("amx_bf16"))


def can_fuse(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether oneDNN takes a layer and its ReLU in one call there; on a CPU without AVX-512 it has
    no such layers in bfloat16.
    """
    return (
        device.type == "cpu"
        and (dtype == torch.float32 or (dtype == torch.bfloat16 and _has_bfloat16_layers()))
        and _has_onednn()
    )


@cache
def _has_onednn() -> bool:
    return bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


@cache
def _has_bfloat16_layers() -> bool:
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@contextmanager
def fast_float32() -> Iterator[None]:
    """Within it the CPU multiplies float32 matrices by the faster one of torch's two libraries; the
    results differ by rounding only.

    Torch hands them to MKL, which on AMD's processors uses half of the width of AVX-512. oneDNN,
    which multiplies matrices of bfloat16 for torch anyway, uses all of it: twice as fast. Torch
    asks it for float32 only where bfloat16 is said to do, and oneDNN makes use of that on
    processors with AMX alone; so on the others to say so is to choose the library. The setting is
    the process's: threads that multiply matrices meanwhile do so in the same way, and whoever
    starts them should hold it until they are done.
    """
    matmul = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = matmul.fp32_precision
    if _onednn_is_faster():
        matmul.fp32_precision = "bf16"
    try:
        yield
    finally:
        matmul.fp32_precision = before


@cache
def _onednn_is_faster() -> bool:
    """By the processor's flags, not by a stopwatch: what is learned depends on it."""
    has = torch.cpu.get_capabilities()
    amd, amx = (
        str(has.get("cpu_name", "")).startswith("AMD"),
        has.get("amx_tile") or has.get("amx_bf16"),
    )
    avx512 = all(has.get(f"avx512_{part}") for part in ("f", "bw", "vl", "dq"))
    return bool(amd and avx512 and not amx and _has_onednn())
