"""Agents in RLCard's own loops: `RLCardAgent`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparring.adapters.agents import Agent, as_in_training, greedy, own_seat, played_game
from sparring.adapters.rlcard import RLCardRules


class RLCardAgent:
    """An agent for `env.set_agents([...])` that plays the greedy moves of a `DQNAgent`.

    `player_id` is its place in that list, from 0, which RLCard does not tell its agents. Raises
    `ConfigurationError` for an agent of another game.
    """

    use_raw = False  # actions are numbers

    def __init__(self, agent: Agent, player_id: int) -> None:
        self._agent = agent
        self._name = name = played_game(agent, "rlcard")
        self._rules = RLCardRules(name)
        self._seat = own_seat(name, player_id, self._rules.spec.num_players)

    def step(self, state: Mapping[str, Any]) -> int:
        """The action in a state of RLCard."""
        with as_in_training(self._name):
            observation, mask = self._rules.observation(state, self._seat), self._rules.mask(state)
        return greedy(self._agent, observation, mask)

    def eval_step(self, state: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """(The action; {"values": the value of each legal action in RLCard's form})."""
        action = self.step(state)
        values = self._agent.q_values(self._rules.observation(state, self._seat))
        named = zip(state["raw_legal_actions"], state["legal_actions"], strict=True)
        return action, {"values": {raw: float(values[i]) for raw, i in named}}
