"""Agents in PettingZoo's own loops, of both kinds: `PettingZooPolicy`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparring.adapters.agents import Agent, as_in_training, greedy, played_game
from sparring.adapters.pettingzoo_rules import PettingZooRules, parallel_rules
from sparring.errors import ConfigurationError


class PettingZooPolicy:
    """The greedy moves of a `DQNAgent` as a function of what an environment shows.

        policy(observation, name, info)  # of env.last(), or of a parallel environment's dicts

    The environment is one of the game on which the agent was trained, with its own wrappers or
    without. Raises `ConfigurationError` for an agent of another game.
    """

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._name = played_game(agent, "pettingzoo")
        self._rules = parallel_rules(self._name) or PettingZooRules(self._name)

    def __call__(self, observation: Any, name: Any, info: Mapping[str, Any] | None = None) -> int:
        """The action of the agent called `name`, in the environment's numbers.

        `info` is only needed where it carries the "action_mask". Raises `ConfigurationError` for a
        name that the environment does not have, for an observation that does not fit, and for a
        mask without a legal action.
        """
        rules = self._rules
        if name not in rules.seats:
            expected = f"one of {', '.join(map(str, rules.seats))}"
            raise ConfigurationError(f"agent of {self._name}", got=name, expected=expected)
        seat = rules.seats[name]
        with as_in_training(self._name):
            seen, mask = rules.read(observation, info or {}, seat)
            shown = rules.observation(seen, seat)
        return greedy(self._agent, shown, mask) + rules.first_actions[seat]
