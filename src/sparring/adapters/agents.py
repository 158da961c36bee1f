"""Agents in the loops of other libraries: as much of them as the wrappers use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sparring.errors import ConfigurationError, shown
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
    if not hasattr(agent, "spec"):
        remedy = "DQNAgent.load(FILE, game=...) makes one of a file"
        raise ConfigurationError("agent", got=shown(agent), expected="a DQNAgent", remedy=remedy)
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


def own_seat(name: GameName, player_id: Any, num_players: int) -> int:
    """`player_id` as a seat of the game; `ConfigurationError` unless it is one."""
    if type(player_id) is not int or not 0 <= player_id < num_players:
        expected = f"an integer from 0 to {num_players - 1}"
        raise ConfigurationError(f"player_id in {name}", got=shown(player_id), expected=expected)
    return player_id


@contextmanager
def as_in_training(name: GameName) -> Iterator[None]:
    """Make one line of errors in reading what an environment shows that is not the agent's."""
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ConfigurationError(
            f"observation of {name} cannot be read",
            got=f"{type(error).__name__}: {error}",
            expected="what the environment shows on which the agent was trained",
        ) from error


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
