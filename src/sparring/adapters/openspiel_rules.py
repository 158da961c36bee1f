"""Shared by the matches of one OpenSpiel game: how it is loaded and observed, and its spec."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparring.adapters import check_size, imported, misfit, registered_target, take_max_plies
from sparring.adapters.openspiel_chance import BeforeChance, before_chance
from sparring.adapters.seat_planes import Comparison, Views
from sparring.errors import ConfigurationError, nearest
from sparring.games.names import GameName, parse
from sparring.games.spec import GameSpec

pyspiel: Final = imported("pyspiel", "openspiel")
_observers: Final = imported("open_spiel.python.observation", "openspiel")

NO_ACTION: Final = int(pyspiel.INVALID_ACTION)
MAX_PLIES: Final = 2000  # of a match, unless the caller or OpenSpiel gives another limit
_PROBES: Final = 16  # random matches in which the tensors of the seats are compared
_MAX_PROBE_PLIES: Final = 200


class OpenSpielRules:
    """Shared by all matches of one game: OpenSpiel's `game`, its spec, its tensors."""

    def __init__(self, name: GameName) -> None:
        arguments = dict(name.arguments)
        max_plies = take_max_plies(name, arguments, MAX_PLIES)
        self.game = _load(name, arguments)
        kind = self.game.get_type()
        _check_kind(name, kind)
        self.pays_at_the_end = kind.reward_model == kind.RewardModel.TERMINAL
        self.together = kind.dynamics == kind.Dynamics.SIMULTANEOUS
        try:
            shape = _tensor_shape(self.game, kind)
            self._encoding = _encoding(self.game)
            check_size(name, self.game.num_distinct_actions(), shape, np.dtype(np.float32))
            self._observer = _observer(self.game, kind)
            self._seen: NDArray[np.float32] = self._observer.tensor.reshape(shape)
            append = not _compared(self.game, self._observer).name_the_seat()
            self.after = self._facts_of_afterstates(kind)
            self._views = Views(
                shape,
                np.dtype(np.float32),
                self.game.num_players(),
                append=append,
                marked=self.after.marked,
            )
            self.spec = self._spec(kind, max_plies)
        except ConfigurationError:
            raise
        except Exception as error:  # OpenSpiel's own, and those of its bindings and of NumPy
            raise misfit(
                name, f"OpenSpiel's error: {' '.join(str(error).split())}", "tensors and limits"
            ) from None

    def _spec(self, kind: Any, max_plies: int) -> GameSpec:
        limits = (
            (self.game.min_utility(), self.game.max_utility())
            if self.pays_at_the_end
            else (-math.inf, math.inf)
        )
        return GameSpec(
            num_players=self.game.num_players(),
            num_actions=self.game.num_distinct_actions(),
            observation_shape=self._views.shape,
            observation_dtype="float32",
            max_plies=min(max_plies, self._longest()),
            chance=kind.chance_mode != kind.ChanceMode.DETERMINISTIC,
            hidden_information=self.together
            or kind.information != kind.Information.PERFECT_INFORMATION,
            zero_sum=kind.utility == kind.Utility.ZERO_SUM,
            returns=limits if all(map(math.isfinite, limits)) else None,
        )

    def _longest(self) -> int:
        """OpenSpiel's longest match in plies: it counts moves at the same time as one."""
        moves: int = self.game.max_game_length()
        return moves * self.game.num_players() if self.together else moves

    def _facts_of_afterstates(self, kind: Any) -> BeforeChance:
        if self.together:
            return BeforeChance(offered=False)
        chance = kind.chance_mode != kind.ChanceMode.DETERMINISTIC
        if not chance or kind.information != kind.Information.PERFECT_INFORMATION:
            return BeforeChance(offered=not chance)
        as_next = self.game.num_players() == 2 and kind.utility == kind.Utility.ZERO_SUM
        return before_chance(
            self.game,
            lambda state, seat: _tensor_of(self._observer, state, seat).tobytes(),
            as_next=as_next,
        )

    def observe(self, state: Any, seat: int) -> NDArray[np.float32]:
        """[*observation_shape]: the seat's tensor, in an array that the next call for this seat
        overwrites.
        """
        self._observer.set_from(state, seat)
        self._views.own[seat][...] = self._seen
        if self.after.marked:
            self._views.full[seat][-1] = state.is_chance_node()
        return self._views.full[seat]

    def observation(self, tensor: NDArray[np.float32], seat: int) -> NDArray[np.float32]:
        """[*observation_shape] of a tensor of OpenSpiel that the seat sees at a decision."""
        self._views.own[seat][...] = tensor.reshape(self._seen.shape)
        if self.after.marked:
            self._views.full[seat][-1] = 0
        return self._views.full[seat]

    def is_of(self, game: Any) -> bool:
        """Return whether a game of OpenSpiel is this one, as far as moves and tensors go."""
        return game is self.game or _encoding(game) == self._encoding

    def knows_tensor(self, tensor: NDArray[np.float32]) -> bool:
        """Return whether a tensor can only be of the kind that is observed here: games have two,
        the observation and the information state.
        """
        kind = self.game.get_type()
        other = (
            self.game.information_state_tensor_size()
            if kind.provides_observation_tensor and kind.provides_information_state_tensor
            else -1
        )
        return tensor.size == self._seen.size != other


def sampled(chances: Sequence[tuple[int, float]], rng: np.random.Generator) -> int:
    """Sample from [(outcome, probability)]; outcomes of probability 0 are never drawn."""
    left = rng.random()
    for outcome, probability in chances:
        left -= probability
        if left < 0:
            return outcome
    return max(chances, key=lambda chance: chance[1])[0]  # the sum was rounded to just below 1


def _load(name: GameName, arguments: Mapping[str, Any]) -> Any:
    """OpenSpiel's game. Names are checked here because OpenSpiel also prints its errors."""
    target = registered_target(name)
    parameters = checked_parameters(target, arguments)
    try:
        return pyspiel.load_game(target, parameters)
    except Exception as error:  # mostly SpielError, but also exceptions of C++'s own library
        raise ConfigurationError(
            f"OpenSpiel cannot make {name}", got=" ".join(str(error).split())
        ) from None


def checked_parameters(game: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The `arguments` in OpenSpiel's types; `ConfigurationError` for an unknown game or
    parameter.
    """
    known = {kind.short_name: kind for kind in pyspiel.registered_games()}
    if game not in known:
        remedy = nearest(game, known) or "pyspiel.registered_names() lists them"
        raise ConfigurationError("OpenSpiel has no such game", got=repr(game), remedy=remedy)
    defaults: dict[str, Any] = known[game].parameter_specification
    for key in arguments:
        if key not in defaults:
            expected = f"one of {', '.join([*defaults, 'max_plies'])}"
            raise ConfigurationError(
                f"{game} has no such parameter",
                got=key,
                expected=expected,
                remedy=nearest(key, defaults),
            )
    return {
        key: _parameter(f"{key} of {game}", value, defaults[key])
        for key, value in arguments.items()
    }


def _parameter(what: str, value: Any, default: Any) -> Any:
    if isinstance(default, dict):  # a game inside a game
        inner = parse(str(value))
        return {"name": inner.target, **checked_parameters(inner.target, inner.arguments)}
    if isinstance(default, str):
        return str(value)
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if type(value) is not type(default):
        raise ConfigurationError(what, got=value, expected=f"a value like {default!r}")
    return value


def _check_kind(name: GameName, kind: Any) -> None:
    """Refuse games that are not played move by move, with explicit chance and an observation for
    each seat.
    """
    if kind.dynamics not in (kind.Dynamics.SEQUENTIAL, kind.Dynamics.SIMULTANEOUS):
        raise misfit(name, "a mean-field game", "seats that move by turns or at the same time")
    if kind.chance_mode == kind.ChanceMode.SAMPLED_STOCHASTIC:
        raise misfit(
            name,
            "chance that the game samples itself",
            "chance nodes, so that a match can be replayed",
        )
    if not (kind.provides_observation_tensor or kind.provides_information_state_tensor):
        raise misfit(name, "no observation tensor and no information-state tensor", "one of them")


def _tensor_shape(game: Any, kind: Any) -> list[int]:
    shape: list[int] = (
        game.observation_tensor_shape()
        if kind.provides_observation_tensor
        else game.information_state_tensor_shape()
    )
    return shape


def _encoding(game: Any) -> tuple[Any, ...]:
    """Name and sizes of a game."""
    kind = game.get_type()
    shape = _tensor_shape(game, kind)
    return kind.short_name, game.num_players(), game.num_distinct_actions(), tuple(shape)


def _observer(game: Any, kind: Any) -> Any:
    """Observer that writes a seat's tensor to its array `tensor`, far faster than lists."""
    if kind.provides_observation_tensor:
        return _observers.make_observation(game)
    return _observers.make_observation(game, _observers.INFO_STATE_OBS_TYPE)


def _compared(game: Any, observer: Any) -> Comparison:
    """Comparison of all seats' tensors at the decisions of random matches with a fixed seed."""
    rng, comparison = np.random.Generator(np.random.PCG64(0)), Comparison()
    for _ in range(_PROBES if game.num_players() > 1 else 0):
        state, plies = game.new_initial_state(), 0
        while not state.is_terminal() and plies < _MAX_PROBE_PLIES:
            if state.is_chance_node():
                state.apply_action(sampled(state.chance_outcomes(), rng))
                continue
            comparison.add(
                np.stack([_tensor_of(observer, state, seat) for seat in range(game.num_players())])
            )
            _play_anything(state, rng)
            plies += 1
        if not comparison.name_the_seat():  # more positions cannot change that
            break
    return comparison


def _play_anything(state: Any, rng: np.random.Generator) -> None:
    """Play a random move, or one of each seat where they move at the same time."""
    if not state.is_simultaneous_node():
        state.apply_action(int(rng.choice(state.legal_actions())))
        return
    legal = [state.legal_actions(seat) for seat in range(state.num_players())]
    state.apply_actions([int(rng.choice(some)) if some else NO_ACTION for some in legal])


def _tensor_of(observer: Any, state: Any, seat: int) -> NDArray[np.float32]:
    observer.set_from(state, seat)
    copied: NDArray[np.float32] = observer.tensor.copy()
    return copied
