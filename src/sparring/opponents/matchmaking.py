"""How the share of the snapshots is divided among them, and who of them is named in a plan that has not room for all.

Prioritised fictitious self-play (PFSP): Vinyals et al., "Grandmaster level in StarCraft II using multi-agent reinforcement learning",
Nature 575, 2019, section "Multi-agent learning" of the methods: an opponent that the agent beats with probability p is met with a
probability proportional to f_hard(p) = (1 - p)^power, which seeks out whom it loses to, or f_var(p) = p (1 - p), which seeks out equals.

Departures: draws count half a win; p is estimated from decayed records and drawn towards 1/2 while they are short
(`RecentRecord.estimate`); and a tenth of the share is spread evenly, because f_hard alone would never meet again whom it once beat
always, and so never notice that the agent has forgotten how.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Matchmaking = Literal["self", "uniform", "recent", "pfsp"]
PfspWeighting = Literal["hard", "variance"]

POWER: Final = 2.0  # of f_hard, as in the paper
EVENLY: Final = 0.1  # part of the share that PFSP spreads evenly
HALVING: Final = 3.0  # snapshots; `recent` meets one that is so much older half as often


def snapshot_shares(kind: Matchmaking, scores: NDArray[np.float64], weighting: PfspWeighting) -> NDArray[np.float64]:
    """[n] parts of the snapshots' share, which sum to 1; `scores` [n] are the agent's against each, the oldest first.

    `self`: all to the newest. `uniform`: equal parts. `recent`: falling by half with every `HALVING` snapshots of age. `pfsp`: see above.
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
    return (1.0 - EVENLY) * shares + EVENLY / n if kind == "pfsp" else shares


def named_shares(shares: NDArray[np.float64], most: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """[n] the parts in one plan that names `most` of n snapshots at most; zero for those that it does not name.

    Where all fit, `shares` as they are. Else systematic sampling (Madow 1949) in random order: `most` points at equal distances on the
    cumulated shares, one part of 1 / `most` for each hit. So the mean over many plans is `shares` exactly, whatever `most` is; to draw
    by weight and then to weigh again would count the weights twice.
    """
    if np.count_nonzero(shares) <= most:
        return shares
    order = generator.permutation(len(shares))
    edges = np.cumsum(shares[order])
    points = np.minimum((generator.random() + np.arange(most)) / most, np.nextafter(1.0, 0.0))
    hits = order[np.searchsorted(edges / edges[-1], points, side="right")]
    return np.bincount(hits, minlength=len(shares)) / most
