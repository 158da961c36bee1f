"""Round robins: everybody against everybody from the same openings, a table of scores, and ratings that explain it.

In a game of more than two players a match has two of them all the same: the one of the row in one seat, the one of the column in all
others; both ways are played.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparring.errors import InputError
from sparring.evaluation import bradley_terry
from sparring.evaluation.matches import play_matches
from sparring.evaluation.score import bootstrap_interval, first_place_shares
from sparring.games.spec import BatchedGame
from sparring.opponents.players import Player

RESAMPLES: Final = 1000
_SEED: Final = 20_240_301  # any fixed number: intervals are a function of the table


@dataclass(frozen=True)
class Ratings:
    """In Elo, the player at 0 being 0; `settled` as in `bradley_terry.settled`."""

    values: NDArray[np.float64]  # [K]
    interval95: NDArray[np.float64]  # [K, 2]
    settled: NDArray[np.bool_]  # [K]


@dataclass(frozen=True)
class Tournament:
    """What came of a round robin of K players in a game of P seats, from E openings that each pairing played in P rotations."""

    names: tuple[str, ...]
    seats: int
    shares: NDArray[np.float64]  # [K, K, E] the row player's mean share of the first place; NaN on the diagonal

    @property
    def matches(self) -> int:
        """Of each pairing."""
        openings: int = self.shares.shape[2]
        return openings * self.seats

    def scores(self) -> NDArray[np.float64]:
        """[K, K] the score of the row player against the column player, NaN on the diagonal."""
        scores: NDArray[np.float64] = self.shares.mean(axis=2)
        return scores

    def intervals95(self) -> NDArray[np.float64]:
        """[K, K, 2] bounds of the scores by resampling openings (`score.bootstrap_interval`), NaN on the diagonal."""
        K = len(self.names)
        bounds = np.full((K, K, 2), np.nan)
        for row, column in permutations(range(K), 2):
            bounds[row, column] = bootstrap_interval(self.shares[row, column])
        return bounds

    def ratings(self, zero: str) -> Ratings:
        """Bradley-Terry ratings; the player called `zero` has 0.

        Intervals are 95 % percentile intervals of ratings fitted to resampled openings. An opening is drawn with the matches that all
        pairings played from it, since they resemble one another.
        """
        anchor = self.names.index(zero)
        E = self.shares.shape[2]
        drawn = np.random.default_rng(_SEED).multinomial(E, np.full(E, 1.0 / E), size=RESAMPLES).astype(np.float64)
        tables = np.concatenate((np.ones((1, E)), drawn))
        wins, losses = self._results(tables)
        fitted = bradley_terry.ratings(wins, losses, zero=anchor, others=self.seats - 1)
        bounds = np.quantile(fitted[1:], (0.025, 0.975), axis=0).T
        return Ratings(fitted[0], bounds, bradley_terry.settled(wins[0], losses[0], zero=anchor))

    def _results(self, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Wins and losses [B, K, K] of the row players, each match once, with each opening counted `weights` [B, E] times."""
        shares = np.nan_to_num(self.shares)
        played = np.ones(shares.shape[:2]) - np.eye(len(self.names))
        if self.seats == 2:
            played = np.triu(played)  # the other half tells the same matches from the other side
        wins = self.seats * np.tensordot(weights, shares, axes=(1, 2)) * played
        matches = self.seats * weights.sum(axis=1)[:, None, None] * played
        return wins, matches - wins


def play_tournament(
    make_game: Callable[[int], BatchedGame], players: Mapping[str, Player], *, matches: int, seed: int, opening_plies: int
) -> Tournament:
    """Let all of `players`, by name, meet one another in `matches` matches each, rounded up to whole openings (`play_matches`)."""
    names = tuple(players)
    if len(names) < 2:
        raise InputError("a tournament needs opponents", got=", ".join(names) or "nobody", expected="at least two players")
    seats = make_game(1).spec.num_players
    met: dict[tuple[int, int], NDArray[np.float64]] = {}
    for row, column in _pairings(len(names), seats):
        at_table = [players[names[row]], *[players[names[column]]] * (seats - 1)]
        table = play_matches(make_game, at_table, matches=matches, seed=seed, opening_plies=opening_plies)
        met[row, column] = np.bincount(table.opening, weights=first_place_shares(table.returns)) / np.bincount(table.opening)
    shares = np.full((len(names), len(names), len(next(iter(met.values())))), np.nan)
    for (row, column), by_opening in met.items():
        shares[row, column] = by_opening
        if seats == 2:
            shares[column, row] = 1.0 - by_opening
    return Tournament(names, seats, shares)


def _pairings(players: int, seats: int) -> Iterator[tuple[int, int]]:
    """With two seats the pairs, else both ways of each: one against many is another match than many against one."""
    yield from combinations(range(players), 2) if seats == 2 else permutations(range(players), 2)


def standings(tournament: Tournament, zero: str) -> list[dict[str, Any]]:
    """Name, rating with its interval, and mean score against all others, of every player; the strongest first."""
    ratings, means = tournament.ratings(zero), np.nanmean(tournament.scores(), axis=1)
    order = np.lexsort((-means, -ratings.values))
    return [
        {
            "name": tournament.names[i],
            "rating": float(ratings.values[i]),
            "interval95": ratings.interval95[i].tolist(),
            "settled": bool(ratings.settled[i]),
            "score": float(means[i]),
        }
        for i in order
    ]
