"""Agents in RLCard's own loops: `RLCardAgent`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparring.adapters.agents import Agent, greedy, played_game
from sparring.adapters.rlcard import RLCardRules
from sparring.errors import ConfigurationError


class RLCardAgent:
    """An agent for `env.set_agents([...])` that plays the greedy moves of a `DQNAgent`.

    `player_id` is its place in that list, from 0, which RLCard does not tell its agents. Raises
    `ConfigurationError` for an agent of another game.
    """

    use_raw = False  # actions are numbers

    def __init__(self, agent: Agent, player_id: int) -> None:
        self._agent = agent
        name = played_game(agent, "rlcard")
        self._rules = RLCardRules(name)
        players = self._rules.spec.num_players
        if not 0 <= player_id < players:
            expected = f"0 to {players - 1}"
            raise ConfigurationError(f"player_id in {name}", got=player_id, expected=expected)
        self._seat = player_id

    def step(self, state: Mapping[str, Any]) -> int:
        """The action in a state of RLCard."""
        observation = self._rules.observation(state, self._seat)
        return greedy(self._agent, observation, self._rules.mask(state))

    def eval_step(self, state: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """(The action; {"values": the value of each legal action in RLCard's form})."""
        values = self._agent.q_values(self._rules.observation(state, self._seat))
        named = zip(state["raw_legal_actions"], state["legal_actions"], strict=True)
        return self.step(state), {"values": {raw: float(values[i]) for raw, i in named}}
