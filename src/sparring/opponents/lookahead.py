"""Agents that look some plies ahead, as players: one from a file, and the agent in training as an
opponent of its own, `agent:D`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sparring.dqn.exploration import decide_without_q
from sparring.dqn.policy import InferencePolicy
from sparring.dqn.tree_search import (
    NO_LOOKAHEAD,
    Lookahead,
    best_moves,
    check_lookahead,
    refuse_python,
)
from sparring.games import BatchedGame, make, spec_of
from sparring.games.lookahead import refuse_search
from sparring.opponents.players import NetworkPlayer, Player


class LookaheadPlayer:
    """The agent that looks ahead, acting epsilon-greedily."""

    def __init__(
        self, name: str, policy: InferencePolicy, lookahead: Lookahead, epsilon: float = 0.0
    ) -> None:
        self.name = name
        self.policy = policy
        self.lookahead = lookahead
        self.epsilon = epsilon

    def act(
        self, game: BatchedGame, slots: NDArray[np.int64], uniforms: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """Best moves [m] in `slots` [m]; the first of equals."""
        actions, undecided = np.empty(len(slots), np.int64), np.empty(len(slots), np.int64)
        mask = game.mask[slots]
        rows = undecided[: decide_without_q(mask, uniforms, self.epsilon, actions, undecided)]
        actions[rows] = best_moves(self.policy, game, slots[rows], self.lookahead)
        return actions


def agent_player(
    name: str, policy: InferencePolicy, *, lookahead: Lookahead = NO_LOOKAHEAD
) -> Player:
    """The greedy player of an agent, which looks so far ahead.

    Raises `ConfigurationError` if that is not possible in its game.
    """
    check_lookahead(policy.spec, lookahead)
    if not lookahead.searches:
        return NetworkPlayer(name, policy)
    return LookaheadPlayer(name, policy, lookahead)


def check_opponent(name: str, game: str) -> None:
    """Raise `ConfigurationError` if `agent:D` of that name cannot search in the game."""
    refuse_search(name, spec_of(game), averages_chance=True)
    refuse_python(make(game, 1))
