"""Games of OpenSpiel: `openspiel:tic_tac_toe`, `openspiel:go(board_size=5)`, with OpenSpiel's own
parameters, and our `max_plies`. A game that your own module registers is
`openspiel:my_module:my_game`.

Rules of the adapter:

- Chance nodes are sampled here, from the match's own stream, at the start and after each move,
  until a seat decides or the match ends.
- A seat's reward is the growth of its `returns()` since the last decision. `rewards()` would count
  twice in some games (hanabi): it keeps its value through the chance nodes after a move.
- Observations are the observation tensor in float32, or the information-state tensor in games
  without one. OpenSpiel does not say whether a tensor shows the board from its observer's point of
  view (othello) or alike to all (hex, chess, connect_four), and a tensor of one's own hand or
  stones need not contain the seat (dark_hex). So random matches are played when a game is made, and
  the observer's seat is appended unless some entry always told the seats apart (`seat_planes.py`).
  That is always correct, and at worst one entry or plane too many. Planes are not swapped: a tensor
  does not say which planes are whose. Some games have a parameter for it:
  `openspiel:connect_four(egocentric_obs_tensor=True)`, `openspiel:checkers(egocentric=True)`.
- Positions after moves are those before the chance node that follows (`openspiel_chance.py`).
- `max_plies` is OpenSpiel's own longest match, in decisions, but at most 2000. Its bounds are those
  of the rules (chess 17,695, cursor_go 72,922); random matches of its games with a tensor stayed
  under 1,100 plies.
- The range of returns is that of `min_utility` and `max_utility` in games that pay at the end. If
  rewards come earlier, the return from the middle of a match can lie outside that range, and none
  is declared.

Refused: simultaneous moves, mean-field games, games that sample chance themselves, games without a
tensor.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from sparring.adapters import check_size, imported, misfit, registered_target, take_max_plies
from sparring.adapters.openspiel_chance import BeforeChance, before_chance
from sparring.adapters.seat_planes import Comparison, Views
from sparring.adapters.trial import try_out
from sparring.errors import ConfigurationError, nearest
from sparring.games.names import GameName, parse
from sparring.games.spec import BatchedGame, GameSpec, Match

pyspiel: Final = imported("pyspiel", "openspiel")
_observers: Final = imported("open_spiel.python.observation", "openspiel")

_TERMINAL: Final = int(pyspiel.PlayerId.TERMINAL)
_MAX_PLIES: Final = 2000  # of a match, unless the caller or OpenSpiel gives another limit
_PROBES: Final = 16  # random matches in which the tensors of the seats are compared
_MAX_PROBE_PLIES: Final = 200


class OpenSpielRules:
    """Shared by all matches of one game: OpenSpiel's `game`, its spec, its tensors."""

    def __init__(self, name: GameName) -> None:
        arguments = dict(name.arguments)
        max_plies = take_max_plies(name, arguments, _MAX_PLIES)
        self.game = _load(name, arguments)
        kind = self.game.get_type()
        _check_kind(name, kind)
        self.pays_at_the_end = kind.reward_model == kind.RewardModel.TERMINAL
        try:
            shape = _tensor_shape(self.game, kind)
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
            max_plies=min(max_plies, self.game.max_game_length()),
            chance=kind.chance_mode != kind.ChanceMode.DETERMINISTIC,
            hidden_information=kind.information != kind.Information.PERFECT_INFORMATION,
            zero_sum=kind.utility == kind.Utility.ZERO_SUM,
            returns=limits if all(map(math.isfinite, limits)) else None,
        )

    def _facts_of_afterstates(self, kind: Any) -> BeforeChance:
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
    parameters = _parameters(target, arguments)
    try:
        return pyspiel.load_game(target, parameters)
    except Exception as error:  # mostly SpielError, but also exceptions of C++'s own library
        raise ConfigurationError(
            f"OpenSpiel cannot make {name}", got=" ".join(str(error).split())
        ) from None


def _parameters(game: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
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
        return {"name": inner.target, **_parameters(inner.target, inner.arguments)}
    if isinstance(default, str):
        return str(value)
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if type(value) is not type(default):
        raise ConfigurationError(what, got=value, expected=f"a value like {default!r}")
    return value


def _decoded(text: Callable[[], str]) -> str:
    """A text of OpenSpiel, some of which are not UTF-8."""
    try:
        return text()
    except UnicodeDecodeError as error:
        return error.object.decode(errors="replace")


def _check_kind(name: GameName, kind: Any) -> None:
    """Refuse games that are not played move by move, with explicit chance and an observation for
    each seat.
    """
    if kind.dynamics == kind.Dynamics.SIMULTANEOUS:
        remedy = f"try openspiel:turn_based_simultaneous_game(game={name.target})"
        raise misfit(name, "simultaneous moves", "one seat to move at a time", remedy)
    if kind.dynamics != kind.Dynamics.SEQUENTIAL:
        raise misfit(name, "a mean-field game", "seats that move one at a time")
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
            state.apply_action(int(rng.choice(state.legal_actions())))
            plies += 1
        if not comparison.name_the_seat():  # more positions cannot change that
            break
    return comparison


def _tensor_of(observer: Any, state: Any, seat: int) -> NDArray[np.float32]:
    observer.set_from(state, seat)
    copied: NDArray[np.float32] = observer.tensor.copy()
    return copied


def make(name: GameName, num_slots: int) -> BatchedGame:
    """The game of that name; `ConfigurationError` if OpenSpiel has none or it is not supported."""
    arguments = dict(name.arguments)
    take_max_plies(name, arguments, _MAX_PLIES)
    if arguments and ":" not in name.target:
        _parameters(name.target, arguments)
        try_out(name, "open_spiel")
    from sparring.games.python.game import LoopedGame  # imports Numba, which a trial does not need

    return LoopedGame(str(name), match_maker(name), num_slots)


def match_maker(name: GameName) -> Callable[[], Match]:
    """Function that makes a match of that game."""
    rules = OpenSpielRules(name)
    kind = ApartMatch if rules.after.offered else OpenSpielMatch
    return lambda: kind(rules)


class OpenSpielMatch:
    """A `Match` over one state of OpenSpiel."""

    def __init__(self, rules: OpenSpielRules) -> None:
        self._rules = rules
        self._no_action = bytes(rules.spec.num_actions)
        # memory of the mask: writing single bytes is faster than writing array entries
        self._legal = bytearray(self._no_action)
        self._mask = np.frombuffer(self._legal, np.bool_)
        self.spec = rules.spec
        self.seat = 0

    def reset(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._state = self._rules.game.new_initial_state()
        self._sample_chance()
        self._returns: list[float] = self._state.returns()

    def mask(self) -> NDArray[np.bool_]:
        """[A], in an array that the next call overwrites."""
        legal = self._legal
        legal[:] = self._no_action
        for action in self._state.legal_actions():
            legal[action] = 1
        return self._mask

    def observe(self, seat: int) -> NDArray[np.float32]:
        """[*observation_shape], in an array that the next call for this seat overwrites."""
        return self._rules.observe(self._state, seat)

    def step(self, action: int) -> tuple[Sequence[float] | None, bool]:
        self._state.apply_action(action)
        ended = self._sample_chance()
        if not ended and self._rules.pays_at_the_end:
            return None, False
        before, self._returns = self._returns, self._state.returns()
        return _growth(before, self._returns), ended

    def copy(self) -> Self:
        other = type(self)(self._rules)
        other.seat, other._returns, other._state = self.seat, self._returns, self._state.clone()
        other._rng = copy.deepcopy(self._rng) if self.spec.chance else self._rng
        return other

    def __str__(self) -> str:
        return _decoded(lambda: str(self._state))

    def action_text(self, action: int) -> str:
        return _decoded(lambda: self._state.action_to_string(self.seat, action))

    def _sample_chance(self) -> bool:
        """Sample chance until a seat decides or the match ends; return whether it has ended."""
        state = self._state
        while (player := state.current_player()) < 0:
            if player == _TERMINAL:
                return True
            state.apply_action(sampled(state.chance_outcomes(), self._rng))
        self.seat = player
        return False


class ApartMatch(OpenSpielMatch):
    """A match whose moves can be played without the chance that follows them."""

    def __init__(self, rules: OpenSpielRules) -> None:
        super().__init__(rules)
        self._other: OpenSpielMatch | None = None

    def copied_before_chance(
        self, action: int
    ) -> tuple[OpenSpielMatch, Sequence[float] | None, bool]:
        """See `MatchApart`; the copy is overwritten by the next call."""
        other = self._other = self._other or OpenSpielMatch(self._rules)
        other._state = state = self._state.child(action)
        players = self.spec.num_players
        other.seat = self._rules.after.comes_next(state, self.seat, players)
        ended: bool = state.is_terminal()
        if not ended and self._rules.pays_at_the_end:
            return other, None, False
        return other, _growth(self._returns, state.returns()), ended


def _growth(before: Sequence[float], after: Sequence[float]) -> list[float]:
    return [now - then for now, then in zip(after, before, strict=True)]
