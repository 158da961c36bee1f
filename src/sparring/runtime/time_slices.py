"""How long the system lets a worker play before another one has its turn on the same CPU."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from typing import Final

_SLICE: Final = 0.02  # seconds; the system's own choice is some 0.003
_ATTRIBUTES: Final = struct.Struct("=IIQiIQQQ")  # struct sched_attr, its first version
_SET: Final = {"x86_64": 314, "aarch64": 274}  # numbers of the system call sched_setattr
_SCHED_OTHER: Final = 0


def take_long_slices() -> None:
    """Ask for long time slices, where Linux can be asked for them (6.12 and newer); elsewhere nothing happens.

    A worker whose turn comes finds its network and matches gone from the caches. With more workers than CPUs, 64 on two, that took a
    fifth of all the time. What wakes with a shorter slice, the learner above all, still goes first.
    """
    number = _SET.get(os.uname().machine) if sys.platform == "linux" else None
    if number is not None:
        nice = os.getpriority(os.PRIO_PROCESS, 0)
        attributes = _ATTRIBUTES.pack(_ATTRIBUTES.size, _SCHED_OTHER, 0, nice, 0, int(1e9 * _SLICE), 0, 0)
        ctypes.CDLL(None).syscall(number, 0, attributes, 0)  # where it is refused, all stays as it is
