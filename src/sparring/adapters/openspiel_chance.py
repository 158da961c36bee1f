"""Positions of OpenSpiel after a move and before chance (afterstates).

OpenSpiel makes a chance node of such a position, and does not say what its tensor shows there. So
random moves are tried when a game is made:

- The seat that comes next is the one that most probably decides next. Often it is always the same
  one, counted from the mover (backgammon); then chance is not looked at again.
- Where a chance node looks like a decision, one more entry or plane says that chance comes next
  (pig: to roll, and to be about to decide).
- Where two chance nodes look alike that lead to different positions, such positions are not
  offered: a value cannot be learned from them (banqi: the tensor does not say which piece is about
  to be turned).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

_MATCHES, _PLIES, _MOVES = 4, 100, 3  # that are tried
_OUTCOMES: Final = 64  # of one chance node that are looked at
_ALL_OUTCOMES: Final = 5000  # of all chance nodes; then the trial ends
_DIGITS: Final = 9

_Show = Callable[[Any, int], bytes]  # what a seat is shown of a state


class BeforeChance(NamedTuple):
    """Facts of a game's positions after a move."""

    offered: bool
    marked: bool = False  # one more entry says that chance comes next
    turn: int | None = None  # seat that comes next after chance, counted from the mover, if known

    def comes_next(self, state: Any, mover: int, num_players: int) -> int:
        """The seat that most probably decides next in a state after a move; the `mover` where the
        match ends.
        """
        seat: int = state.current_player()
        if seat >= 0:
            return seat
        if not state.is_chance_node():
            return mover
        return (mover + self.turn) % num_players if self.turn is not None else _likely(state, mover)


def before_chance(game: Any, show: _Show, *, as_next: bool) -> BeforeChance:
    """Facts of the positions after random moves.

    With `as_next` the seat that comes next will see them, else the seat that has moved.
    """
    try:
        return _Trial(game, show, as_next).facts()
    except Exception:  # OpenSpiel's own: no tensor at chance nodes
        return BeforeChance(offered=False)


class _Trial:
    """Positions after moves of random matches, by what is shown of them."""

    def __init__(self, game: Any, show: _Show, as_next: bool) -> None:
        self._show, self._as_next, self._players = show, as_next, game.num_players()
        self._decisions: set[tuple[int, bytes]] = set()
        self._chances: dict[tuple[int, bytes], Any] = {}
        self._turns: set[int] = set()
        self._ambiguous = False
        self._left = _ALL_OUTCOMES
        rng = np.random.Generator(np.random.PCG64(1))
        for _ in range(_MATCHES):
            self._play(game.new_initial_state(), rng)

    def facts(self) -> BeforeChance:
        return BeforeChance(
            offered=not self._ambiguous,
            marked=bool(self._decisions & self._chances.keys()),
            turn=self._turns.pop() if len(self._turns) == 1 else None,
        )

    def _play(self, state: Any, rng: np.random.Generator) -> None:
        for _ in range(_PLIES):
            if self._left <= 0:
                return
            while state.is_chance_node():
                outcomes, shares = zip(*state.chance_outcomes(), strict=True)
                state.apply_action(int(rng.choice(outcomes, p=np.divide(shares, sum(shares)))))
            if state.is_terminal():
                return
            mover, moves = state.current_player(), rng.permutation(state.legal_actions())
            for action in moves[:_MOVES].tolist():
                self._add(state.child(action), mover)
            state.apply_action(int(moves[0]))

    def _add(self, state: Any, mover: int) -> None:
        if state.is_terminal():
            return
        chance = state.is_chance_node()
        self._left -= len(state.chance_outcomes()) if chance else 0
        seat = _likely(state, mover) if chance else state.current_player()
        shown = seat, self._show(state, seat if self._as_next else mover)
        if not chance:
            self._decisions.add(shown)
            return
        self._turns.add((seat - mover) % self._players)
        before = self._chances.setdefault(shown, state)
        if before is not state and self._led_to(before) != self._led_to(state):
            self._ambiguous = True

    def _led_to(self, state: Any) -> list[tuple[Any, ...]]:
        """Outcomes of chance in a state, in a form that can be compared."""
        found, paid = [], state.returns()
        for outcome, probability in state.chance_outcomes()[:_OUTCOMES]:
            child = state.child(outcome)
            seats = range(0 if child.is_terminal() else self._players)
            shown = tuple(self._show(child, seat) for seat in seats)
            rewards = tuple(np.subtract(child.returns(), paid).round(_DIGITS).tolist())
            found.append((round(probability, _DIGITS), child.current_player(), rewards, shown))
        return sorted(found)


def _likely(state: Any, mover: int) -> int:
    """The seat that most probably decides after the chance of this state."""
    shares: dict[int, float] = defaultdict(float)
    for outcome, probability in state.chance_outcomes()[:_OUTCOMES]:
        child = state.child(outcome)
        while child.is_chance_node():
            child.apply_action(max(child.chance_outcomes(), key=lambda chance: chance[1])[0])
        if not child.is_terminal():
            shares[child.current_player()] += probability
    return max(shares, key=lambda seat: shares[seat], default=mover)
