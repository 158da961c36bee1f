"""Sittings for the tests of this folder: games of one slot, players whose moves are known, a judge
with random weights.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.dqn.policy import InferencePolicy
from sparring.games import BatchedGame, make
from sparring.opponents.players import Player
from sparring.opponents.scripted import RandomPlayer
from sparring.play.commands import Conversation, OpponentChoices
from sparring.play.match import PlaySession

CARDS = "cards_match:Cards"


class FirstPlayer:
    """Always the legal action of the lowest number."""

    name = "first"

    def act(
        self, game: BatchedGame, slots: NDArray[np.int64], uniforms: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        return game.mask[slots].argmax(axis=1)


def untrained(game: str = "tic_tac_toe") -> InferencePolicy:
    return InferencePolicy(PolicySpec(game, NetworkSpec("mlp", {"net_arch": [8]})))


def session(
    game: str = "tic_tac_toe", *, seat: int = 0, seed: int = 0, opponent: Player | None = None
) -> PlaySession:
    """A session whose first match has begun; against `FirstPlayer` unless told otherwise."""
    made = PlaySession(
        make(game, 1), untrained(game), opponent or FirstPlayer(), seat=seat, seed=seed
    )
    made.begin()
    return made


def conversation(
    game: str = "tic_tac_toe", *, show_values: bool = False, seat: int = 0
) -> tuple[Conversation, PlaySession]:
    """A conversation that has begun, against the random player."""
    policy = untrained(game)
    table = PlaySession(make(game, 1), policy, RandomPlayer(), seat=seat, seed=0)
    talk = Conversation(table, OpponentChoices(policy, None), show_values=show_values)
    talk.begin()
    return talk, table


def board(table: PlaySession) -> list[list[int]]:
    """Of tic-tac-toe: 1 and 2 are the marks of seats 0 and 1."""
    cells: list[list[int]] = table.game.get_state()["states"][0]["board"].tolist()
    return cells
