"""Score of the first player of a table of matches, with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparring.evaluation.matches import PlayedMatches
from sparring.opponents.records import outcomes

RESAMPLES: Final = 10_000
_SEED: Final = 20_240_229  # any fixed number: the interval is a function of the table
_TAIL: Final = 0.025
_Z: Final = 1.959963984540054  # 97.5 % quantile of the normal distribution


@dataclass(frozen=True)
class Score:
    """The results of player 0: a win is a return above all others, a draw shares the highest return
    with another player.

    `score` is the mean share of the first place: 1 for a win, 1/k where k players share it, 0 for a
    loss. For two players that is (wins + draws / 2) / matches. `seats` has the score in each seat.
    """

    matches: int
    wins: int
    draws: int
    losses: int
    score: float
    interval95: tuple[float, float]
    seats: tuple[float, ...]

    def as_dict(self) -> dict[str, Any]:
        """The form in which `sparring evaluate --json` prints it."""
        return {
            "matches": self.matches,
            "wins": self.wins,
            "draws": self.draws,
            "losses": self.losses,
            "score": self.score,
            "interval95": list(self.interval95),
            "seats": list(self.seats),
        }


def score_matches(table: PlayedMatches) -> Score:
    """Count, average and bound the results of player 0."""
    shares = first_place_shares(table.returns)
    P = table.returns.shape[1]
    clusters = np.bincount(table.opening, weights=shares) / np.bincount(table.opening)
    wins, losses = int((shares == 1.0).sum()), int((shares == 0.0).sum())
    return Score(
        matches=len(shares),
        wins=wins,
        draws=len(shares) - wins - losses,
        losses=losses,
        score=float(shares.mean()),
        interval95=bootstrap_interval(clusters),
        seats=tuple(float(shares[table.seat == seat].mean()) for seat in range(P)),
    )


def first_place_shares(returns: NDArray[np.float64]) -> NDArray[np.float64]:
    """[m] player 0's share of the first place, from the returns [m, P] of all players."""
    best = outcomes(returns, returns.max(axis=1, keepdims=True)) == 0
    return np.where(best[:, 0], 1.0 / best.sum(axis=1), 0.0)


def bootstrap_interval(clusters: NDArray[np.float64]) -> tuple[float, float]:
    """95 % percentile interval of the mean of `clusters` [K], the mean shares (in [0, 1]) over the
    matches of each opening.

    Whole openings are resampled, because matches from one opening resemble one another (Efron and
    Tibshirani, "An Introduction to the Bootstrap", 1993). If all K openings gave the same value v,
    resampling gives no width. Then the interval is the exact binomial (Clopper-Pearson) bound
    instead: a share of up to d = 1 - 0.025**(1/K) of all openings may have any other value from 0
    to 1, hence [v - v d, v + (1 - v) d]; for 1,000 wins from 500 openings [0.9926, 1].
    """
    K = len(clusters)
    values, counts = np.unique(clusters, return_counts=True)
    if len(values) == 1:
        unseen = 1.0 - _TAIL ** (1.0 / K)
        value = float(values[0])
        return value - value * unseen, value + (1.0 - value) * unseen
    # The counts of each value among K openings drawn with replacement are one multinomial draw:
    # memory does not grow with K.
    drawn = np.random.default_rng(_SEED).multinomial(K, counts / K, size=RESAMPLES)
    low, high = np.quantile(drawn @ values / K, (_TAIL, 1.0 - _TAIL))
    return float(low), float(high)


def wilson_interval(share: float | None, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a share of n independent trials; [0, 1] for no trials.

    It contains all p that are within 1.96 of their own standard errors from the share.
    """
    if share is None or n == 0:
        return 0.0, 1.0
    scale = 1.0 + _Z * _Z / n
    middle = (share + _Z * _Z / (2 * n)) / scale
    half = _Z / scale * math.sqrt(share * (1.0 - share) / n + _Z * _Z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)
