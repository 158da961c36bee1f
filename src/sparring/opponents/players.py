"""Whatever picks actions for a seat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from sparring.dqn.policy import InferencePolicy
from sparring.games import BatchedGame


class Player(Protocol):
    """Picks one action for each of some slots of a batch of matches."""

    name: str

    def act(
        self, game: BatchedGame, slots: NDArray[np.int64], uniforms: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """Actions [m] for the seats to move in `slots` [m]; all randomness comes from `uniforms`
        [m, 2] in [0, 1).
        """


class NetworkPlayer:
    """The agent or a snapshot of it, acting epsilon-greedily."""

    def __init__(self, name: str, policy: InferencePolicy, epsilon: float = 0.0) -> None:
        self.name = name
        self.policy = policy
        self.epsilon = epsilon

    def act(
        self, game: BatchedGame, slots: NDArray[np.int64], uniforms: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        if len(slots) == game.num_slots:  # every slot, in order: the views serve as they are
            return self.policy.act(game.observation, game.mask, uniforms, self.epsilon)
        return self.policy.act(game.observation[slots], game.mask[slots], uniforms, self.epsilon)


# Who may be met: the message by which the main process tells workers their opponents.


AGENT: Final = 0  # the id of the agent among players
AGENT_NAME: Final = "self"


@dataclass(frozen=True)
class Opponent:
    """One player of the pool; `slot` is the place of a snapshot's weights, None for all others."""

    id: int
    name: str
    slot: int | None = None


@dataclass(frozen=True)
class Plan:
    """The players that new matches draw their other seats from, with probabilities that sum to 1."""

    opponents: tuple[Opponent, ...]
    probabilities: tuple[float, ...]
