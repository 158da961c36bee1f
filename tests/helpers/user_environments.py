"""Environments as users write them for PettingZoo, each with something that its classic games do
not have.
"""

from __future__ import annotations

import threading

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary
from pettingzoo import AECEnv, ParallelEnv, register
from pettingzoo.utils import wrappers

TAKE, STAY, LEAVE = range(3)


class Leavers(AECEnv):
    """Three agents in turn: taking pays 2 and costs the next agent 1, staying is free, leaving
    costs 3. The last one there gets 5.

    No agent may leave in the first round, or take twice in a row. After twelve turns all are
    truncated. All see the same: who is there, and who took last. Masks are in the infos.
    """

    metadata = {"name": "leavers_v0", "is_parallelizable": False}  # noqa: RUF012 -- PettingZoo's way

    limit = 12  # turns

    def __init__(self):
        self.possible_agents = ["ann", "bob", "cid"]

    def observation_space(self, agent):
        return Box(0, 1, (6,), np.float64)

    def action_space(self, agent):
        return Discrete(3)

    def reset(self, seed=None, options=None):
        self.agents = self.possible_agents[:]
        self.rewards = dict.fromkeys(self.agents, 0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.agent_selection = "ann"
        self.turn, self.took = 0, None
        self._set_infos()

    def _set_infos(self):
        masks = {
            agent: np.array([self.took != agent, True, self.turn >= 3], np.int8)
            for agent in self.agents
        }
        self.infos = {agent: {"action_mask": masks[agent]} for agent in self.agents}

    def observe(self, agent):
        there = [
            name in self.agents and not self.terminations[name] for name in self.possible_agents
        ]
        return np.array([*there, *(self.took == name for name in self.possible_agents)], np.float64)

    def _next(self):
        order = self.possible_agents
        start = order.index(self.agent_selection)
        return next(
            name
            for step in (1, 2, 3)
            if (name := order[(start + step) % 3]) in self.agents and not self.terminations[name]
        )

    def step(self, action):
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        self._cumulative_rewards[agent] = 0
        self._clear_rewards()
        self.terminations[agent] = action == LEAVE
        following = self._next()
        self.rewards[agent] += {TAKE: 2, STAY: 0, LEAVE: -3}[action]
        if action == TAKE:
            self.rewards[following] -= 1
            self.took = agent
        self.turn += 1
        if sum(not gone for gone in self.terminations.values()) == 1:
            self.terminations[following] = True
            self.rewards[following] += 5
        elif self.turn == self.limit:
            self.truncations = dict.fromkeys(self.agents, True)
        self.agent_selection = following
        self._accumulate_rewards()
        self._set_infos()
        self._deads_step_first()


def made_leavers():
    """As PettingZoo's own modules offer their environments."""
    return wrappers.OrderEnforcingWrapper(Leavers())


class Unlimited(Leavers):
    """Without the limit of twelve turns."""

    limit = 1000


class Closed(Leavers):
    """Shows no legal action after its limit."""

    def _set_infos(self):
        super()._set_infos()
        if self.turn == self.limit:
            self.infos = {agent: {"action_mask": np.zeros(3, np.int8)} for agent in self.agents}


class Maskless(Leavers):
    """Has no masks of legal actions."""

    def _set_infos(self):
        self.infos = {agent: {} for agent in self.agents}


class Continuous(Leavers):
    """Actions that are vectors."""

    def action_space(self, agent):
        return Box(0, 1, (2,), np.float32)


class Unequal(Leavers):
    """Observations of two lengths."""

    def observe(self, agent):
        return super().observe(agent)[: 5 if agent == "ann" else 6]


class Together(Leavers):
    """Agents that act at the same time."""

    metadata = {"name": "together_v0", "is_parallelizable": True}  # noqa: RUF012


class Broken(Leavers):
    """`observe` raises an error."""

    def observe(self, agent):
        raise KeyError("no such field")


class Drifting(Leavers):
    """Observations of integers, except in the fifth turn."""

    def observe(self, agent):
        seen = super().observe(agent)
        return seen / 2 if self.turn == 4 else seen.astype(np.int8)


class Locked(Leavers):
    """Has an attribute that cannot be copied."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


register("aec", "own/leaving-v0", entry_point=Leavers)


class Rooms(ParallelEnv):
    """Three agents at once: ann and bob may dig (+1 each) or leave (+3), cid may also push: bob
    dies of it (-5), unless he has left. After four turns those that are left are truncated.

    ann and cid see three numbers, bob two; pushing is legal from the second turn on.
    """

    metadata = {"name": "rooms_v0"}  # noqa: RUF012 -- PettingZoo's way

    def __init__(self):
        self.possible_agents = ["ann", "bob", "cid"]

    def observation_space(self, agent):
        seen = Box(0, 9, (2 if agent == "bob" else 3,), np.float32)
        return Dict(observation=seen, action_mask=MultiBinary(3 if agent == "cid" else 2))

    def action_space(self, agent):
        return Discrete(3 if agent == "cid" else 2)

    def reset(self, seed=None, options=None):
        self.agents, self.turn = self.possible_agents[:], 0
        return self._seen(), {agent: {} for agent in self.agents}

    def step(self, actions):
        assert set(actions) == set(self.agents)
        self.turn += 1
        acting = self.agents
        rewards = {agent: [1, 3, 0][action] for agent, action in actions.items()}
        ended = {agent: action == 1 for agent, action in actions.items()}
        if actions.get("cid") == 2 and "bob" in acting and not ended["bob"]:
            rewards["bob"] -= 5
            ended["bob"] = True
        cut = {agent: self.turn == 4 and not ended[agent] for agent in acting}
        seen = self._seen()
        self.agents = [agent for agent in acting if not (ended[agent] or cut[agent])]
        return seen, rewards, ended, cut, {agent: {} for agent in acting}

    def _seen(self):
        there = [self.turn, len(self.agents), 7]
        return {
            agent: {
                "observation": np.array(there[: 2 if agent == "bob" else 3], np.float32),
                "action_mask": np.array([1, 1, self.turn > 0][: self.action_space(agent).n]),
            }
            for agent in self.agents
        }


def made_rooms():
    """A function that makes an environment of agents that act at once."""
    return Rooms()


register("parallel", "own/rooms-v0", entry_point=Rooms)
