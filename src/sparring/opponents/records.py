"""Results of the agent against each opponent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.opponents.players import AGENT


def result_dtype(num_players: int) -> np.dtype[Any]:
    """One finished match: who sat where, and what each seat was paid in all."""
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
    """Results of the agent against one opponent; those of matches in which it explores are never
    added to greedy ones.
    """

    wins: int = 0
    draws: int = 0
    losses: int = 0

    @property
    def matches(self) -> int:
        return self.wins + self.draws + self.losses

    @property
    def score(self) -> float:
        """Mean result, a win counting 1 and a draw 1/2."""
        return (self.wins + 0.5 * self.draws) / self.matches

    def add(self, other: Record) -> None:
        self.wins += other.wins
        self.draws += other.draws
        self.losses += other.losses


@dataclass
class RecentRecord:
    """The same with later matches counting more: each weighs half when `half_life` more against
    that opponent have come in.

    Matches that are added together are equally old, so `half_life` should not be much less than
    what one round brings.
    """

    wins: float = 0.0
    draws: float = 0.0
    losses: float = 0.0

    @property
    def matches(self) -> float:
        """The sum of the weights, at most `half_life` / log 2 and one round's matches."""
        return self.wins + self.draws + self.losses

    @property
    def score(self) -> float:
        """Weighted mean result, a win counting 1 and a draw 1/2."""
        return (self.wins + 0.5 * self.draws) / self.matches

    @property
    def estimate(self) -> float:
        """The score with a win and a loss added: never 0 or 1, and 1/2 of one that was not met yet
        (the rule of succession).
        """
        return (self.wins + 0.5 * self.draws + 1.0) / (self.matches + 2.0)

    def add(self, later: Record, half_life: int) -> None:
        """Take in matches that were played after all others."""
        kept = 0.5 ** (later.matches / half_life)
        self.wins = self.wins * kept + later.wins
        self.draws = self.draws * kept + later.draws
        self.losses = self.losses * kept + later.losses


def pairwise_records(results: NDArray[Any]) -> dict[int, Record]:
    """By opponent id: the agent's seats against that opponent's seats, whoever was paid more having
    won.

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
