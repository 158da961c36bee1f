"""The arrays of a batch of matches, and checks of what callers pass to a game."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparring.errors import GameError, IllegalAction, InputError
from sparring.games.spec import BatchedGame, GameSpec


class Slots(NamedTuple):
    """One row for each of n slots, each with one match; see `BatchedGame` for the views."""

    states: NDArray[Any]  # [n] of the rules' STATE
    keys: NDArray[np.uint64]  # [n] of the matches, as `reset` was given them
    history: NDArray[np.int32]  # [n, w] actions, see `widened`; `step` writes one more per row
    rng: NDArray[np.uint64]  # [n, 2] key and counter of the stream of the match's chance
    seat: NDArray[np.int64]
    observation: NDArray[Any]
    wide: NDArray[np.int64]  # [1, *observation_shape] before the check of its range
    mask: NDArray[np.bool_]
    rewards: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    plies: NDArray[np.int64]
    cursor: NDArray[np.int64]  # [4] slot, running rules function, up to two tried actions, else -1


# Stored with the history; the rest follows from these.
STORED = ("states", "keys", "rng", "rewards", "terminated", "truncated", "plies")


def allocate_slots(spec: GameSpec, state: np.dtype[Any], num_slots: int) -> Slots:
    """Allocate empty slots: all are terminated, so they accept no action before a reset."""
    n = num_slots
    return Slots(
        states=np.zeros(n, state),
        keys=np.zeros(n, np.uint64),
        history=allocate_actions(n, spec.max_plies),
        rng=np.zeros((n, 2), np.uint64),
        seat=np.zeros(n, np.int64),
        observation=np.zeros((n, *spec.observation_shape), spec.observation_dtype),
        wide=np.zeros((1, *spec.observation_shape), np.int64),
        mask=np.zeros((n, spec.num_actions), np.bool_),
        rewards=np.zeros((n, spec.num_players), np.float32),
        terminated=np.ones(n, np.bool_),
        truncated=np.zeros(n, np.bool_),
        plies=np.zeros(n, np.int64),
        cursor=np.full(4, -1, np.int64),
    )


def copy_slots(slots: Slots, chosen: NDArray[np.int64]) -> Slots:
    """Copies of the rows `chosen` [m], with working memory of their own."""
    working: dict[str, Any] = {"wide": slots.wide.copy(), "cursor": slots.cursor.copy()}
    rows = {name: rows[chosen] for name, rows in slots._asdict().items() if name not in working}
    return Slots(**rows, **working)


# History: the actions of the current matches, int32 [n, w], one row per slot; entries beyond a
# match's plies are from earlier matches. The width w follows the longest match so far and not
# `max_plies`, because most matches end long before it.


_INITIAL_WIDTH = 64


def allocate_actions(num_slots: int, max_plies: int) -> NDArray[np.int32]:
    """Allocate an empty history."""
    return np.zeros((num_slots, min(_INITIAL_WIDTH, max_plies)), np.int32)


def widened(history: NDArray[np.int32], longest: int, max_plies: int) -> NDArray[np.int32]:
    """Return `history` if an action fits after `longest` plies, or all `max_plies` fit; otherwise a
    copy at least twice as wide.
    """
    n, width = history.shape
    if longest < width or width >= max_plies:
        return history
    wider = np.zeros((n, min(max(2 * width, longest + 1), max_plies)), np.int32)
    wider[:, :width] = history
    return wider


def played(history: NDArray[np.int32], plies: NDArray[np.int64]) -> NDArray[np.int32]:
    """Copy the actions of the current matches of length `plies` [n]: [n, longest], 0 after each
    match's end.
    """
    width = int(plies.max())
    return np.where(np.arange(width) < plies[:, None], history[:, :width], np.int32(0))


def chosen_slots(game: BatchedGame, slots: ArrayLike) -> NDArray[np.int64]:
    """Copy `slots` [m], after a check that the game has them all: compiled code would read and
    write past the end unchecked.
    """
    chosen = np.array(slots, np.int64)
    # A negative number is huge as an unsigned one, so one pass sees both ends.
    if chosen.ndim != 1 or (chosen.size and int(chosen.view(np.uint64).max()) >= game.num_slots):
        raise InputError(
            "no such slots",
            got=f"{chosen.tolist()}",
            expected=f"a list of numbers from 0 to {game.num_slots - 1}",
        )
    return chosen


def one_slot(game: BatchedGame, slot: int) -> int:
    """Return `slot`, after a check that the game has it."""
    return int(chosen_slots(game, [slot])[0])


def own_keys(keys: ArrayLike, chosen: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Copy `keys` [m], one for each of the `chosen` slots [m]."""
    own = np.array(keys, np.uint64)
    if own.shape != chosen.shape:
        raise InputError(
            "reset takes one key for each slot", got=own.shape, expected=str(chosen.shape)
        )
    return own


def own_seats(game: BatchedGame, seats: ArrayLike, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Copy `seats` [m], one for each of the `chosen` slots [m]."""
    own = np.array(seats, np.int64)
    if own.shape != chosen.shape or (
        own.size and not 0 <= own.min() <= own.max() < game.spec.num_players
    ):
        expected = f"one for each of {chosen.size} slots, from 0 to {game.spec.num_players - 1}"
        raise InputError("no such seats", got=f"{own.tolist()}", expected=expected)
    return own


def copy_actions(actions: NDArray[np.int64], out: NDArray[np.int64]) -> None:
    """Copy `actions` [n] to `out` [n]; anything but integers is refused."""
    if np.shape(actions) != out.shape:
        expected = f"{out.shape}, in which -1 leaves a slot as it is"
        raise InputError(
            "step takes one action for each slot", got=np.shape(actions), expected=expected
        )
    np.copyto(out, actions, casting="same_kind")


def illegal_action(game: BatchedGame, slot: int, action: int) -> IllegalAction:
    """Make the error for an `action` that the match in `slot` does not allow."""
    got = f"illegal action in slot {slot} of {game.spec.name}: got {action}"
    if game.terminated[slot] or game.truncated[slot]:
        return IllegalAction(f"{got}, expected -1; the match there has ended: reset the slot first")
    legal = np.flatnonzero(game.mask[slot]).tolist()
    return IllegalAction(f"{got}, expected one of {legal}; play legal actions only, see mask")


def check_history(game: BatchedGame, value: object, longest: int) -> None:
    """Raise `GameError` unless `value` is a history of as many matches, none of more than `longest`
    plies.
    """
    n = game.num_slots
    if not (
        isinstance(value, np.ndarray)
        and value.dtype == np.int32
        and value.ndim == 2
        and len(value) == n
        and value.shape[1] <= longest
    ):
        raise _unfit(game, "history", value, f"int32 ({n}, up to {longest})")


def check_stored(game: BatchedGame, name: str, value: object, own: NDArray[np.generic]) -> None:
    """Raise `GameError` unless `value` fits into the game's `own` array of that name."""
    if not isinstance(value, np.ndarray) or value.dtype != own.dtype or value.shape != own.shape:
        raise _unfit(game, name, value, f"{own.dtype} {own.shape}")


def _unfit(game: BatchedGame, name: str, value: object, expected: str) -> GameError:
    got = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else repr(value)
    remedy = "it was saved by another game or with another number of slots"
    what = f"state of {game.spec.name} does not fit in {name}"
    return GameError(f"{what}: got {got}, expected {expected}; {remedy}")
