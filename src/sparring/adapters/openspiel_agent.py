"""Agents in OpenSpiel's own loops: `OpenSpielBot` and `OpenSpielAgent`.

Both make the observations of training, and take agents that value actions as well as agents that
value positions after moves. Moves at the same time are those of `player_id`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparring.adapters import imported
from sparring.adapters.agents import Agent, greedy, own_seat, played_game
from sparring.adapters.openspiel import OpenSpielMatch, match_maker
from sparring.errors import ConfigurationError

pyspiel: Final = imported("pyspiel", "openspiel")
_rl_agent: Final = imported("open_spiel.python.rl_agent", "openspiel")
_TOGETHER: Final = int(pyspiel.PlayerId.SIMULTANEOUS)
_Bot: Any = pyspiel.Bot
_AbstractAgent: Any = _rl_agent.AbstractAgent

_FULL_STATE: Final = "make the Environment with include_full_state=True"


class _Chooser:
    """The moves of an agent for one seat."""

    def __init__(self, agent: Agent, player_id: int) -> None:
        self._agent = agent
        self._name = played_game(agent, "openspiel")
        match = match_maker(self._name)()
        assert isinstance(match, OpenSpielMatch)
        self._match, self.rules = match, match.rules
        self.player_id = own_seat(self._name, player_id, match.spec.num_players)

    def in_state(self, state: Any) -> int:
        """The action in a state of OpenSpiel, which does not change."""
        if not self.rules.is_of(state.get_game()):
            raise ConfigurationError(
                "state of another game", got=str(state.get_game()), expected=str(self.rules.game)
            )
        if state.current_player() not in (self.player_id, _TOGETHER):
            raise ConfigurationError(
                f"state of {self._name}",
                got=f"the turn of player {int(state.current_player())}",
                expected=f"that of player {self.player_id}",
            )
        self._match.show(state, self.player_id)
        return int(self._agent.act(self._match)[0])

    def on_tensor(self, tensor: Any, legal: Any) -> int:
        """The action on the tensor of an `rl_environment`, at a decision."""
        values = np.asarray(tensor, np.float32)
        if not self.rules.knows_tensor(values):
            raise ConfigurationError(
                f"info_state of {self._name}",
                got=f"a tensor of {len(values)} entries",
                expected="that of training",
                remedy=_FULL_STATE,
            )
        mask = np.zeros(self.rules.spec.num_actions, np.bool_)
        mask[list(legal)] = True
        observation = self.rules.observation(values, self.player_id)
        return greedy(self._agent, observation, mask, _FULL_STATE)


class OpenSpielBot(_Bot):  # type: ignore[misc]
    """A `pyspiel.Bot` that plays the greedy moves of a `DQNAgent` as `player_id`.

    Raises `ConfigurationError` for an agent, or a state, of another game.
    """

    def __init__(self, agent: Agent, player_id: int) -> None:
        super().__init__()
        self._chooser = _Chooser(agent, player_id)

    def player_id(self) -> int:
        """The seat."""
        return self._chooser.player_id

    def step(self, state: Any) -> int:
        """The action in a state."""
        return self._chooser.in_state(state)

    def restart(self) -> None:
        """Nothing: a move follows from the state alone."""

    def restart_at(self, state: Any) -> None:
        """Nothing, as `restart`."""


class OpenSpielAgent(_AbstractAgent):  # type: ignore[misc]
    """A `rl_agent.AbstractAgent` that plays the greedy moves of a `DQNAgent` as `player_id`, and
    does not learn.

    Of an environment with `include_full_state=True` it takes the state. Without it, it takes
    `info_state`, which must be the tensor of training (the observation tensor if the game has one),
    and serves agents that value actions only. Raises `ConfigurationError` for anything else.
    """

    def __init__(self, agent: Agent, player_id: int) -> None:
        self._chooser = _Chooser(agent, player_id)

    def step(self, time_step: Any, is_evaluation: bool = False) -> Any:
        """`StepOutput` with the action and its probabilities [A], one of which is 1; None at the
        end of a match, and where the seat has no choice. `is_evaluation` makes no difference.
        """
        seat, seen = self._chooser.player_id, time_step.observations
        if time_step.last() or not seen["legal_actions"][seat]:
            return None
        if seen.get("serialized_state"):
            _, state = pyspiel.deserialize_game_and_state(seen["serialized_state"])
            action = self._chooser.in_state(state)
        else:
            action = self._chooser.on_tensor(seen["info_state"][seat], seen["legal_actions"][seat])
        probabilities: NDArray[np.float64] = np.zeros(self._chooser.rules.spec.num_actions)
        probabilities[action] = 1.0
        return _rl_agent.StepOutput(action=action, probs=probabilities)
