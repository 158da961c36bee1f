"""`sparring bench`: the speed of each part on this machine, beside the hardware's limit.

A part is a module of this room with a function `measure`; it is imported when it is run, so that
the names are known without torch.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from sparring.errors import InputError, nearest

if TYPE_CHECKING:
    from sparring.bench.measure import Cases, Settings

__all__ = ["PARTS", "check_parts", "check_seconds", "measure_part"]

PARTS: Final = ("games", "actor", "transport", "replay", "learner", "whole", "workers", "naive")


def check_parts(asked: Sequence[str]) -> tuple[str, ...]:
    """The parts to run, in the usual order: those that are asked for, or all.

    Raises `InputError` for an unknown one.
    """
    for name in asked:
        if name not in PARTS:
            raise InputError(
                "unknown part",
                got=repr(name),
                expected=f"one of {', '.join(PARTS)}",
                remedy=nearest(name, PARTS),
            )
    return tuple(part for part in PARTS if part in asked or not asked)


def check_seconds(seconds: float) -> float:
    """The length of a slice. Raises `InputError` unless it is finite and above 0."""
    if not 0.0 < seconds < math.inf:  # NaN, too
        raise InputError("--seconds", got=seconds, expected="a length above 0")
    return seconds


def measure_part(name: str, settings: Settings) -> Cases:
    """All cases of a part, in order."""
    cases: Cases = importlib.import_module(f"{__name__}.{name}").measure(settings)
    return cases
