"""Ratings of players from who beat whom: maximum likelihood in the model of Bradley and Terry, on the scale of Elo.

A row player in one seat meets a column player in all m other seats of a match. Strengths are e**r, and the share of the first place that
the row player i is expected to take from the column player j is

    p_ij = e**r_i / (e**r_i + m e**r_j),

for two players (m = 1) the model of Bradley and Terry ("Rank analysis of incomplete block designs", 1952), for more the choice of one
among m + 1 seats by Luce ("Individual Choice Behavior", 1959): equals take 1/(m+1). A draw counts as its share of the first place, for two
players half a win and half a loss, which the model itself does not know. Rating differences are 400 log10(e) times those of r, so that
for two players a score p is a difference of 400 log10(p / (1 - p)).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

ELO: Final = 400.0 / math.log(10.0)
VIRTUAL_MATCHES: Final = 1.0
_STEPS: Final = 200
_CLOSE: Final = 1e-10


def ratings(
    wins: NDArray[np.float64],
    losses: NDArray[np.float64],
    *,
    zero: int,
    others: int = 1,
    virtual_matches: float = VIRTUAL_MATCHES,
) -> NDArray[np.float64]:
    """[..., K] the ratings in Elo under which the results are likeliest; that of player `zero` is 0.

    `wins[..., i, j]` are the shares of the first place that row player i took from column player j in their matches,
    `losses[..., i, j]` the rest, each match told once; leading dimensions are separate tables. `others` is m.

    The prior is weak: two players who met are taken to have played `virtual_matches` more, with the result expected of equals. Without it
    players who never lost a point would be infinitely strong; with it 100 wins of 100 matches are 400 log10(100.5 / 0.5) = 921. With
    `virtual_matches` 0, each player must have taken points from and lost points to each other, if only through a chain of players.
    """
    equal = 1.0 / (1.0 + others)
    met = (wins + losses) > 0.0
    wins, losses = wins + virtual_matches * equal * met, losses + virtual_matches * (1.0 - equal) * met
    r = np.zeros(wins.shape[:-1])
    for _ in range(_STEPS):
        step = _newton_step(r, wins, losses, zero, math.log(others))
        # Logistic terms change their curvature by at most e**d where differences of r change by d; of the points that this promises, the
        # best is ln(1 + d) / d of Newton's step: it never overshoots, and near the end it is the whole (Sun and Tran-Dinh,
        # "Generalized self-concordant functions", 2019, equation 47 with their nu = 2).
        d = np.ptp(step, axis=-1, keepdims=True)
        r += step * np.where(d > 0.0, np.log1p(d) / np.where(d > 0.0, d, 1.0), 1.0)
        if np.abs(step).max() < _CLOSE:
            break
    return ELO * r


def _newton_step(
    r: NDArray[np.float64], wins: NDArray[np.float64], losses: NDArray[np.float64], zero: int, handicap: float
) -> NDArray[np.float64]:
    """[..., K] how far Newton's method would move r, with r of player `zero` kept where it is."""
    matches = wins + losses
    p = 1.0 / (1.0 + np.exp(r[..., None, :] - r[..., :, None] + handicap))
    surplus = wins - matches * p  # what the row player took beyond what was expected
    slope = surplus.sum(axis=-1) - surplus.sum(axis=-2)
    weight = matches * p * (1.0 - p)
    weight = weight + np.swapaxes(weight, -1, -2)
    curvature = np.eye(r.shape[-1]) * weight.sum(axis=-1)[..., None] - weight
    slope[..., zero] = 0.0
    curvature[..., zero, :] = curvature[..., :, zero] = 0.0
    curvature[..., zero, zero] = 1.0
    step: NDArray[np.float64] = np.linalg.solve(curvature, slope[..., None])[..., 0]
    return step


def settled(wins: NDArray[np.float64], losses: NDArray[np.float64], *, zero: int) -> NDArray[np.bool_]:
    """[K] whose distance from player `zero` the results settle, without the prior.

    They do if each of the two took points from the other, if only through a chain of players (Ford, "Solution of a ranking problem from
    binary comparisons", 1957). `wins` and `losses` are [K, K] as for `ratings`.
    """
    took = ((wins + losses.T) > 0.0) | np.eye(len(wins), dtype=np.bool_)  # [i, j] i took points from j
    for _ in range(max(1, len(wins).bit_length())):  # chains twice as long each time
        took = (took.astype(np.int64) @ took.astype(np.int64)) > 0
    both: NDArray[np.bool_] = took[:, zero] & took[zero, :]
    return both
