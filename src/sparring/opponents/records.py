"""Results of the agent against each opponent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparring.opponents.players import AGENT

# Returns that differ by less are equal: sums of the same rewards in another order, or in float32,
# differ by rounding. Relative to the larger one where that is more than 1.
DRAW_TOLERANCE: Final = 1e-5


def outcomes(own: ArrayLike, other: ArrayLike) -> NDArray[np.int64]:
    """Compare returns, in training and evaluation alike: 1 where `own` is higher, 0 for a draw, -1
    where it is lower; both broadcast.
    """
    mine, theirs = np.asarray(own, np.float64), np.asarray(other, np.float64)
    margin = mine - theirs
    scale = np.maximum(1.0, np.maximum(np.abs(mine), np.abs(theirs)))
    return (np.sign(margin) * (np.abs(margin) > DRAW_TOLERANCE * scale)).astype(np.int64)


def result_dtype(num_players: int) -> np.dtype[Any]:
    """A finished match: the player and the return of each seat."""
    return np.dtype(
        [
            ("players", np.int64, (num_players,)),
            ("returns", np.float32, (num_players,)),
            ("plies", np.int64),
            ("truncated", np.bool_),
        ]
    )


@dataclass
class Record:
    """Results of the agent against one opponent; exploring and greedy matches are kept apart."""

    wins: int = 0
    draws: int = 0
    losses: int = 0

    @property
    def matches(self) -> int:
        return self.wins + self.draws + self.losses

    @property
    def score(self) -> float:
        """Mean result: 1 for a win, 1/2 for a draw."""
        return (self.wins + 0.5 * self.draws) / self.matches

    def add(self, other: Record) -> None:
        self.wins += other.wins
        self.draws += other.draws
        self.losses += other.losses


@dataclass
class RecentRecord:
    """Decayed results: the weight of a match halves with every `half_life` later matches against
    that opponent.

    Matches that are added together have equal age, so `half_life` should not be much less than the
    matches of one round.
    """

    wins: float = 0.0
    draws: float = 0.0
    losses: float = 0.0

    @property
    def matches(self) -> float:
        """Sum of the weights, at most `half_life` / log 2 plus one round's matches."""
        return self.wins + self.draws + self.losses

    @property
    def score(self) -> float:
        """Weighted mean result: 1 for a win, 1/2 for a draw."""
        return (self.wins + 0.5 * self.draws) / self.matches

    @property
    def estimate(self) -> float:
        """The score with a win and a loss added (the rule of succession): never 0 or 1, and 1/2
        for a new opponent.
        """
        return (self.wins + 0.5 * self.draws + 1.0) / (self.matches + 2.0)

    def add(self, later: Record, half_life: int) -> None:
        """Add matches that were played after all others."""
        kept = 0.5 ** (later.matches / half_life)
        self.wins = self.wins * kept + later.wins
        self.draws = self.draws * kept + later.draws
        self.losses = self.losses * kept + later.losses


def pairwise_records(results: NDArray[Any]) -> dict[int, Record]:
    """Return by opponent id the results of the agent's seats against that opponent's seats; the
    higher return wins.

    `results` are `result_dtype` rows. With more than two players each pair of an agent's seat and
    an opponent's seat counts once.
    """
    players, returns = results["players"], results["returns"]
    is_agent = players == AGENT
    records: dict[int, Record] = {}
    for seat in range(players.shape[1]):
        for other in range(players.shape[1]):
            pair = is_agent[:, seat] & ~is_agent[:, other]
            outcome = outcomes(returns[pair, seat], returns[pair, other])
            ids = players[pair, other]
            for opponent in np.unique(ids).tolist():
                mine = outcome[ids == opponent]
                record = Record(
                    int(np.sum(mine > 0)), int(np.sum(mine == 0)), int(np.sum(mine < 0))
                )
                records.setdefault(opponent, Record()).add(record)
    return records
