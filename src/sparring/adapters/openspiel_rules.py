"""What the matches of one OpenSpiel game share: the game itself, its tensors, and the spec that follows from both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparring.adapters.common import imported, misfit, take_max_plies
from sparring.adapters.views import Comparison, Views
from sparring.errors import ConfigurationError, nearest
from sparring.games.names import GameName, parse
from sparring.games.spec import GameSpec

pyspiel: Final = imported("pyspiel", "openspiel")
_observers: Final = imported("open_spiel.python.observation", "openspiel")

_LONGEST: Final = 2000  # plies of a match, where neither the caller nor OpenSpiel wants it shorter
_PROBES: Final = 16  # random matches in which the tensors of the seats are compared
_LONGEST_PROBE: Final = 200  # plies of one of them


class Rules:
    """One game of OpenSpiel: `game`, what it declares in our words, and its tensors."""

    def __init__(self, name: GameName) -> None:
        arguments = dict(name.arguments)
        max_plies = take_max_plies(name, arguments, _LONGEST)
        self.game = _load(name, arguments)
        kind = self.game.get_type()
        _check_kind(name, kind)
        self.pays_at_the_end = kind.reward_model == kind.RewardModel.TERMINAL
        try:
            self._observer, shape = _tensor(self.game, kind)
            self._seen: NDArray[np.float32] = self._observer.tensor.reshape(shape)
            append = not _compared(self.game, self._observer).name_the_seat()
            self._views = Views(shape, np.dtype(np.float32), self.game.num_players(), append=append)
            self.spec = self._spec(kind, max_plies)
        except Exception as error:  # its own kind, and what its bindings and NumPy make of odd parameters
            raise misfit(name, f"OpenSpiel's error: {' '.join(str(error).split())}", "tensors and limits") from None

    def _spec(self, kind: Any, max_plies: int) -> GameSpec:
        limits = (self.game.min_utility(), self.game.max_utility()) if self.pays_at_the_end else (-math.inf, math.inf)
        return GameSpec(
            num_players=self.game.num_players(),
            num_actions=self.game.num_distinct_actions(),
            observation_shape=self._views.shape,
            observation_dtype="float32",
            max_plies=min(max_plies, self.game.max_game_length()),
            chance=kind.chance_mode != kind.ChanceMode.DETERMINISTIC,
            hidden_information=kind.information != kind.Information.PERFECT_INFORMATION,
            zero_sum=kind.utility == kind.Utility.ZERO_SUM,
            returns=limits if all(map(math.isfinite, limits)) else None,
        )

    def observe(self, state: Any, seat: int) -> NDArray[np.float32]:
        """[*observation_shape]: the seat's tensor, in an array that the next call for this seat overwrites."""
        self._observer.set_from(state, seat)
        self._views.own[seat][...] = self._seen
        return self._views.full[seat]


def sampled(chances: Sequence[tuple[int, float]], rng: np.random.Generator) -> int:
    """One of the outcomes [(outcome, probability)]; one with probability 0 never."""
    left = rng.random()
    for outcome, probability in chances:
        left -= probability
        if left < 0:
            return outcome
    return max(chances, key=lambda chance: chance[1])[0]  # rounding had the sum stay just below 1


def _load(name: GameName, arguments: Mapping[str, Any]) -> Any:
    """OpenSpiel's game. Names are checked here, since OpenSpiel also prints its errors."""
    parameters = _parameters(name.target, arguments)
    try:
        return pyspiel.load_game(name.target, parameters)
    except Exception as error:  # mostly SpielError, but also what C++ throws where OpenSpiel does not look
        raise ConfigurationError(f"OpenSpiel cannot make {name}", got=" ".join(str(error).split())) from None


def _parameters(game: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The `arguments` in the types in which OpenSpiel wants them; `ConfigurationError` where it has no such game or parameter."""
    known = {kind.short_name: kind for kind in pyspiel.registered_games()}
    if game not in known:
        remedy = nearest(game, known) or "pyspiel.registered_names() lists them"
        raise ConfigurationError("OpenSpiel has no such game", got=repr(game), remedy=remedy)
    defaults: dict[str, Any] = known[game].parameter_specification
    for key in arguments:
        if key not in defaults:
            expected = f"one of {', '.join([*defaults, 'max_plies'])}"
            raise ConfigurationError(f"{game} has no such parameter", got=key, expected=expected, remedy=nearest(key, defaults))
    return {key: _parameter(f"{key} of {game}", value, defaults[key]) for key, value in arguments.items()}


def _parameter(what: str, value: Any, default: Any) -> Any:
    if isinstance(default, dict):  # a game inside a game
        inner = parse(str(value))
        return {"name": inner.target, **_parameters(inner.target, inner.arguments)}
    if isinstance(default, str):
        return str(value)
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if type(value) is not type(default):
        raise ConfigurationError(what, got=value, expected=f"a value like {default!r}")
    return value


def _check_kind(name: GameName, kind: Any) -> None:
    """Refuse what cannot be played move by move with chance of ours and an observation for each seat."""
    if kind.dynamics == kind.Dynamics.SIMULTANEOUS:
        remedy = f"try openspiel:turn_based_simultaneous_game(game={name.target})"
        raise misfit(name, "simultaneous moves", "one seat to move at a time", remedy)
    if kind.dynamics != kind.Dynamics.SEQUENTIAL:
        raise misfit(name, "a mean-field game", "seats that move one at a time")
    if kind.chance_mode == kind.ChanceMode.SAMPLED_STOCHASTIC:
        raise misfit(name, "chance that the game draws by itself", "chance nodes, so that a match can be played again")
    if not (kind.provides_observation_tensor or kind.provides_information_state_tensor):
        raise misfit(name, "no observation tensor and no information-state tensor", "one of them")


def _tensor(game: Any, kind: Any) -> tuple[Any, list[int]]:
    """The observer that writes a seat's tensor to its array `tensor` (far faster than lists), and the tensor's shape."""
    if kind.provides_observation_tensor:
        return _observers.make_observation(game), game.observation_tensor_shape()
    return _observers.make_observation(game, _observers.INFO_STATE_OBS_TYPE), game.information_state_tensor_shape()


def _compared(game: Any, observer: Any) -> Comparison:
    """The tensors of all seats at the decisions of random matches, the same ones each time."""
    rng, comparison = np.random.Generator(np.random.PCG64(0)), Comparison()
    for _ in range(_PROBES if game.num_players() > 1 else 0):
        state, plies = game.new_initial_state(), 0
        while not state.is_terminal() and plies < _LONGEST_PROBE:
            if state.is_chance_node():
                state.apply_action(sampled(state.chance_outcomes(), rng))
                continue
            comparison.add(np.stack([_tensor_of(observer, state, seat) for seat in range(game.num_players())]))
            state.apply_action(int(rng.choice(state.legal_actions())))
            plies += 1
        if not comparison.name_the_seat():  # nor will it, whatever else is seen
            break
    return comparison


def _tensor_of(observer: Any, state: Any, seat: int) -> NDArray[np.float32]:
    observer.set_from(state, seat)
    copied: NDArray[np.float32] = observer.tensor.copy()
    return copied
