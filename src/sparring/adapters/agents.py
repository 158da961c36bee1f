"""Agents in the loops of other libraries: as much of them as the wrappers use."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sparring.errors import ConfigurationError
from sparring.games import is_of_library, is_own
from sparring.games.names import GameName, parse


class _Described(Protocol):
    @property
    def game(self) -> str: ...

    @property
    def afterstates(self) -> bool: ...


class Agent(Protocol):
    """A `sparring.DQNAgent`; the room of agents stands above this one."""

    @property
    def spec(self) -> _Described: ...

    def predict(
        self, observation: NDArray[Any], *, action_masks: NDArray[np.bool_] | None = None
    ) -> tuple[Any, Any]: ...

    def q_values(self, position: NDArray[Any]) -> NDArray[np.float32]: ...

    def act(self, game: Any) -> NDArray[np.int64]: ...


def played_game(agent: Agent, library: str) -> GameName:
    """The game of an agent that was trained on a game of `library`; `ConfigurationError` for any
    other agent, which has never seen the library's observations.
    """
    name = parse(agent.spec.game)
    own_class = is_own(str(name)) and ":" not in name.target and is_of_library(str(name))
    if name.scheme != library and not own_class:
        raise ConfigurationError(
            "agent of another game",
            got=str(name),
            expected=f"one trained on {library}:...",
            remedy="train one, or convert observations for predict (docs/use-your-agent.md)",
        )
    return name


def greedy(
    agent: Agent, observation: NDArray[Any], mask: NDArray[np.bool_], remedy: str = ""
) -> int:
    """The greedy action for an observation as in training; `ConfigurationError` with the `remedy`
    if the agent needs more than that.
    """
    if agent.spec.afterstates:
        raise ConfigurationError(
            "this agent values positions after moves", got="an observation alone", remedy=remedy
        )
    return int(agent.predict(observation, action_masks=mask)[0])
