"""What is known of the agent's results against each opponent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.opponents.plan import AGENT


def result_dtype(num_players: int) -> np.dtype[Any]:
    """One finished match: who sat where, and what each seat was paid in all."""
    return np.dtype(
        [("players", np.int64, (num_players,)), ("returns", np.float32, (num_players,)), ("plies", np.int64), ("truncated", np.bool_)]
    )


@dataclass
class Record:
    """Results of the agent against one opponent, from matches in which the agent explores (`rollout/…`, never `eval/…`)."""

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


def pairwise_records(results: NDArray[Any]) -> dict[int, Record]:
    """By opponent id: the agent's seats against that opponent's seats, whoever was paid more having won.

    `results` are `result_dtype` rows. With more than two players each pair of an agent's seat and an opponent's seat counts once.
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
                record = Record(int(np.sum(mine > 0)), int(np.sum(mine == 0)), int(np.sum(mine < 0)))
                records.setdefault(opponent, Record()).add(record)
    return records
