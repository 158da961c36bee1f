"""Games of PettingZoo, of its AEC kind: `pettingzoo:classic/chess-v6`, `pettingzoo:classic/go-v5(board_size=9,max_plies=200)`.

Arguments are those of the environment, and ours: `max_plies`, and `chance`, `hidden_information` and `zero_sum`, of which PettingZoo says
nothing. They are known here for most of `classic/`; of any other game the most is assumed (chance, hidden information, not zero-sum), which
is always right, but rules out `bootstrap="zero_sum"`.

How they are read:

- Seats are numbered as in `possible_agents`.
- A ply pays each seat what `rewards` holds after that very step. `last()` gives an agent the sum since its own last turn, so that a
  loser hears of its loss at a step in which it is dead already; nothing here is added up, and the steps of dead agents are no plies.
- Masks are looked for in `observation["action_mask"]`, then in `infos[agent]["action_mask"]`. No illegal action reaches the environment,
  whose answer would be -1 for the mover, 0 for all others, and the end.
- The environment draws its own chance: it is seeded in `reset` by a number from the match's stream, below 2**31 since some take no more.
- Boards of PettingZoo are rows x columns x planes; here planes come first, as in all other games. Floats become float32. Where all seats
  always see the same, the observer's seat is appended (`views.py`); in games other than `classic/` unless an observation says whose it is.
- An environment that truncates a match by itself ends it: what comes after counts as 0. `max_plies`, 1000 unless given, cuts properly.

Refused: agents that move at the same time, no masks, actions that are not numbered from 0 and alike for all agents.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.adapters.common import misfit
from sparring.adapters.pettingzoo_copies import duplicate
from sparring.adapters.pettingzoo_rules import Rules
from sparring.errors import ConfigurationError
from sparring.games.looped import LoopedGame
from sparring.games.names import GameName
from sparring.games.spec import BatchedGame


def make(name: GameName, num_slots: int) -> BatchedGame:
    """The game of that name; `ConfigurationError` where PettingZoo has none, or where it does not fit."""
    try:
        rules = Rules(name)
    except ConfigurationError:
        raise
    except Exception as error:  # anything, from an environment that somebody wrote
        got = f"{type(error).__name__} when it was tried out: {' '.join(str(error).split())}"
        raise misfit(name, got, "an environment that keeps PettingZoo's contract", "pettingzoo.test.api_test says more") from error
    return LoopedGame(str(name), lambda: PettingZooMatch(rules), num_slots)


class PettingZooMatch:
    """A `Match` over one AEC environment."""

    def __init__(self, rules: Rules, env: Any = None) -> None:
        self._rules = rules
        self._env = rules.new_env() if env is None else env
        self._seed = 0
        self._actions: list[int] = []
        self.spec = rules.spec
        self.seat = 0

    def reset(self, rng: np.random.Generator) -> None:
        self._begin(int(rng.integers(2**31)))

    def mask(self) -> NDArray[np.bool_]:
        return self._legal

    def observe(self, seat: int) -> NDArray[Any]:
        seen = self._seen if seat == self.seat else self._rules.seen_by(self._env, seat)
        return self._rules.observation(seen, seat)

    def step(self, action: int) -> tuple[Sequence[float] | None, bool]:
        self._rules.claim()
        self._env.step(action)
        self._actions.append(action)
        paid = self._env.rewards
        rewards = [paid.get(agent, 0) for agent in self._rules.agents]
        ended = self._pass_the_dead()
        if not ended:
            self._look()
        return (rewards if any(rewards) else None), ended

    def copy(self) -> PettingZooMatch:
        if self._rules.duplicates:
            other = PettingZooMatch(self._rules, duplicate(self._env))
            other._seed, other._actions = self._seed, self._actions.copy()
            other._look()
        else:
            other = PettingZooMatch(self._rules)
            other._begin(self._seed)
            for action in self._actions:
                other.step(action)
        return other

    def __str__(self) -> str:
        return self._rules.text(self._env)

    def _begin(self, seed: int) -> None:
        self._rules.claim()
        self._env.reset(seed=seed)
        self._seed, self._actions = seed, []
        self._look()

    def _look(self) -> None:
        """Who moves, what it sees and what it may do; asked once, since environments build it all anew each time."""
        self.seat, self._seen, self._legal = self._rules.look(self._env)

    def _pass_the_dead(self) -> bool:
        """Take the dead agents' empty steps, which come before the next turn; whether nobody is left."""
        env = self._env
        while env.agents:
            agent = env.agent_selection
            if not (env.terminations[agent] or env.truncations[agent]):
                return False
            if all(env.terminations[other] or env.truncations[other] for other in env.agents):
                return True
            env.step(None)
        return True
