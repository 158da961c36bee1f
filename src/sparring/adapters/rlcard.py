"""Games of RLCard: `rlcard:uno`, `rlcard:leduc-holdem`, `rlcard:limit-holdem(game_num_players=4)`,
with RLCard's own settings of a game, and our `max_plies` (1000 unless given).

A game that your own module registers is `rlcard:my_module:my-game`.

Rules of the adapter:

- Each match has a seed from its stream, and a new environment where the old one may keep something
  of the match before (no-limit-holdem its dealer; the first state of limit-holdem its raises).
- Legal actions are those of the state; payoffs are paid when the match ends.
- Observations are in int8 where RLCard's own games have integers, else in float32.
- RLCard tells an agent its number beside the state. So the observer's seat is appended unless some
  entry always tells the seats apart (`seat_planes.py`).

Refused: observations of several lengths (doudizhu).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparring.adapters import check_size, imported, misfit, registered_target, take_max_plies
from sparring.adapters.seat_planes import Comparison, Views
from sparring.adapters.seeded_match import SeededMatch
from sparring.adapters.trial import tried_game
from sparring.errors import ConfigurationError, nearest
from sparring.games.names import GameName
from sparring.games.spec import BatchedGame, GameSpec, Match

rlcard: Final = imported("rlcard", "rlcard")
_registration: Final = imported("rlcard.envs.registration", "rlcard")

_MAX_PLIES: Final = 1000  # of a match, unless the name says otherwise
_PROBES: Final = 8  # random matches in which the observations of the seats are compared
_MAX_PROBE_PLIES: Final = 60


@dataclass(frozen=True)
class _Facts:
    """Facts that RLCard does not declare."""

    zero_sum: bool = False
    returns: tuple[float, float] | None = None
    keeps_nothing: bool = False  # seed and reset make an environment like a new one; tested


_UNKNOWN: Final = _Facts()
_KNOWN: Final = {
    "bridge": _Facts(keeps_nothing=True),
    "blackjack": _Facts(returns=(-1.0, 1.0), keeps_nothing=True),
    "gin-rummy": _Facts(returns=(-1.0, 1.0), keeps_nothing=True),
    "leduc-holdem": _Facts(zero_sum=True, keeps_nothing=True),
    "limit-holdem": _Facts(zero_sum=True),
    "mahjong": _Facts(returns=(-1.0, 1.0)),
    "no-limit-holdem": _Facts(zero_sum=True),
    "uno": _Facts(zero_sum=True, returns=(-1.0, 1.0), keeps_nothing=True),
}


class RLCardRules:
    """Shared by all matches of one game: how its environments are made and read, and its spec."""

    def __init__(self, name: GameName) -> None:
        self._name, self._target = name, _registered(name)
        self._settings = dict(name.arguments)
        max_plies = take_max_plies(name, self._settings, _MAX_PLIES)
        self._check_settings()
        facts = _KNOWN.get(self._target, _UNKNOWN)
        self.keeps_nothing = facts.keeps_nothing
        env = self.new_env(0)
        players, self.num_actions = int(env.num_players), int(env.num_actions)
        shape, dtype = self._shape_and_dtype(env)
        check_size(name, self.num_actions, shape, dtype)
        append = not self._compared(players).name_the_seat()
        self._views = Views(shape, dtype, players, append=append)
        self.spec = GameSpec(
            num_players=players,
            num_actions=self.num_actions,
            observation_shape=self._views.shape,
            observation_dtype=dtype.name,
            max_plies=max_plies,
            chance=True,
            hidden_information=True,
            zero_sum=facts.zero_sum,
            returns=facts.returns,
        )

    def new_env(self, seed: int) -> Any:
        """A new environment whose chance follows from the seed."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # those of RLCard's own code
                return rlcard.make(self._target, config={"seed": seed, **self._settings})
        except Exception as error:
            got = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise ConfigurationError(f"RLCard cannot make {self._name}", got=got) from None

    def observation(self, state: Mapping[str, Any], seat: int) -> NDArray[Any]:
        """[*observation_shape] of a state in RLCard's form that the seat sees, in an array that the
        next call for it overwrites.
        """
        np.copyto(self._views.own[seat], state["obs"], casting="unsafe")
        return self._views.full[seat]

    def mask(self, state: Mapping[str, Any]) -> NDArray[np.bool_]:
        """[A]: the legal actions."""
        legal = np.zeros(self.num_actions, np.bool_)
        legal[list(state["legal_actions"])] = True
        return legal

    def _check_settings(self) -> None:
        """Refuse settings that RLCard would ignore."""
        if not self._settings:
            return
        plain = rlcard.make(self._target, config={"seed": 0})
        # RLCard hands them on for these games only, whatever others declare.
        hands_on = plain.name in ("blackjack", "leduc-holdem", "limit-holdem", "no-limit-holdem")
        known = getattr(plain, "default_game_config", {}) if hands_on else {}
        for key in self._settings:
            if key not in known:
                raise ConfigurationError(
                    f"{self._target} has no such setting",
                    got=key,
                    expected=f"one of {', '.join([*known, 'max_plies'])}",
                    remedy=nearest(key, known),
                )

    def _shape_and_dtype(self, env: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
        shapes = [tuple(shape) for shape in env.state_shape]
        if len(set(shapes)) > 1:
            got = f"observations of {' and '.join(map(str, dict.fromkeys(shapes)))}"
            raise misfit(self._name, got, "one shape for all seats")
        seen = np.asarray(env.reset()[0]["obs"])
        whole = seen.dtype.kind in "bi" and self._target in _KNOWN
        return seen.shape, np.dtype(np.int8 if whole else np.float32)

    def _compared(self, players: int) -> Comparison:
        """Comparison of all seats' observations in random matches with fixed seeds."""
        rng, comparison = np.random.Generator(np.random.PCG64(0)), Comparison()
        for seed in range(_PROBES if players > 1 else 0):
            env = self.new_env(seed)
            env.reset()
            for _ in range(_MAX_PROBE_PLIES):
                if env.is_over():
                    break
                states = [env.get_state(seat) for seat in range(players)]
                comparison.add(np.stack([np.asarray(state["obs"]).ravel() for state in states]))
                legal = self.mask(states[env.get_player_id()])
                env.step(int(rng.choice(np.flatnonzero(legal))))
        return comparison


def _registered(name: GameName) -> str:
    """RLCard's name of the game; `ConfigurationError` if there is none."""
    target, known = registered_target(name), _registration.registry.env_specs
    if target not in known:
        remedy = nearest(target, known) or f"it has {', '.join(sorted(known))}"
        raise ConfigurationError("RLCard has no such game", got=repr(target), remedy=remedy)
    return target


def make(name: GameName, num_slots: int) -> BatchedGame:
    """The game of that name; `ConfigurationError` if RLCard has none or it is not supported."""
    return tried_game(name, "rlcard", num_slots, match_maker)


def match_maker(name: GameName) -> Callable[[], Match]:
    """Function that makes a match of that game."""
    try:
        rules = RLCardRules(name)
    except ConfigurationError:
        raise
    except Exception as error:  # of any kind: users register games too
        got = f"{type(error).__name__} in a trial match: {' '.join(str(error).split())}"
        raise misfit(name, got, "a game that keeps the contract of rlcard.envs.Env") from error
    return lambda: RLCardMatch(rules)


class RLCardMatch(SeededMatch):
    """A `Match` over one environment."""

    _env: Any = None

    def mask(self) -> NDArray[np.bool_]:
        legal: NDArray[np.bool_] = self._rules.mask(self._state)
        return legal

    def observe(self, seat: int) -> NDArray[Any]:
        state = self._state if seat == self.seat else self._env.get_state(seat)
        seen: NDArray[Any] = self._rules.observation(state, seat)
        return seen

    def __str__(self) -> str:
        shown = self._state.get("raw_obs")
        if not isinstance(shown, dict):
            return f"player {self.seat} to move\n{shown}"
        lines = (f"{key}: {_in_words(value)}" for key, value in shown.items())
        return "\n".join([f"player {self.seat} to move", *lines])

    def action_text(self, action: int) -> str:
        words = dict(
            zip(self._state["legal_actions"], self._state["raw_legal_actions"], strict=False)
        )
        found = words.get(action)
        return found if isinstance(found, str) else str(getattr(found, "value", action))

    def _start(self, seed: int) -> None:
        if self._env is not None and self._rules.keeps_nothing:
            self._env.seed(seed)  # half the time of a new one
        else:
            self._env = self._rules.new_env(seed)
        self._state, seat = self._env.reset()
        self.seat = int(seat)

    def _play(self, action: int) -> tuple[Sequence[float] | None, bool]:
        self._state, seat = self._env.step(action)
        self.seat = int(seat)
        if not self._env.is_over():
            return None, False
        return [float(payoff) for payoff in self._env.get_payoffs()], True


def _in_words(value: Any) -> str:
    """Cards of some games have no text of their own, but a method for it."""
    if isinstance(value, list):
        return f"[{', '.join(map(_in_words, value))}]"
    return str(value.get_str() if hasattr(value, "get_str") else value)
