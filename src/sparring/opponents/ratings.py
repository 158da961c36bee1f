"""Skill ratings of the agent and of all players of the pool, updated during training.

openskill's Plackett-Luce model (Weng and Lin, "A Bayesian approximation method for online ranking",
JMLR 12, 2011): each player has a normal belief (mu, sigma) about its skill. Only the agent changes,
so only its sigma is widened before each match, by the library's tau; the library would widen all. A
snapshot starts with the agent's current rating. Ratings are relative: only differences mean
something, and only to players that the agent has played; published tables are fitted to all matches
at once.

The matches are those of training, in which the agent explores. With more than two players each pair
of an agent's seat and another's is rated as a match of two, as in the records; such pairs are
correlated, so sigma is then too small.

Rating one match takes about 30 us of Python. One match in `EVERY` against others is rated, counted
over the whole run, and at most `MAX_RATED` of one call, spread over it evenly: the first ones would
be the short ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparring.opponents.players import AGENT, AGENT_NAME
from sparring.opponents.records import outcomes

EVERY: Final = 16
MAX_RATED: Final = 32

Rating = tuple[float, float]  # mu, sigma


class Ratings:
    """(mu, sigma) by name."""

    def __init__(self) -> None:
        from openskill.models import PlackettLuce  # lazily: workers import this room, but rate none

        self._tau: float = PlackettLuce().tau
        self._model = PlackettLuce(tau=0.0)  # `rate` takes a tau of 0 as the model's own
        self._new: Rating = (self._model.mu, self._model.sigma)
        self._ratings: dict[str, Rating] = {AGENT_NAME: self._new}
        self._counted = 0  # matches against others

    def of(self, name: str) -> Rating:
        """Return the rating of that player; the model's prior for a new one."""
        return self._ratings.get(name, self._new)

    def add_snapshot(self, name: str) -> None:
        """Give a new snapshot the agent's rating."""
        self._ratings[name] = self._ratings[AGENT_NAME]

    def update(self, results: NDArray[Any], name_of: Callable[[int], str]) -> None:
        """Rate some of these matches, `result_dtype` rows, in their order; `name_of` maps the ids
        of players to names.
        """
        players = results["players"]
        others = np.flatnonzero((players != AGENT).any(axis=1))
        rated = others[(-self._counted) % EVERY :: EVERY]
        self._counted += len(others)
        if len(rated) > MAX_RATED:
            rated = rated[np.arange(MAX_RATED) * len(rated) // MAX_RATED]
        for row in rated.tolist():
            ids, returns = players[row].tolist(), results["returns"][row].tolist()
            for mine in (seat for seat, player in enumerate(ids) if player == AGENT):
                for other in (seat for seat, player in enumerate(ids) if player != AGENT):
                    self._rate(name_of(ids[other]), int(outcomes(returns[mine], returns[other])))

    def _rate(self, name: str, outcome: int) -> None:
        """Rate one match of the agent against another player: 1 won, 0 drawn, -1 lost."""
        mu, sigma = self._ratings[AGENT_NAME]
        teams = [
            [self._model.rating(mu=mu, sigma=math.hypot(sigma, self._tau))],
            [self._model.rating(*self.of(name))],
        ]
        ranks = [float(outcome < 0), float(outcome > 0)]  # lower is better, equal is a draw
        [[agent], [other]] = self._model.rate(teams, ranks=ranks)
        self._ratings[AGENT_NAME], self._ratings[name] = (
            (agent.mu, agent.sigma),
            (other.mu, other.sigma),
        )

    def get_state(self) -> dict[str, Any]:
        return {
            "ratings": {name: list(rating) for name, rating in self._ratings.items()},
            "counted": self._counted,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        self._ratings = {name: (mu, sigma) for name, (mu, sigma) in state["ratings"].items()}
        self._counted = state["counted"]
