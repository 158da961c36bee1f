"""Results of the agent against each opponent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.opponents.players import AGENT


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
            sign = np.sign(returns[pair, seat] - returns[pair, other])
            ids = players[pair, other]
            for opponent in np.unique(ids).tolist():
                mine = sign[ids == opponent]
                record = Record(
                    int(np.sum(mine > 0)), int(np.sum(mine == 0)), int(np.sum(mine < 0))
                )
                records.setdefault(opponent, Record()).add(record)
    return records
