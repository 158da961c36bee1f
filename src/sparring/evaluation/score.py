"""Results of the first player of a table of matches: scores and mean returns with intervals."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparring.evaluation.matches import PlayedMatches
from sparring.opponents.records import outcomes

RESAMPLES: Final = 10_000
_BLOCK: Final = 500  # resamples drawn at a time
_SEED: Final = 20_240_229  # any fixed number: the interval is a function of the table
_TAIL: Final = 0.025
_Z: Final = 1.959963984540054  # 97.5 % quantile of the normal distribution


@dataclass(frozen=True)
class Score:
    """The results of player 0.

    A win is a return above all others, a draw shares the highest return with another player; both
    are counted among finished matches only. `cut` matches reached the ply limit. `distinct` of
    all matches differ in their sequence of moves: deterministic players repeat themselves.

    `score` is the mean share of the first place: 1 for the highest return, 1/k where k players
    share it, else 0. For two players that is (wins + draws / 2) / matches, if none was cut. Where
    matches are `graded` (see `is_graded`) it says little; `mean_return` is what the agent is
    trained for.
    """

    matches: int
    distinct: int
    wins: int
    draws: int
    losses: int
    cut: int
    score: float
    interval95: tuple[float, float]
    seats: tuple[float, ...]  # the score in each seat
    graded: bool
    mean_return: float
    return_interval95: tuple[float, float]
    return_seats: tuple[float, ...]

    def as_dict(self) -> dict[str, Any]:
        """The form in which `sparring evaluate --json` prints it."""
        return _plain(self)


@dataclass(frozen=True)
class SoloScore:
    """The results of the one player of a game for one player: its returns."""

    matches: int
    distinct: int
    cut: int
    mean_return: float
    return_interval95: tuple[float, float]

    def as_dict(self) -> dict[str, Any]:
        """The form in which `sparring evaluate --json` prints it."""
        return _plain(self)


def _plain(score: Score | SoloScore) -> dict[str, Any]:
    values = asdict(score).items()
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values}


def score_matches(table: PlayedMatches) -> Score:
    """Count, average and bound the results of player 0."""
    shares, returns = first_place_shares(table.returns), table.returns[:, 0]
    finished = shares[~table.truncated]
    wins, losses = int((finished == 1.0).sum()), int((finished == 0.0).sum())
    seats = [table.seat == seat for seat in range(table.returns.shape[1])]
    return Score(
        matches=len(shares),
        distinct=table.distinct,
        wins=wins,
        draws=len(finished) - wins - losses,
        losses=losses,
        cut=int(table.truncated.sum()),
        score=float(shares.mean()),
        interval95=bootstrap_interval(by_opening(table, shares)),
        seats=tuple(float(shares[there].mean()) for there in seats),
        graded=is_graded(table.returns),
        mean_return=float(returns.mean()),
        return_interval95=return_interval(table),
        return_seats=tuple(float(returns[there].mean()) for there in seats),
    )


def score_solo(table: PlayedMatches) -> SoloScore:
    """Average and bound the returns of the one player."""
    return SoloScore(
        matches=len(table.returns),
        distinct=table.distinct,
        cut=int(table.truncated.sum()),
        mean_return=float(table.returns[:, 0].mean()),
        return_interval95=return_interval(table),
    )


def first_place_shares(returns: NDArray[np.float64]) -> NDArray[np.float64]:
    """[m] player 0's share of the first place, from the returns [m, P] of all players."""
    shares: NDArray[np.float64] = _all_shares(returns)[:, 0]
    return shares


def _all_shares(returns: NDArray[np.float64]) -> NDArray[np.float64]:
    """[m, P] share of the first place of every player."""
    best = outcomes(returns, returns.max(axis=1, keepdims=True)) == 0
    return np.where(best, 1.0 / best.sum(axis=1, keepdims=True), 0.0)


def is_graded(returns: NDArray[np.float64]) -> bool:
    """Return whether matches pay other amounts than one for a win, one for a loss and one for a
    draw, from the returns [m, P] of all players.
    """
    shares = _all_shares(returns)
    groups = [returns[shares == share] for share in np.unique(shares)]
    return any(bool(outcomes(group.max(), group.min())) for group in groups)


def by_opening(table: PlayedMatches, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """[K] means of `values` [m] over the matches of each opening."""
    means: NDArray[np.float64] = np.bincount(table.opening, values) / np.bincount(table.opening)
    return means


def return_interval(table: PlayedMatches) -> tuple[float, float]:
    """95 % interval of the mean return of player 0; see `bootstrap_interval`."""
    low, high = float(table.returns.min()), float(table.returns.max())
    return bootstrap_interval(by_opening(table, table.returns[:, 0]), low, high)


def bootstrap_interval(
    clusters: NDArray[np.float64], low: float = 0.0, high: float = 1.0
) -> tuple[float, float]:
    """95 % percentile interval of the mean of `clusters` [K], the mean results, from low to high,
    over the matches of each opening.

    Whole openings are resampled, because matches from one opening resemble one another (Efron and
    Tibshirani, "An Introduction to the Bootstrap", 1993). If all K openings gave the same value v,
    resampling gives no width. Then the interval is the exact binomial (Clopper-Pearson) bound
    instead: a share of up to d = 1 - 0.025**(1/K) of all openings may have any other value from
    low to high, hence [v - (v - low) d, v + (high - v) d]; for 1,000 wins from 500 openings
    [0.9926, 1].
    """
    K = len(clusters)
    values, counts = np.unique(clusters, return_counts=True)
    if len(values) == 1:
        unseen = 1.0 - _TAIL ** (1.0 / K)
        value = float(values[0])
        return value - (value - low) * unseen, value + (high - value) * unseen
    # The counts of each value among K openings drawn with replacement are one multinomial draw.
    rng = np.random.default_rng(_SEED)
    blocks = [rng.multinomial(K, counts / K, _BLOCK) @ values for _ in range(RESAMPLES // _BLOCK)]
    below, above = np.quantile(np.concatenate(blocks) / K, (_TAIL, 1.0 - _TAIL))
    return float(below), float(above)


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
