"""Environments of Gymnasium as games of one seat: `gymnasium:CartPole-v1`,
`gymnasium:FrozenLake-v1(map_name=8x8)`, with Gymnasium's own arguments, and our `max_plies`.

An environment of your own is `my_module:MyEnv`, its class or a function that makes it, or
`gymnasium:my_module:MyEnv-v0`, where `my_module` registers it.

Rules of the adapter:

- The environment draws its own chance. Each match seeds it by `reset(seed=...)` with a number from
  the match's stream, so every game counts as one with chance.
- Observations are arrays as `spaces.py` makes them. Actions are `Discrete(n)`, from any start.
- Legal actions are those of "action_mask" in the observation or in the info, as in Taxi; without
  one, all are legal.
- Where the environment truncates a match, as at the limit of steps with which it was registered,
  the match is cut: targets bootstrap from the position. `max_plies`, by default that limit or else
  1000, cuts in the same way; for a longer limit there is Gymnasium's own argument
  `max_episode_steps`.

Refused: continuous actions, several choices at once, observations of changing size (graphs,
sequences), windows (`render_mode=human`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparring import user_code
from sparring.adapters import (
    check_size,
    imported,
    misfit,
    refuse_window,
    registered_target,
    rendered,
    take_max_plies,
)
from sparring.adapters.seeded_match import SeededMatch
from sparring.adapters.spaces import mask_in, num_actions, shown
from sparring.adapters.trial import tried_game
from sparring.errors import ConfigurationError, nearest
from sparring.games.names import GameName
from sparring.games.spec import BatchedGame, GameSpec, Match

gymnasium: Final = imported("gymnasium", "gymnasium")

_MAX_PLIES: Final = 1000  # of a match, unless the name or the environment gives a limit


class GymnasiumRules:
    """Shared by all matches of one game: how its environments are made and read, and its spec."""

    def __init__(self, name: GameName) -> None:
        self._name, self._arguments = name, dict(name.arguments)
        refuse_window(name, self._arguments.get("render_mode"))
        limit = take_max_plies(name, self._arguments, _MAX_PLIES)
        self._creator = _creator(name)
        env = self.new_env()
        self.shows_text = "ansi" in env.metadata.get("render_modes", ())
        actions = num_actions(name, env.action_space)
        self.first_action = int(env.action_space.start)
        self._shown = shown(name, env.observation_space)
        check_size(name, actions, self._shown.shape, self._shown.dtype)
        own_limit = getattr(env.spec, "max_episode_steps", None)
        if own_limit is not None:
            limit = min(name.arguments.get("max_plies", own_limit), own_limit)
        self._all_legal = np.ones(actions, np.bool_)
        self.spec = GameSpec(
            num_players=1,
            num_actions=actions,
            observation_shape=self._shown.shape,
            observation_dtype=self._shown.dtype.name,
            max_plies=limit,
            chance=True,
        )

    def new_env(self) -> Any:
        """A new environment, without the wrapper that checks each step."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # those of Gymnasium's own code
                return self._creator(**self._arguments)
        except Exception as error:
            got = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise ConfigurationError(f"Gymnasium cannot make {self._name}", got=got) from None

    def observation(self, seen: Any) -> NDArray[Any]:
        """[*observation_shape] of an observation in the environment's form."""
        return self._shown.array(seen)

    def mask(self, seen: Any, info: dict[str, Any]) -> NDArray[np.bool_]:
        """[A]: the legal actions."""
        mask = mask_in(seen if self._shown.masked else info, len(self._all_legal))
        return self._all_legal if mask is None else mask


def _creator(name: GameName) -> Callable[..., Any]:
    """Function that makes an environment. Raises `ConfigurationError` if there is none of that
    name.
    """
    if name.scheme != "gymnasium":
        return user_code.import_named(f"{name.scheme}:{name.target}", what="game")
    target = registered_target(name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an older version
            gymnasium.spec(target)
    except gymnasium.error.Error:
        remedy = nearest(target, gymnasium.registry) or (
            "gymnasium.pprint_registry() lists them; name an environment of your own "
            "my_module:MyEnv, or gymnasium:my_module:MyEnv-v0 if my_module registers it"
        )
        raise ConfigurationError(
            "Gymnasium has no such environment", got=repr(target), remedy=remedy
        ) from None
    return partial(gymnasium.make, target, disable_env_checker=True)


def make(name: GameName, num_slots: int) -> BatchedGame:
    """The game of that name; `ConfigurationError` if Gymnasium has none or it is not supported."""
    refuse_window(name, name.arguments.get("render_mode"))
    return tried_game(name, "gymnasium", num_slots, match_maker)


def match_maker(name: GameName) -> Callable[[], Match]:
    """Function that makes a match of that game."""
    try:
        rules = GymnasiumRules(name)
        GymnasiumMatch(rules).reset(np.random.default_rng(0))
    except ConfigurationError:
        raise
    except Exception as error:  # of any kind: users write environments too
        got = f"{type(error).__name__} in a trial match: {' '.join(str(error).split())}"
        raise misfit(
            name,
            got,
            "an environment that keeps Gymnasium's contract",
            "run gymnasium.utils.env_checker.check_env on it",
        ) from error
    return lambda: GymnasiumMatch(rules)


class GymnasiumMatch(SeededMatch):
    """A `Match` of one seat over one environment."""

    def __init__(self, rules: GymnasiumRules) -> None:
        super().__init__(rules)
        self._env = rules.new_env()

    def mask(self) -> NDArray[np.bool_]:
        return self._legal

    def observe(self, seat: int) -> NDArray[Any]:
        seen: NDArray[Any] = self._rules.observation(self._seen)
        return seen

    def __str__(self) -> str:
        return rendered(self._env.unwrapped) if self._rules.shows_text else str(self._seen)

    def action_text(self, action: int) -> str:
        meanings = getattr(self._env.unwrapped, "get_action_meanings", None)
        return str(meanings()[action]) if meanings else str(action)

    def _start(self, seed: int) -> None:
        self._look(*self._env.reset(seed=seed))

    def _play(self, action: int) -> tuple[Sequence[float], bool]:
        seen, reward, terminated, cut, info = self._env.step(action + self._rules.first_action)
        self.truncated = bool(cut) and not terminated
        self._look(seen, info)
        return (float(reward),), bool(terminated or cut)

    def _look(self, seen: Any, info: dict[str, Any]) -> None:
        self._seen = seen
        self._legal: NDArray[np.bool_] = self._rules.mask(seen, info)
