"""Games of OpenSpiel: `openspiel:tic_tac_toe`, `openspiel:go(board_size=5)`, with OpenSpiel's own parameters, and our `max_plies`.

How they are read:

- Chance nodes are sampled here, from the match's own stream, at the start and after each move, until a seat decides or the match ends.
- A seat is paid what its `returns()` grew by since the last decision. `rewards()` will not do: in some games (hanabi) it keeps its value
  through the chance nodes that follow a move, which would then be paid twice.
- Observations are the observation tensor, or the information-state tensor where there is no other, in float32. OpenSpiel does not say
  whether a tensor shows the board as its observer sees it (othello) or alike to all (hex, chess, connect_four), and a tensor of one's
  own hand or stones need not say who one is (dark_hex). So random matches are played when a game is made, and unless the tensor has an
  entry that told the seats apart all the time, the observer's seat is appended (`views.py`). That is always right, and at worst one
  entry or plane too many. Planes are not swapped: which are mine and which are yours cannot be read off a tensor. Some games can be
  asked for it: `openspiel:connect_four(egocentric_obs_tensor=True)`, `openspiel:checkers(egocentric=True)`.
- `max_plies` is OpenSpiel's own longest match, in decisions, but at most 2000. Its bounds are those of the rules (chess 17,695, cursor_go
  72,922), which nobody wants to wait for; random matches of its games with a tensor stayed under 1,100 plies.
- The range of returns is that of `min_utility` and `max_utility` in games that pay at the end. Where rewards come earlier, what is left
  to be won in the middle of a match can lie outside that range, and none is declared.

Refused: simultaneous moves, mean-field games, games with hidden sources of chance, games without a tensor.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sparring.adapters.openspiel_rules import Rules, pyspiel, sampled
from sparring.games.looped import LoopedGame
from sparring.games.names import GameName
from sparring.games.spec import BatchedGame

_TERMINAL: Final = int(pyspiel.PlayerId.TERMINAL)


def make(name: GameName, num_slots: int) -> BatchedGame:
    """The game of that name; `ConfigurationError` where OpenSpiel has none, or where it does not fit."""
    rules = Rules(name)
    return LoopedGame(str(name), lambda: OpenSpielMatch(rules), num_slots)


class OpenSpielMatch:
    """A `Match` over one state of OpenSpiel."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._nothing = bytes(rules.spec.num_actions)
        self._legal = bytearray(self._nothing)  # the memory of the mask: single bytes are written faster than single entries
        self._mask = np.frombuffer(self._legal, np.bool_)
        self.spec = rules.spec
        self.seat = 0

    def reset(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._state = self._rules.game.new_initial_state()
        self._go_on()
        self._returns: list[float] = self._state.returns()

    def mask(self) -> NDArray[np.bool_]:
        """[A], in an array that the next call overwrites."""
        legal = self._legal
        legal[:] = self._nothing
        for action in self._state.legal_actions():
            legal[action] = 1
        return self._mask

    def observe(self, seat: int) -> NDArray[np.float32]:
        """[*observation_shape], in an array that the next call for this seat overwrites."""
        return self._rules.observe(self._state, seat)

    def step(self, action: int) -> tuple[Sequence[float] | None, bool]:
        self._state.apply_action(action)
        ended = self._go_on()
        if not ended and self._rules.pays_at_the_end:
            return None, False
        before, self._returns = self._returns, self._state.returns()
        return [now - then for now, then in zip(self._returns, before, strict=True)], ended

    def copy(self) -> OpenSpielMatch:
        other = OpenSpielMatch(self._rules)
        other.seat, other._returns, other._state = self.seat, self._returns, self._state.clone()
        other._rng = copy.deepcopy(self._rng) if self.spec.chance else self._rng
        return other

    def __str__(self) -> str:
        return str(self._state)

    def action_text(self, action: int) -> str:
        return str(self._state.action_to_string(self.seat, action))

    def _go_on(self) -> bool:
        """Sample chance until a seat decides or the match ends; whether it has ended."""
        state = self._state
        while (player := state.current_player()) < 0:
            if player == _TERMINAL:
                return True
            state.apply_action(sampled(state.chance_outcomes(), self._rng))
        self.seat = player
        return False
