"""`njit`: Numba's, or plain Python where Numba is not installed.

So an agent file can be played with torch, NumPy and safetensors alone: what a forward pass and the
choice of a move need uses it. Games and training need Numba.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Final

import numpy as np

Function = Callable[..., Any]


def _interpreted(**_: Any) -> Callable[[Function], Function]:
    """Decorate a function that stays in Python; integers wrap around in silence, as if compiled."""

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def call(*arguments: Any) -> Any:
            with np.errstate(over="ignore"):
                return function(*arguments)

        return call

    return decorate


def _numba() -> Any:
    from numba import njit

    return njit


njit: Final[Any] = _interpreted if find_spec("numba") is None else _numba()
