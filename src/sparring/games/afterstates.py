"""Positions after a move, before chance and before the next seat moves (afterstates).

A network that values them gives `Q(s, a) = what the move pays + value of the position after it`
(Sutton and Barto, 2018, section 6.8; TD-Gammon: Tesauro, 1995). It has one output, and does not
have to learn what a move does.

`GameSpec.afterstates` says from whose point of view such a position is observed:

- "next": as the seat sees it whose move or draw comes next; for two seats whose values are opposite
- "mover": as the seat sees it that has moved; if there are several seats, the one that comes next
  follows as one-hot entries or planes, counted from the mover
- "own": as the method `after` of a class shows it to the seat that moves
- "": the game does not offer them
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from sparring.games.spec import BatchedGame, GameSpec, Symmetry
from sparring.njit import njit


class Afterstates(NamedTuple):
    """The positions after each legal move in m slots; A actions, P seats, k positions."""

    observation: NDArray[Any]  # [k, ...] as `afterstate_spec` declares
    row: NDArray[np.int64]  # [m, A] row of `observation`; -1: illegal, or the match ends there
    seat: NDArray[np.int64]  # [m, A] the seat whose point of view and whose value it is
    rewards: NDArray[np.float32]  # [m, A, P] paid by the move, before chance


class AfterstateGame(BatchedGame, Protocol):
    """A game whose spec offers afterstates."""

    def afterstates(self, slots: NDArray[np.int64]) -> Afterstates:
        """Positions after each legal move in `slots` [m], found on copies of the matches, without
        their chance; none after the end of a match.
        """


def afterstates_of(game: BatchedGame, slots: NDArray[np.int64]) -> Afterstates:
    """The positions after each legal move in `slots` [m] of a game that offers them."""
    assert game.spec.afterstates
    return cast(AfterstateGame, game).afterstates(slots)


def afterstate_spec(spec: GameSpec) -> GameSpec:
    """The game as a network sees it that values positions after moves: one output, and the
    observation of such a position.
    """
    first, *others = spec.observation_shape
    further = num_appended(spec)
    entries = spec.observation_size // first * further
    symmetries = tuple(
        Symmetry(
            observation=(
                *symmetry.observation,
                *range(spec.observation_size, spec.observation_size + entries),
            ),
            action=(0,),
        )
        for symmetry in spec.symmetries
    )
    return dataclasses.replace(
        spec,
        num_actions=1,
        observation_shape=(first + further, *others),
        symmetries=symmetries,
    )


def empty_afterstates(spec: GameSpec, mask: NDArray[np.bool_]) -> Afterstates:
    """Afterstates to be filled, with space for all legal moves of `mask` [m, A]."""
    first, *others = spec.observation_shape
    shape = (int(np.count_nonzero(mask)), first + num_appended(spec), *others)
    return Afterstates(
        np.zeros(shape, spec.observation_dtype),
        np.full(mask.shape, -1, np.int64),
        np.full(mask.shape, -1, np.int64),
        np.zeros((*mask.shape, spec.num_players), np.float32),
    )


def num_appended(spec: GameSpec) -> int:
    """Number of entries or planes that say which seat comes next."""
    return spec.num_players if spec.afterstates == "mover" and spec.num_players > 1 else 0


@njit(cache=True, nogil=True)
def fill_action_values(
    values: Any, row: Any, seats: Any, rewards: Any, mover: Any, out: Any
) -> None:
    """Fill `out` [m, A] with the values of moves for the `mover` [m]: what the move pays it, plus
    the value `values` [k] of the position after it, negated if that is another seat's; -inf where
    `seats` [m, A] is -1 (illegal).
    """
    for j in range(out.shape[0]):
        for action in range(out.shape[1]):
            seat = seats[j, action]
            if seat < 0:
                out[j, action] = -np.inf
                continue
            value = rewards[j, action, mover[j]]
            if row[j, action] >= 0:
                after = values[row[j, action]]
                value += after if seat == mover[j] else -after
            out[j, action] = value
