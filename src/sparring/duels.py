"""Greedy matches between two sets of weights of a run: at the gate of the pool, when forgetting is suspected, and for the best agent."""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sparring import games
from sparring.dqn.networks import PolicySpec
from sparring.dqn.policy import InferencePolicy
from sparring.evaluation import play_matches
from sparring.evaluation.openings import usual_plies
from sparring.games.random import stream_key
from sparring.opponents.players import NetworkPlayer, Player
from sparring.opponents.records import Record

# First parts of keys: each makes streams of its own.
GATE: Final = 1
FORGETTING: Final = 2
BEST: Final = 3

_SAME: Final = 1e-6  # returns closer than this are equal: sums of the same rewards in another order differ by rounding


class Duels:
    """Lets players of a run's network meet, from openings that follow from the run's seed and a key."""

    def __init__(self, policy: PolicySpec, seed: int) -> None:
        self._policy = policy
        self._seed = seed

    def player(self, name: str, vector: NDArray[np.float32]) -> Player:
        """A greedy player with these flat weights."""
        policy = InferencePolicy(self._policy)
        policy.load_vector(vector)
        return NetworkPlayer(name, policy)

    def play(self, one: Player, other: Player, *, matches: int, key: tuple[int, ...]) -> Record:
        """The results of `one` against `other`, who takes all other seats; every opening is played from each seat.

        With more than two players each pair of seats counts, as in the records of training. Openings are as in `evaluate`.
        """
        spec = games.spec_of(self._policy.game)
        table = play_matches(
            partial(games.make, self._policy.game),
            [one, *[other] * (spec.num_players - 1)],
            matches=matches,
            seed=stream_key(self._seed, *key),
            opening_plies=usual_plies(spec),
        )
        margins = table.returns[:, :1] - table.returns[:, 1:]
        wins, losses = int((margins > _SAME).sum()), int((margins < -_SAME).sum())
        return Record(wins, margins.size - wins - losses, losses)
