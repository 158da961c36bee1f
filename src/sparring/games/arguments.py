"""Checks of what callers hand to a game, which every kind of game makes alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparring.errors import GameError, IllegalAction, InputError
from sparring.games.spec import BatchedGame


def chosen_slots(game: BatchedGame, slots: ArrayLike) -> NDArray[np.int64]:
    """A copy of `slots` [m], all of which the game has: compiled code would read and write past the end unchecked."""
    chosen = np.array(slots, np.int64)
    # A negative number is huge as an unsigned one, so one pass sees both ends.
    if chosen.ndim != 1 or (chosen.size and int(chosen.view(np.uint64).max()) >= game.num_slots):
        raise InputError("no such slots", got=f"{chosen.tolist()}", expected=f"a list of numbers from 0 to {game.num_slots - 1}")
    return chosen


def one_slot(game: BatchedGame, slot: int) -> int:
    """`slot`, which the game has."""
    return int(chosen_slots(game, [slot])[0])


def own_keys(keys: ArrayLike, chosen: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A copy of `keys` [m], one for each of the `chosen` slots [m]."""
    own = np.array(keys, np.uint64)
    if own.shape != chosen.shape:
        raise InputError("reset takes one key for each slot", got=own.shape, expected=str(chosen.shape))
    return own


def own_seats(game: BatchedGame, seats: ArrayLike, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """A copy of `seats` [m], one for each of the `chosen` slots [m]."""
    own = np.array(seats, np.int64)
    if own.shape != chosen.shape or (own.size and not 0 <= own.min() <= own.max() < game.spec.num_players):
        expected = f"one for each of {chosen.size} slots, from 0 to {game.spec.num_players - 1}"
        raise InputError("no such seats", got=f"{own.tolist()}", expected=expected)
    return own


def copy_actions(actions: NDArray[np.int64], out: NDArray[np.int64]) -> None:
    """Copy `actions` [n] to `out` [n]; anything but whole numbers is refused."""
    if np.shape(actions) != out.shape:
        expected = f"{out.shape}, in which -1 leaves a slot as it is"
        raise InputError("step takes one action for each slot", got=np.shape(actions), expected=expected)
    np.copyto(out, actions, casting="same_kind")


def illegal_action(game: BatchedGame, slot: int, action: int) -> IllegalAction:
    """The error for an `action` that the match in `slot` does not allow."""
    got = f"illegal action in slot {slot} of {game.spec.name}: got {action}"
    if game.terminated[slot] or game.truncated[slot]:
        return IllegalAction(f"{got}, expected -1; the match there has ended: reset the slot first")
    return IllegalAction(f"{got}, expected one of {np.flatnonzero(game.mask[slot]).tolist()}; play legal actions only, see mask")


def check_history(game: BatchedGame, value: object) -> None:
    """`GameError` unless `value` is the history of as many matches, as long as they may be (see `history.py`)."""
    n, longest = game.num_slots, game.spec.max_plies
    if not (
        isinstance(value, np.ndarray) and value.dtype == np.int32 and value.ndim == 2 and len(value) == n and value.shape[1] <= longest
    ):
        raise _unfit(game, "history", value, f"int32 ({n}, up to {longest})")


def check_stored(game: BatchedGame, name: str, value: object, own: NDArray[np.generic]) -> None:
    """`GameError` unless `value` can be copied to the game's `own` array of that name."""
    if not isinstance(value, np.ndarray) or value.dtype != own.dtype or value.shape != own.shape:
        raise _unfit(game, name, value, f"{own.dtype} {own.shape}")


def _unfit(game: BatchedGame, name: str, value: object, expected: str) -> GameError:
    got = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else repr(value)
    remedy = "it was saved by another game or with another number of slots"
    return GameError(f"state of {game.spec.name} does not fit in {name}: got {got}, expected {expected}; {remedy}")
