"""Whole turns: the positions that a seat can reach by several plies in a row without chance in
between, as with both dice of a throw in backgammon.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparring.games.compiled.game import CompiledGame

LONGEST: Final = 4  # plies; positions after so many count as the end of a turn


class Turns(NamedTuple):
    """The k ends of turns from m positions, before chance and before the other seat moves; P seats.

    Of several orders of moves that lead to one position only the first one is there.
    """

    root: NDArray[np.int64]  # [k] row below m
    plies: NDArray[np.int64]  # [k, LONGEST] actions; -1 after the last one
    ended: NDArray[np.bool_]  # [k] the match ends there
    observation: NDArray[Any]  # [k, ...] as `seat` sees it; zeros where the match has ended
    seat: NDArray[np.int64]  # [k] that comes next, and whose value it is
    paid: NDArray[np.float32]  # [k, P] by all plies of the turn

    def only(self, rows: NDArray[np.bool_]) -> Turns:
        """The ends `rows` [k]."""
        return Turns._make(column[rows] for column in self)


def whole_turns(
    game: CompiledGame, slots: NDArray[np.int64], legal: NDArray[np.bool_] | None = None
) -> Turns:
    """The ends of all turns from the positions in `slots` [m]; with `legal` [m, A] only those that
    begin with these moves. For games whose positions after moves are shown to the "next" seat.
    """
    now, root = game.copied(slots), np.arange(len(slots))
    allowed = now.mask if legal is None else legal & now.mask
    plies = np.full((len(slots), LONGEST), -1)
    earned = np.zeros((len(slots), game.spec.num_players), np.float32)
    found: list[Turns] = []
    for ply in range(LONGEST):
        after = now.afterstates(np.arange(now.num_slots))
        parent, action = np.nonzero(allowed)
        row, seat = after.row[parent, action], after.seat[parent, action]
        made = plies[parent]
        made[:, ply] = action
        shown = np.zeros((len(row), *game.spec.observation_shape), after.observation.dtype)
        shown[row >= 0] = after.observation[row[row >= 0]]
        paid = earned[parent] + after.rewards[parent, action]
        turns = Turns(root[parent], made, row < 0, shown, seat, paid)
        perhaps = (row >= 0) & (seat == now.seat[parent]) & (ply + 1 < LONGEST)
        if perhaps.any():
            now, going = _played_on(now, parent, action, perhaps)
        else:
            going = perhaps
        found.append(turns.only(~going))
        if not going.any():
            break
        first = _first_of_equals(now, turns.root[going], paid[going])
        now, on = now.copied(first), np.flatnonzero(going)[first]
        root, plies, earned, allowed = turns.root[on], made[on], paid[on], now.mask
    return Turns._make(map(np.concatenate, zip(*found, strict=True)))


def _played_on(
    game: CompiledGame,
    parent: NDArray[np.int64],
    action: NDArray[np.int64],
    perhaps: NDArray[np.bool_],
) -> tuple[CompiledGame, NDArray[np.bool_]]:
    """The game after those of the moves [k] after which the turn goes on, and which these are, out
    of `perhaps` [k]: nothing is drawn, and the match is not cut.
    """
    after = game.copied(parent[perhaps])
    before = after.draws.copy()
    after.step(action[perhaps])
    goes_on = (after.draws == before) & ~after.truncated
    going = perhaps.copy()
    going[perhaps] = goes_on
    return after.copied(np.flatnonzero(goes_on)), going


def _first_of_equals(
    game: CompiledGame, root: NDArray[np.int64], paid: NDArray[np.float32]
) -> NDArray[np.int64]:
    """One slot of each of the positions that differ within a root, or in what was paid."""
    group = root
    if paid.any():
        _, group = np.unique(np.column_stack([root, paid]), axis=0, return_inverse=True)
    first, _ = game.alike(group.reshape(-1))
    return first
