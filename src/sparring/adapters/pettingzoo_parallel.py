"""Environments of PettingZoo in which agents act at the same time: `parallel_env`, as
`pettingzoo:classic/rps-v2` and `pettingzoo:sisl/pursuit-v5`.

The choices of all agents are made one after the other, in the order of `possible_agents`, on one
state: nobody sees another's choice. Each is a ply, and the last one plays them together.
`max_plies` is 1000 plies an agent unless given.

- Observations and actions are those of `spaces.py`. Vectors of different lengths are filled up with
  zeros, and of different numbers of actions the largest counts, of which a mask leaves each agent
  its own. Without a mask in the observation or in the infos, all of these are legal.
- The observer's seat is appended unless some entry always tells the agents apart.
- An agent that terminates, or is truncated while others go on, makes no more plies.
- Where all agents that are left are truncated, the match is cut: targets bootstrap from the last
  observation, those of the first such agent only.
- `hidden_information` is always true here: other seats' choices are.

Refused: observations of different shapes that are no vectors, continuous actions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparring.adapters import check_size, misfit, take_flag, take_max_plies
from sparring.adapters.seat_planes import Comparison, Views
from sparring.adapters.seeded_match import SeededMatch
from sparring.adapters.spaces import Shown, mask_in, num_actions, shown
from sparring.games.names import GameName
from sparring.games.spec import GameSpec

_MAX_TURNS: Final = 1000  # of an agent, unless the name says otherwise
_PROBES: Final = 8  # random matches in which the observations of the seats are compared
_MAX_PROBE_TURNS: Final = 12


class ParallelRules:
    """Shared by all matches of one game: its `agents` in the order of their seats, how they are
    read, and the spec. `make_env` makes an environment from the library's own arguments.
    """

    def __init__(
        self, name: GameName, arguments: dict[str, Any], make_env: Callable[..., Any]
    ) -> None:
        self._name, self._arguments, self._make = name, arguments, make_env
        chance = take_flag(name, arguments, "chance", True)
        zero_sum = take_flag(name, arguments, "zero_sum", False)
        if not take_flag(name, arguments, "hidden_information", True):
            raise misfit(name, "hidden_information=False", "hidden choices of the other agents")
        given = take_max_plies(name, arguments, 0) if "max_plies" in arguments else None
        env = self.new_env()
        self.agents: list[Any] = list(env.possible_agents)
        self.seats = {agent: seat for seat, agent in enumerate(self.agents)}
        spaces = [env.action_space(agent) for agent in self.agents]
        sizes = [num_actions(name, space) for space in spaces]
        self.first_actions = [int(space.start) for space in spaces]
        self._own = np.arange(max(sizes)) < np.array(sizes)[:, None]  # [P, A]
        self._shown = [shown(name, env.observation_space(agent)) for agent in self.agents]
        shape, dtype = _common(name, self._shown)
        check_size(name, max(sizes), shape, dtype)
        self._views = Views(shape, dtype, len(self.agents), append=False)
        append = not self._compared(env).name_the_seat()
        self._views = Views(shape, dtype, len(self.agents), append=append)
        self.spec = GameSpec(
            num_players=len(self.agents),
            num_actions=max(sizes),
            observation_shape=self._views.shape,
            observation_dtype=dtype.name,
            max_plies=given or _MAX_TURNS * len(self.agents),
            chance=chance,
            hidden_information=True,
            zero_sum=zero_sum,
        )

    def new_env(self) -> Any:
        """A new environment."""
        return self._make(**self._arguments)

    def observation(self, seen: Any, seat: int) -> NDArray[Any]:
        """[*observation_shape] of an observation in the environment's form, in an array that the
        next call for this seat overwrites.
        """
        own, array = self._views.own[seat], self._shown[seat].array(seen)
        if array.shape == own.shape:
            np.copyto(own, array, casting="same_kind")
        else:  # a shorter vector
            np.copyto(own[: len(array)], array, casting="same_kind")
        return self._views.full[seat]

    def mask(self, seen: Any, info: Mapping[str, Any], seat: int) -> NDArray[np.bool_]:
        """[A]: the legal actions of a seat."""
        own: NDArray[np.bool_] = self._own[seat]
        found = mask_in(seen if self._shown[seat].masked else info, int(own.sum()))
        if found is None:
            return own
        legal = own.copy()
        legal[: len(found)] = found
        return legal

    def read(self, seen: Any, info: Mapping[str, Any], seat: int) -> tuple[Any, NDArray[np.bool_]]:
        """(What `seat` sees, for `observation`; its legal actions [A])."""
        return seen, self.mask(seen, info, seat)

    def _compared(self, env: Any) -> Comparison:
        """Comparison of all agents' observations in random matches with fixed seeds."""
        rng, comparison = np.random.Generator(np.random.PCG64(0)), Comparison()
        for seed in range(_PROBES if len(self.agents) > 1 else 0):
            seen, infos = env.reset(seed=seed)
            for _ in range(_MAX_PROBE_TURNS):
                if set(env.agents) != set(self.agents):
                    break
                rows = [self.observation(seen[agent], self.seats[agent]) for agent in self.agents]
                comparison.add(np.stack([row.ravel() for row in rows]))
                seen, _, _, _, infos = env.step(self._random(env, seen, infos, rng))
        return comparison

    def _random(self, env: Any, seen: Any, infos: Any, rng: np.random.Generator) -> dict[Any, int]:
        """Random choices of all agents, in the environment's numbers."""
        choices = {}
        for agent in env.agents:
            seat = self.seats[agent]
            legal = np.flatnonzero(self.mask(seen[agent], infos.get(agent, {}), seat))
            choices[agent] = int(rng.choice(legal)) + self.first_actions[seat]
        return choices


def _common(name: GameName, parts: Sequence[Shown]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return a shape and a type for the observations of all agents."""
    shapes, dtypes = {part.shape for part in parts}, {part.dtype for part in parts}
    if len(shapes) > 1 and any(len(shape) != 1 for shape in shapes):
        got = f"observations of {' and '.join(map(str, sorted(shapes)))}"
        raise misfit(name, got, "vectors, or one shape for all agents")
    dtype = dtypes.pop() if len(dtypes) == 1 else np.dtype(np.float32)
    return max(shapes, key=math.prod), dtype


class ParallelMatch(SeededMatch):
    """A `Match` over one environment; `_choices` are those of the agents before the one to move."""

    def __init__(self, rules: ParallelRules) -> None:
        super().__init__(rules)
        self._env = rules.new_env()

    def mask(self) -> NDArray[np.bool_]:
        agent = self._rules.agents[self.seat]
        legal: NDArray[np.bool_] = self._rules.mask(
            self._seen[agent], self._infos.get(agent, {}), self.seat
        )
        return legal

    def observe(self, seat: int) -> NDArray[Any]:
        agent = self._rules.agents[seat]
        if agent not in self._seen:  # it has not come yet
            return np.zeros(self.spec.observation_shape, self.spec.observation_dtype)
        seen: NDArray[Any] = self._rules.observation(self._seen[agent], seat)
        return seen

    def __str__(self) -> str:
        agent = self._rules.agents[self.seat]
        return f"{agent} to move\n{self._seen[agent]}"

    def _start(self, seed: int) -> None:
        self._seen, self._infos = self._env.reset(seed=seed)
        self._begin_turn()

    def _play(self, action: int) -> tuple[Sequence[float] | None, bool]:
        agent = self._rules.agents[self.seat]
        self._choices[agent] = action + self._rules.first_actions[self.seat]
        if self._waiting:
            self.seat = self._waiting.pop(0)
            return None, False
        seen, paid, terminated, cut, self._infos = self._env.step(self._choices)
        self._seen = {**self._seen, **seen}  # what those saw last that are gone
        rewards = [float(paid.get(agent, 0)) for agent in self._rules.agents]
        if not self._env.agents:
            last = [a for a in self._rules.agents if cut.get(a) and not terminated.get(a)]
            self.truncated = bool(last)
            self.seat = self._rules.seats[last[0]] if last else self.seat
            return rewards, True
        self._begin_turn()
        return rewards, False

    def _begin_turn(self) -> None:
        self._choices: dict[Any, int] = {}
        self.seat, *self._waiting = sorted(self._rules.seats[agent] for agent in self._env.agents)
