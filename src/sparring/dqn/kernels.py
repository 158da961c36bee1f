"""Fast ways of torch that are not part of its public API, and the choice of matrix library on CPUs.

Each private function is used where this version of torch has it; otherwise the public way gives the
same result, up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Tensors = list[Tensor] | tuple[Tensor, ...]


def copy_each(to: Tensors, source: Tensors) -> None:
    """`to[i] = source[i]`, in place."""
    if hasattr(torch, "_foreach_copy_"):
        torch._foreach_copy_(to, source)
        return
    for old, new in zip(to, source, strict=True):
        old.copy_(new)


def add_each(to: Tensors, source: Tensors) -> None:
    """`to[i] += source[i]`, in place."""
    if hasattr(torch, "_foreach_add_"):
        torch._foreach_add_(to, source)
        return
    for total, summand in zip(to, source, strict=True):
        total.add_(summand)


def lerp_each(to: Tensors, source: Tensors, weight: float) -> None:
    """`to[i] += weight * (source[i] - to[i])`, in place."""
    if hasattr(torch, "_foreach_lerp_"):
        torch._foreach_lerp_(to, source, weight)
        return
    for old, new in zip(to, source, strict=True):
        old.lerp_(new, weight)


def adam_step(
    weights: Tensor,
    gradient: Tensor,
    moments: tuple[Tensor, Tensor],
    steps: Tensor,
    *,
    learning_rate: float | Tensor,
    betas: tuple[float, float],
    eps: float,
    scale: Tensor,
    failed: Tensor,
) -> None:
    """Adam's step number `steps` [] along `gradient / scale`, in place; none where `failed` is 1.

    weights, gradient and both moments are [size] float32, scale and failed [] float32.
    """
    if not hasattr(torch, "_fused_adam_"):
        gradient = gradient / scale
        _plain_adam_step(weights, gradient, moments, steps, learning_rate, betas, eps, failed)
        return
    torch._fused_adam_(
        [weights],
        [gradient],
        [moments[0]],
        [moments[1]],
        [],
        [steps],
        lr=learning_rate,
        beta1=betas[0],
        beta2=betas[1],
        weight_decay=0.0,
        eps=eps,
        amsgrad=False,
        maximize=False,
        grad_scale=scale,
        found_inf=failed,
    )


def _plain_adam_step(
    weights: Tensor,
    gradient: Tensor,
    moments: tuple[Tensor, Tensor],
    steps: Tensor,
    learning_rate: float | Tensor,
    betas: tuple[float, float],
    eps: float,
    failed: Tensor,
) -> None:
    """Algorithm 1 of Kingma & Ba (ICLR 2015)."""
    beta1, beta2 = betas
    first = beta1 * moments[0] + (1 - beta1) * gradient
    second = beta2 * moments[1] + (1 - beta2) * gradient.square()
    mean, variance = first / (1 - beta1**steps), second / (1 - beta2**steps)
    moved = weights - learning_rate * mean / (variance.sqrt() + eps)
    for old, new in zip((weights, *moments), (moved, first, second), strict=True):
        old.copy_(torch.where(failed != 0, old, new))


def linear_relu(units: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`relu(units @ weight.T + bias)` without a gradient, in one call of oneDNN if `can_fuse`."""
    if not can_fuse(units.device, units.dtype):
        return functional.linear(units, weight, bias).relu_()
    fused: Tensor = torch.ops.mkldnn._linear_pointwise(units, weight, bias, "relu", [], "")
    return fused


def can_fuse(device: torch.device, dtype: torch.dtype) -> bool:
    """True where oneDNN computes a layer and its ReLU in one call.

    On a CPU without AVX-512 it has no such layers in bfloat16.
    """
    return (
        device.type == "cpu"
        and (dtype == torch.float32 or (dtype == torch.bfloat16 and _has_bfloat16_layers()))
        and _has_fused_layers()
    )


@cache
def _has_fused_layers() -> bool:
    return _has_onednn() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


@cache
def _has_bfloat16_layers() -> bool:
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return supported is not None and bool(supported())


@cache
def _has_onednn() -> bool:
    return bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def has_bfloat16() -> bool:
    """True if this CPU multiplies bfloat16 matrices in hardware, about twice as fast as float32."""
    has = torch.cpu.get_capabilities()
    return bool(has.get("avx512_bf16") or has.get("amx_bf16"))


@contextmanager
def fast_float32() -> Iterator[None]:
    """Context in which the CPU multiplies float32 matrices with the faster of torch's libraries.

    Results differ by rounding only. Torch's default is MKL, which on AMD processors uses half of
    the width of AVX-512. oneDNN uses all of it: twice as fast. Torch chooses oneDNN for float32
    only where the setting allows bfloat16. oneDNN itself makes use of that permission on processors
    with AMX alone; on all others the setting only chooses the library. It holds for the whole
    process: threads that multiply matrices at the same time are affected too, so the caller keeps
    the context open until they are done.
    """
    matmul: Any = getattr(torch.backends.mkldnn, "matmul", None)
    if not hasattr(matmul, "fp32_precision") or not _onednn_is_faster():
        yield
        return
    before = matmul.fp32_precision
    matmul.fp32_precision = "bf16"
    try:
        yield
    finally:
        matmul.fp32_precision = before


@cache
def _onednn_is_faster() -> bool:
    """Decided by the processor's flags, not by timing: learned weights depend on it."""
    has = torch.cpu.get_capabilities()
    amd = str(has.get("cpu_name", "")).startswith("AMD")
    amx = has.get("amx_tile") or has.get("amx_bf16")
    avx512 = all(has.get(f"avx512_{part}") for part in ("f", "bw", "vl", "dq"))
    return bool(amd and avx512 and not amx and _has_onednn())
