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

- Where seats move at the same time, they decide one after the other, in the order of their numbers,
  on the same state: nobody sees another's choice, and all choices are played together with the
  last one. Each is a ply. Such games count as ones with hidden information.

Refused: mean-field games, games that sample chance themselves, games without a tensor.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from sparring.adapters import take_max_plies
from sparring.adapters.openspiel_rules import (
    MAX_PLIES,
    NO_ACTION,
    OpenSpielRules,
    checked_parameters,
    pyspiel,
    sampled,
)
from sparring.adapters.trial import try_out
from sparring.games.names import GameName
from sparring.games.spec import BatchedGame, Match

_TERMINAL: Final = int(pyspiel.PlayerId.TERMINAL)
_CHANCE: Final = int(pyspiel.PlayerId.CHANCE)


def make(name: GameName, num_slots: int) -> BatchedGame:
    """The game of that name; `ConfigurationError` if OpenSpiel has none or it is not supported."""
    arguments = dict(name.arguments)
    take_max_plies(name, arguments, MAX_PLIES)
    if arguments and ":" not in name.target:
        checked_parameters(name.target, arguments)
        try_out(name, "open_spiel")
    from sparring.games.python.game import LoopedGame  # imports Numba, which a trial does not need

    return LoopedGame(str(name), match_maker(name), num_slots)


def match_maker(name: GameName) -> Callable[[], Match]:
    """Function that makes a match of that game."""
    rules = OpenSpielRules(name)
    kind = (
        TogetherMatch if rules.together else ApartMatch if rules.after.offered else OpenSpielMatch
    )
    return lambda: kind(rules)


class OpenSpielMatch:
    """A `Match` over one state of OpenSpiel."""

    def __init__(self, rules: OpenSpielRules) -> None:
        self.rules = rules
        self._no_action = bytes(rules.spec.num_actions)
        # memory of the mask: writing single bytes is faster than writing array entries
        self._legal = bytearray(self._no_action)
        self._mask = np.frombuffer(self._legal, np.bool_)
        self.spec = rules.spec
        self.seat = 0

    def reset(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._state = self.rules.game.new_initial_state()
        self._sample_chance()
        self._returns: list[float] = self._state.returns()

    def mask(self) -> NDArray[np.bool_]:
        """[A], in an array that the next call overwrites."""
        return self._marked(self._state.legal_actions())

    def observe(self, seat: int) -> NDArray[np.float32]:
        """[*observation_shape], in an array that the next call for this seat overwrites."""
        return self.rules.observe(self._state, seat)

    def show(self, state: Any, seat: int) -> None:
        """Show a state that is played elsewhere, and in which `seat` decides."""
        self._state, self.seat = state, seat
        self._returns = state.returns()

    def step(self, action: int) -> tuple[Sequence[float] | None, bool]:
        self._state.apply_action(action)
        return self._outcome()

    def _outcome(self) -> tuple[Sequence[float] | None, bool]:
        """(rewards, ended) of the moves that were just played, after the chance that follows."""
        ended = self._sample_chance()
        if not ended and self.rules.pays_at_the_end:
            return None, False
        before, self._returns = self._returns, self._state.returns()
        return _growth(before, self._returns), ended

    def copy(self) -> Self:
        other = type(self)(self.rules)
        other.seat, other._returns, other._state = self.seat, self._returns, self._state.clone()
        other._rng = copy.deepcopy(self._rng) if self.spec.chance else self._rng
        return other

    def __str__(self) -> str:
        return _decoded(lambda: str(self._state))

    def action_text(self, action: int) -> str:
        return _decoded(lambda: self._state.action_to_string(self.seat, action))

    def _marked(self, actions: Sequence[int]) -> NDArray[np.bool_]:
        legal = self._legal
        legal[:] = self._no_action
        for action in actions:
            legal[action] = 1
        return self._mask

    def _sample_chance(self) -> bool:
        """Sample chance until a seat decides or the match ends; return whether it has ended."""
        state = self._state
        while (player := state.current_player()) == _CHANCE:
            state.apply_action(sampled(state.chance_outcomes(), self._rng))
        if player == _TERMINAL:
            return True
        self.seat = player  # negative where all move at the same time: see `TogetherMatch`
        return False


class TogetherMatch(OpenSpielMatch):
    """A match with moves at the same time; `_choices` are those of the seats before this one."""

    def reset(self, rng: np.random.Generator) -> None:
        self._choices: list[int] = []
        super().reset(rng)

    def mask(self) -> NDArray[np.bool_]:
        return self._marked(self._state.legal_actions(self.seat))

    def step(self, action: int) -> tuple[Sequence[float] | None, bool]:
        if not self._state.is_simultaneous_node():
            return super().step(action)
        self._choices.append(action)
        if self._next_chooser():
            return None, False
        choices, self._choices = self._choices, []
        self._state.apply_actions(choices)
        return self._outcome()

    def copy(self) -> Self:
        other = super().copy()
        other._choices = self._choices.copy()
        return other

    def _sample_chance(self) -> bool:
        ended = super()._sample_chance()
        if not ended and self._state.is_simultaneous_node():
            self._next_chooser()
        return ended

    def _next_chooser(self) -> bool:
        """Pass the turn to the next seat that has a choice; return whether there is one."""
        for seat in range(len(self._choices), self.spec.num_players):
            if self._state.legal_actions(seat):
                self.seat = seat
                return True
            self._choices.append(NO_ACTION)
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
        other = self._other = self._other or OpenSpielMatch(self.rules)
        other._state = state = self._state.child(action)
        players = self.spec.num_players
        other.seat = self.rules.after.comes_next(state, self.seat, players)
        ended: bool = state.is_terminal()
        if not ended and self.rules.pays_at_the_end:
            return other, None, False
        return other, _growth(self._returns, state.returns()), ended


def _growth(before: Sequence[float], after: Sequence[float]) -> list[float]:
    return [now - then for now, then in zip(after, before, strict=True)]


def _decoded(text: Callable[[], str]) -> str:
    """A text of OpenSpiel, some of which are not UTF-8."""
    try:
        return text()
    except UnicodeDecodeError as error:
        return error.object.decode(errors="replace")
