"""One of several moves, at random."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def choose(candidates: Any, uniforms: Any, actions: Any) -> None:
    """`actions[i]` = one of the True entries of `candidates[i]`, uniformly by `uniforms[i, 1]`; -1 where there is none."""
    for i in range(candidates.shape[0]):
        actions[i] = -1
        nth = np.int64(uniforms[i, 1] * np.sum(candidates[i]))
        for a in range(candidates.shape[1]):
            if candidates[i, a]:
                if nth == 0:
                    actions[i] = a
                    break
                nth -= 1
