"""Epsilon-greedy choice of actions, and the schedule of epsilon."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparring.njit import njit


def linear_epsilon(progress: float, *, initial: float, final: float, fraction: float) -> float:
    """Epsilon at `progress` (in 0..1) of the run: from `initial` to `final` over the first
    `fraction`.
    """
    if fraction <= 0.0:
        return final
    return initial + min(1.0, progress / fraction) * (final - initial)


def geometric_epsilon(rounds: int, *, initial: float, final: float, decay: float) -> float:
    """Epsilon after so many rounds, each of which multiplies it by `decay`: from `initial` down to
    `final`.
    """
    return max(final, initial * decay**rounds)


def per_worker_epsilon(worker: int, num_workers: int, *, eps: float, alpha: float) -> float:
    """Fixed epsilon of worker i of N: `eps ** (1 + alpha * i / (N - 1))`.

    Source: Horgan et al., "Distributed prioritized experience replay" (ICLR 2018), section 4.1,
    with eps 0.4 and alpha 7. A single worker has eps.
    """
    return float(eps ** (1.0 + alpha * worker / max(1, num_workers - 1)))


@njit(nogil=True)
def _nth_legal(mask: Any, row: Any, n: Any) -> Any:
    """Return legal action number `n` (from 0) of a row of `mask` [n, A]."""
    for a in range(mask.shape[1]):
        if mask[row, a]:
            if n == 0:
                return a
            n -= 1
    return -1


@njit(cache=True, nogil=True)
def decide_without_q(mask: Any, uniforms: Any, epsilon: Any, actions: Any, undecided: Any) -> Any:
    """Fill `actions` [n] in the rows that need no Q-values, as `epsilon_greedy` would: random
    actions, the only legal one, -1 without any. Put the other rows into `undecided` [n], and return
    their number.

    mask [n, A] bool, uniforms [n, 2] in [0, 1).
    """
    rows = 0
    for i in range(mask.shape[0]):
        legal = 0
        for a in range(mask.shape[1]):
            legal += mask[i, a]
        actions[i] = -1
        if legal > 1 and not uniforms[i, 0] < epsilon:
            undecided[rows] = i
            rows += 1
        elif legal > 0:
            actions[i] = _nth_legal(mask, i, np.int64(uniforms[i, 1] * legal))
    return rows


@njit(cache=True, nogil=True)
def epsilon_greedy(q: Any, mask: Any, uniforms: Any, epsilon: Any, actions: Any) -> None:
    """Fill `actions` [n]: with probability epsilon a uniformly random legal action, else the legal
    one of the highest Q.

    q [n, A], mask [n, A] bool, uniforms [n, 2] in [0, 1): the first decides on exploration, the
    second picks the action. The first of equal Q-values wins. A row without a legal action gets -1.
    """
    for i in range(q.shape[0]):
        legal = 0
        best = -1
        for a in range(q.shape[1]):
            if mask[i, a]:
                legal += 1
                if best < 0 or q[i, a] > q[i, best]:
                    best = a
        if legal > 0 and uniforms[i, 0] < epsilon:
            best = _nth_legal(mask, i, np.int64(uniforms[i, 1] * legal))
        actions[i] = best
