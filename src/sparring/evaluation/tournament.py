"""Round robins from common openings, their table of scores, and Bradley-Terry ratings.

In a game of more than two seats a match is still between two players: the one of the row has one
seat, the one of the column all others; both ways are played.

Ratings are maximum-likelihood estimates in the model of Bradley and Terry, on the Elo scale. A row
player in one seat plays a column player in all m other seats of a match. Strengths are e**r, and
the share of the first place that the row player i is expected to take from the column player j is

    p_ij = e**r_i / (e**r_i + m e**r_j),

for two players (m = 1) the model of Bradley and Terry ("Rank analysis of incomplete block
designs", 1952), for more the choice of one among m + 1 seats by Luce ("Individual Choice
Behavior", 1959): equals take 1/(m+1). A draw counts as its share of the first place, for two
players half a win and half a loss, a case that the model itself does not have. Rating differences
are 400 log10(e) times those of r, so that for two players a score p is a difference of
400 log10(p / (1 - p)).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparring.errors import InputError
from sparring.evaluation.matches import PlayedMatches, play_matches
from sparring.evaluation.score import (
    bootstrap_interval,
    by_opening,
    first_place_shares,
    is_graded,
)
from sparring.games.spec import BatchedGame
from sparring.opponents.players import Player

RESAMPLES: Final = 1000
ELO: Final = 400.0 / math.log(10.0)
VIRTUAL_MATCHES: Final = 1.0
_SEED: Final = 20_240_301  # any fixed number: intervals are a function of the table
_MAX_STEPS: Final = 200
_TOLERANCE: Final = 1e-10


@dataclass(frozen=True)
class Ratings:
    """Ratings in Elo; one chosen player has 0. See the function `settled`."""

    values: NDArray[np.float64]  # [K]
    interval95: NDArray[np.float64]  # [K, 2]
    settled: NDArray[np.bool_]  # [K]


@dataclass(frozen=True)
class Tournament:
    """Results of a round robin of K players in a game of P seats, from E openings that each
    pairing played in P rotations.

    `shares` and `returns` [K, K, E] are the row player's mean shares of the first place and mean
    returns, NaN on the diagonal. Where matches are `graded` (`score.is_graded`), players are
    compared by their mean returns; else by ratings from the shares.
    """

    names: tuple[str, ...]
    seats: int
    shares: NDArray[np.float64]
    returns: NDArray[np.float64]
    graded: bool = False
    cut: int = 0  # matches that reached the ply limit, of all pairings

    @property
    def matches(self) -> int:
        """Number of matches of each pairing."""
        openings: int = self.shares.shape[2]
        return openings * self.seats

    def scores(self) -> NDArray[np.float64]:
        """[K, K] score of the row player against the column player, NaN on the diagonal."""
        scores: NDArray[np.float64] = self.shares.mean(axis=2)
        return scores

    def mean_returns(self) -> NDArray[np.float64]:
        """[K, K] mean return of the row player against the column player, NaN on the diagonal."""
        means: NDArray[np.float64] = self.returns.mean(axis=2)
        return means

    def intervals95(self) -> NDArray[np.float64]:
        """[K, K, 2] bounds of the scores by resampling openings (`score.bootstrap_interval`), NaN
        on the diagonal.
        """
        return self._bounds(self.shares, 0.0, 1.0)

    def return_intervals95(self) -> NDArray[np.float64]:
        """[K, K, 2] the same of the mean returns."""
        return self._bounds(self.returns, *self._return_range)

    def total_return(self, player: int) -> tuple[float, tuple[float, float]]:
        """Mean return of a player against all others, with its 95 % interval."""
        clusters = np.nanmean(self.returns[player], axis=0)  # [E]
        return float(clusters.mean()), bootstrap_interval(clusters, *self._return_range)

    @property
    def _return_range(self) -> tuple[float, float]:
        return float(np.nanmin(self.returns)), float(np.nanmax(self.returns))

    def _bounds(self, values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
        K = len(self.names)
        bounds = np.full((K, K, 2), np.nan)
        for row, column in permutations(range(K), 2):
            bounds[row, column] = bootstrap_interval(values[row, column], low, high)
        return bounds

    def ratings(self, zero: str) -> Ratings:
        """Bradley-Terry ratings; the player called `zero` has 0.

        Intervals are 95 % percentile intervals of ratings fitted to resampled openings. An opening
        is drawn with the matches that all pairings played from it, since they resemble one another.
        """
        anchor = self.names.index(zero)
        E = self.shares.shape[2]
        drawn = (
            np.random.default_rng(_SEED)
            .multinomial(E, np.full(E, 1.0 / E), size=RESAMPLES)
            .astype(np.float64)
        )
        tables = np.concatenate((np.ones((1, E)), drawn))
        wins, losses = self._results(tables)
        fitted = bradley_terry_ratings(wins, losses, zero=anchor, others=self.seats - 1)
        bounds = np.quantile(fitted[1:], (0.025, 0.975), axis=0).T
        return Ratings(fitted[0], bounds, settled(wins[0], losses[0], zero=anchor))

    def _results(
        self, weights: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Wins and losses [B, K, K] of the row players, each match once, with each opening counted
        `weights` [B, E] times.
        """
        shares = np.nan_to_num(self.shares)
        played = np.ones(shares.shape[:2]) - np.eye(len(self.names))
        if self.seats == 2:
            played = np.triu(played)  # the other half has the same matches
        wins = self.seats * np.tensordot(weights, shares, axes=(1, 2)) * played
        matches = self.seats * weights.sum(axis=1)[:, None, None] * played
        return wins, matches - wins


def play_tournament(
    make_game: Callable[[int], BatchedGame],
    players: Mapping[str, Player],
    *,
    matches: int,
    seed: int,
    opening_plies: int,
) -> Tournament:
    """Play `matches` matches of each pairing of `players`, rounded up to whole openings
    (`play_matches`).
    """
    names = tuple(players)
    if len(names) < 2:
        raise InputError(
            "a tournament needs opponents",
            got=", ".join(names) or "no player",
            expected="at least two players",
        )
    seats = make_game(1).spec.num_players
    tables: dict[tuple[int, int], PlayedMatches] = {}
    for row, column in _pairings(len(names), seats):
        pair = [players[names[row]], *[players[names[column]]] * (seats - 1)]
        tables[row, column] = play_matches(
            make_game, pair, matches=matches, seed=seed, opening_plies=opening_plies
        )
    openings = int(next(iter(tables.values())).opening[-1]) + 1
    shares, returns = np.full((2, len(names), len(names), openings), np.nan)
    for (row, column), table in tables.items():
        shares[row, column] = by_opening(table, first_place_shares(table.returns))
        returns[row, column] = by_opening(table, table.returns[:, 0])
        if seats == 2:
            shares[column, row] = 1.0 - shares[row, column]
            returns[column, row] = by_opening(table, table.returns[:, 1])
    graded = is_graded(np.concatenate([table.returns for table in tables.values()]))
    cut = sum(int(table.truncated.sum()) for table in tables.values())
    return Tournament(names, seats, shares, returns, graded, cut)


def _pairings(players: int, seats: int) -> Iterator[tuple[int, int]]:
    """The pairs; with more than two seats both ways, as one against many differs from many against
    one.
    """
    yield from combinations(range(players), 2) if seats == 2 else permutations(range(players), 2)


def strongest_first(tournament: Tournament, ratings: Ratings | None) -> NDArray[np.intp]:
    """Return the players' indices [K], strongest first: by rating, equals by mean score; without
    ratings by mean return.
    """
    if ratings is None:
        return np.argsort(-np.nanmean(tournament.mean_returns(), axis=1), kind="stable")
    means = np.nanmean(tournament.scores(), axis=1)
    return np.lexsort((-means, -ratings.values))


def standings(tournament: Tournament, ratings: Ratings | None) -> list[dict[str, Any]]:
    """Name, mean return and mean score against all others, and if given the rating, of every
    player; the strongest first.
    """
    means = np.nanmean(tournament.scores(), axis=1)
    rows = []
    for i in strongest_first(tournament, ratings).tolist():
        mean_return, interval = tournament.total_return(i)
        row = {"name": tournament.names[i], "score": float(means[i])}
        row |= {"mean_return": mean_return, "return_interval95": list(interval)}
        if ratings is not None:
            row |= {
                "rating": float(ratings.values[i]),
                "interval95": ratings.interval95[i].tolist(),
                "settled": bool(ratings.settled[i]),
            }
        rows.append(row)
    return rows


def bradley_terry_ratings(
    wins: NDArray[np.float64],
    losses: NDArray[np.float64],
    *,
    zero: int,
    others: int = 1,
    virtual_matches: float = VIRTUAL_MATCHES,
) -> NDArray[np.float64]:
    """[..., K] maximum-likelihood ratings in Elo; that of player `zero` is 0.

    `wins[..., i, j]` are the shares of the first place that row player i took from column player j
    in their matches, `losses[..., i, j]` the rest, each match counted once; leading dimensions are
    separate tables. `others` is m.

    The prior is weak: each pair that played counts `virtual_matches` more, with the result expected
    of equals. Without it players who never lost a point would be infinitely strong; with it 100
    wins of 100 matches are 400 log10(100.5 / 0.5) = 921. With `virtual_matches` 0, each player must
    have taken points from and lost points to each other, if only through a chain of players.
    """
    equal = 1.0 / (1.0 + others)
    played = (wins + losses) > 0.0
    wins = wins + virtual_matches * equal * played
    losses = losses + virtual_matches * (1.0 - equal) * played
    r = np.zeros(wins.shape[:-1])
    for _ in range(_MAX_STEPS):
        step = _newton_step(r, wins, losses, zero, math.log(others))
        # The curvature of logistic terms changes by at most e**d where differences of r change by
        # d. Under this bound the best share of Newton's step is ln(1 + d) / d: it never
        # overshoots, and it tends to 1 near the end (Sun and Tran-Dinh, "Generalized
        # self-concordant functions", 2019, equation 47 with their nu = 2).
        d = np.ptp(step, axis=-1, keepdims=True)
        r += step * np.where(d > 0.0, np.log1p(d) / np.where(d > 0.0, d, 1.0), 1.0)
        if np.abs(step).max() < _TOLERANCE:
            break
    return ELO * r


def _newton_step(
    r: NDArray[np.float64],
    wins: NDArray[np.float64],
    losses: NDArray[np.float64],
    zero: int,
    handicap: float,
) -> NDArray[np.float64]:
    """[..., K] Newton's step of r, with r of player `zero` fixed."""
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


def settled(
    wins: NDArray[np.float64], losses: NDArray[np.float64], *, zero: int
) -> NDArray[np.bool_]:
    """[K] players whose distance from player `zero` follows from the results without the prior.

    It does if each of the two took points from the other, if only through a chain of players (Ford,
    "Solution of a ranking problem from binary comparisons", 1957). `wins` and `losses` are [K, K]
    as for `bradley_terry_ratings`.
    """
    took = (wins + losses.T) > 0.0  # [i, j] i took points from j
    took |= np.eye(len(wins), dtype=np.bool_)
    for _ in range(max(1, len(wins).bit_length())):  # chains twice as long each time
        took = (took.astype(np.int64) @ took.astype(np.int64)) > 0
    both: NDArray[np.bool_] = took[:, zero] & took[zero, :]
    return both
