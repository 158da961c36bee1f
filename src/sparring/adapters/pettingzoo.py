"""Games of PettingZoo: `pettingzoo:classic/chess-v6`,
`pettingzoo:classic/go-v5(board_size=9,max_plies=200)`. What follows is about its AEC kind; those in
which agents act at the same time are in `pettingzoo_parallel.py`.

An environment of your own is `my_module:MyEnv`, its class or a function that makes it, or
`pettingzoo:my_module:my_env-v0`, where `my_module` registers it.

Arguments are those of the environment, and our own: `max_plies`, and `chance`,
`hidden_information` and `zero_sum`, which PettingZoo does not declare. They are known here for most
of `classic/`; for any other game the default is chance, hidden information and not zero-sum, which
is always correct but rules out `bootstrap="zero_sum"`.

Rules of the adapter:

- Seats are numbered as in `possible_agents`.
- The reward of a ply is what `rewards` holds after that very step. `last()` returns the sum since
  an agent's own last turn, so a loser sees its loss only in a step in which it is already dead.
  Here nothing is summed, and the steps of dead agents are not plies.
- Masks come from `observation["action_mask"]`, else from `infos[agent]["action_mask"]`. No illegal
  action reaches the environment, which would end the match with -1 for the mover and 0 for all
  others.
- The environment draws its own chance. `reset` seeds it with a number from the match's stream,
  below 2**31 because some environments take no more.
- Boards of PettingZoo are rows x columns x planes; here planes come first, as in all other games.
  Floats become float32. If all seats always see the same, the observer's seat is appended
  (`seat_planes.py`); in games other than `classic/`, also if no entry names the observer.
- Where an environment truncates a match by itself, the match is cut as at our own `max_plies` (1000
  unless given): targets bootstrap from the position, with the seat whose turn was next. If the
  environment shows no legal action there, the match ends, and what comes after counts as 0.

Refused: AEC environments whose agents move at the same time, environments without masks, action
spaces other than one `Discrete(n)` from 0 for all agents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.adapters import misfit, refuse_window
from sparring.adapters.pettingzoo_copies import duplicate
from sparring.adapters.pettingzoo_parallel import ParallelMatch
from sparring.adapters.pettingzoo_rules import PettingZooRules, parallel_rules
from sparring.adapters.trial import tried_game
from sparring.errors import ConfigurationError
from sparring.games.names import GameName
from sparring.games.spec import BatchedGame, Match


def make(name: GameName, num_slots: int) -> BatchedGame:
    """The game of that name; `ConfigurationError` if PettingZoo has none or it is not supported."""
    refuse_window(name, name.arguments.get("render_mode"))
    return tried_game(name, "pettingzoo", num_slots, match_maker)


def match_maker(name: GameName) -> Callable[[], Match]:
    """Function that makes a match of that game."""
    try:
        if together := parallel_rules(name):
            return lambda: ParallelMatch(together)
        rules = PettingZooRules(name)
    except ConfigurationError:
        raise
    except Exception as error:  # of any kind: users write environments too
        got = f"{type(error).__name__} in a trial match: {' '.join(str(error).split())}"
        raise misfit(
            name,
            got,
            "an environment that keeps PettingZoo's contract",
            "run pettingzoo.test.api_test on it",
        ) from error
    return lambda: PettingZooMatch(rules)


class PettingZooMatch:
    """A `Match` over one AEC environment."""

    def __init__(self, rules: PettingZooRules, env: Any = None) -> None:
        self._rules = rules
        self._env = rules.new_env() if env is None else env
        self._seed = 0
        self._actions: list[int] = []
        self.spec = rules.spec
        self.seat = 0
        self.truncated = False

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
        elif any(self._env.truncations.values()):
            self.truncated = self._look_at_the_cut()
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
        self._seed, self._actions, self.truncated = seed, [], False
        self._look()

    def _look(self) -> None:
        """Read the seat to move, its observation and mask; once, because environments build them
        anew in each call.
        """
        self.seat, self._seen, self._legal = self._rules.look(self._env)

    def _look_at_the_cut(self) -> bool:
        """Read the position in which the environment has truncated the match; return whether it
        shows a legal action. Before the steps of dead agents, environments note whose turn it was.
        """
        inner = self._env.unwrapped
        first_dead = inner.agent_selection
        mover = getattr(inner, "_skip_agent_selection", None) or first_dead
        if self._env.terminations.get(mover, True):
            truncated = self._env.truncations
            mover = next(agent for agent in self._rules.agents if truncated.get(agent))
        try:
            inner.agent_selection = mover
            seat, seen, legal = self._rules.look(self._env)
        except Exception:  # of any kind: the match is over, and nothing has to be shown
            return False
        finally:
            inner.agent_selection = first_dead
        if legal.any():
            self.seat, self._seen, self._legal = seat, seen, legal
        return bool(legal.any())

    def _pass_the_dead(self) -> bool:
        """Take the empty steps of dead agents before the next turn; return whether none is left."""
        env = self._env
        while env.agents:
            agent = env.agent_selection
            if not (env.terminations[agent] or env.truncations[agent]):
                return False
            if all(env.terminations[other] or env.truncations[other] for other in env.agents):
                return True
            env.step(None)
        return True
