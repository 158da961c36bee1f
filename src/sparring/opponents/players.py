"""Players: the protocol, the network player, and plans of opponents."""

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
        """Return actions [m] for the seats to move in `slots` [m]; all randomness comes from
        `uniforms` [m, 2] in [0, 1).
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
        return self.policy.choose(game, slots, uniforms, self.epsilon)


AGENT: Final = 0  # the id of the agent among players
AGENT_NAME: Final = "self"


@dataclass(frozen=True)
class Opponent:
    """A player of the pool; `slot` is that of a snapshot's weights, None for other players."""

    id: int
    name: str
    slot: int | None = None


@dataclass(frozen=True)
class Plan:
    """The players that new matches draw for their other seats, with probabilities that sum to 1;
    sent to the workers by the main process.
    """

    opponents: tuple[Opponent, ...]
    probabilities: tuple[float, ...]
