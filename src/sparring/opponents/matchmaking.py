"""Matchmaking among snapshots: their shares, the sample that a plan names, and eviction.

Prioritised fictitious self-play (PFSP): Vinyals et al., "Grandmaster level in StarCraft II using
multi-agent reinforcement learning", Nature 575, 2019, section "Multi-agent learning" of the
methods: an opponent that the agent beats with probability p is drawn with a probability
proportional to f_hard(p) = (1 - p)^power, which favours opponents that beat the agent, or
f_var(p) = p (1 - p), which favours equals.

Departures: a draw counts as half a win; p is estimated from decayed records and shrunk towards 1/2
while they are short (`RecentRecord.estimate`); and a tenth of the share is spread evenly. With
f_hard alone an opponent that is always beaten is never drawn again, and forgetting goes unnoticed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Matchmaking = Literal["self", "uniform", "recent", "pfsp"]
PfspWeighting = Literal["hard", "variance"]

POWER: Final = 2.0  # of f_hard, as in the paper
EVEN_SHARE: Final = 0.1  # part of the share that PFSP spreads evenly
HALVING: Final = 3.0  # snapshots: `recent` draws one that is this much older half as often


def snapshot_shares(
    kind: Matchmaking, scores: NDArray[np.float64], weighting: PfspWeighting
) -> NDArray[np.float64]:
    """Return each snapshot's part [n] of the snapshots' share; the parts sum to 1.

    `scores` [n] are the agent's against each, oldest first. `self`: all to the newest. `uniform`:
    equal parts. `recent`: halved with every `HALVING` snapshots of age. `pfsp`: see above.
    """
    n = len(scores)
    if kind == "self":
        weights = np.zeros(n)
        weights[-1] = 1.0
    elif kind == "uniform":
        weights = np.ones(n)
    elif kind == "recent":
        weights = 0.5 ** (np.arange(n)[::-1] / HALVING)
    else:
        weights = (1.0 - scores) ** POWER if weighting == "hard" else scores * (1.0 - scores)
    shares: NDArray[np.float64] = weights / weights.sum()
    return (1.0 - EVEN_SHARE) * shares + EVEN_SHARE / n if kind == "pfsp" else shares


def plan_shares(
    shares: NDArray[np.float64], limit: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Return the parts [n] in one plan, which names at most `limit` of n snapshots; else zero.

    If all fit, these are `shares`. Otherwise systematic sampling (Madow 1949) in random order:
    `limit` points at equal distances on the cumulated shares, a part of 1 / `limit` for each hit.
    So the mean over many plans is exactly `shares` for any `limit`; drawing by weight and then
    weighting again would count the weights twice.
    """
    if np.count_nonzero(shares) <= limit:
        return shares
    order = generator.permutation(len(shares))
    edges = np.cumsum(shares[order])
    points = np.minimum((generator.random() + np.arange(limit)) / limit, np.nextafter(1.0, 0.0))
    hits = order[np.searchsorted(edges / edges[-1], points, side="right")]
    return np.bincount(hits, minlength=len(shares)) / limit


def index_to_evict(numbers: Sequence[int]) -> int:
    """Return the index of the snapshot that leaves a full pool.

    Ages stay evenly spread on a logarithmic scale: many recent snapshots, few old ones. `numbers`
    are ascending and include the newest, which never leaves. Snapshot k was taken after k
    intervals; its age is counted in intervals up to the next one, so the newest has age 1, and the
    untrained agent, number 0, ends the scale.

    On log(age) the pool cuts the line between the newest and the untrained agent into gaps with a
    given sum. They are most even when the sum of their squares is smallest. Removing a snapshot
    merges the gaps a and b beside it, which adds (a + b)^2 - a^2 - b^2 = 2 a b. So the one with the
    smallest product of the gaps beside it leaves; of equals, the older.
    """
    following = numbers[-1] + 1
    log_ages = [math.log(following - number) for number in (0, *numbers)]
    products = [
        (log_ages[i - 1] - log_ages[i]) * (log_ages[i] - log_ages[i + 1])
        for i in range(1, len(numbers))
    ]
    bound = min(products) * (1.0 + 1e-9)  # equal products differ by rounding
    return next(i for i, product in enumerate(products) if product <= bound)
