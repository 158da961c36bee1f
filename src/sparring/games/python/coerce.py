"""Conversion of the values that a user's Match returns; `BrokenContractError` if they do not fit.

Integers may stand for others and for booleans if the values survive, floats only for floats.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sparring.games.faults import BrokenContractError

_FALSE_AND_TRUE = b"\0\1"
_MAX_REWARD = 1e9  # the square of a sum over a longest match, 1e30, fits float32


def as_seat(seat: Any, num_players: int) -> int:
    """Return an integer from 0 to `num_players` - 1."""
    try:
        number = -1 if isinstance(seat, bool) else operator.index(seat)
    except TypeError:
        number = -1
    if not 0 <= number < num_players:
        remedy = "set self.seat to the seat to move, after the end too"
        raise BrokenContractError(
            f"seat {seat!r}", f"an integer from 0 to {num_players - 1}", remedy
        )
    return number


def as_mask(legal: Any, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return [A] bool from a mask of booleans, or of 0 and 1."""
    if type(legal) is list and shape == (len(legal),):
        # Twenty times as fast as by way of np.asarray.
        try:
            entries = bytes(legal)
        except (TypeError, ValueError):
            entries = b"\2"
        if not entries.translate(None, _FALSE_AND_TRUE):
            return np.frombuffer(entries, np.bool_)
    return _converted(
        legal,
        np.dtype(np.bool_),
        shape,
        "a mask",
        "return True or False for each action, legal or not",
    )


def as_observation(seen: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return [*shape] of `dtype`; float32 may round, all other values must stay the same."""
    return _converted(
        seen,
        dtype,
        shape,
        "an observation",
        "return what the spec declares, or declare what is returned",
    )


def as_outcome(outcome: Any) -> tuple[Any, Any]:
    """Return (rewards, ended) from the value that `step` returned."""
    try:
        rewards, ended = outcome
    except (TypeError, ValueError):
        remedy = "end step with: return rewards, ended"
        raise BrokenContractError(
            f"{outcome!r} from step", "(rewards or None, True if the match has ended)", remedy
        ) from None
    return rewards, ended


def as_rewards(rewards: Any, num_players: int) -> Any:
    """Return `rewards`: P numbers that learning can square. They are few, so they are compared one
    by one.
    """
    try:
        good = len(rewards) == num_players
        for reward in rewards:
            good &= bool(-_MAX_REWARD <= reward <= _MAX_REWARD)  # False for NaN
    except (TypeError, ValueError):
        good = False
    if not good:
        expected = f"{num_players} numbers from -1e9 to 1e9, one for each seat, or None"
        raise BrokenContractError(
            f"rewards {rewards!r}",
            expected,
            "return the rewards of this ply, and then True or False",
        )
    return rewards


def as_flag(ended: Any) -> bool:
    """Return a bool from True or False, also NumPy's."""
    if not isinstance(ended, bool | np.bool_):
        raise BrokenContractError(
            f"{ended!r} as the second value from step",
            "True or False",
            "return rewards, and then True or False",
        )
    return bool(ended)


def as_text(match: object) -> str:
    """Return the text of a match; without `__str__`, its attributes, one per line."""
    if type(match).__str__ is object.__str__ and type(match).__repr__ is object.__repr__:
        return "\n".join(
            f"{name}: {value}" for name, value in getattr(match, "__dict__", {}).items()
        )
    return str(match).rstrip("\n")


def _converted(
    given: Any, dtype: np.dtype[Any], shape: tuple[int, ...], what: str, remedy: str
) -> NDArray[Any]:
    try:
        array = np.asarray(given)
    except ValueError:  # rows of different lengths
        raise BrokenContractError(
            f"{what} that is not an array", f"{dtype} {shape}", remedy
        ) from None
    if array.dtype == dtype and array.shape == shape:
        return array
    if array.shape != shape or array.dtype.kind not in ("biuf" if dtype.kind == "f" else "biu"):
        raise BrokenContractError(
            f"{what} of {array.dtype} {array.shape}", f"{dtype} {shape}", remedy
        )
    if dtype.kind == "f":
        with np.errstate(all="ignore"):
            return array.astype(dtype)
    converted = array.astype(dtype)
    if (converted != array).any():
        wrong = array[converted != array].flat[0]
        raise BrokenContractError(f"{what} with {wrong}", f"{dtype} {shape}", remedy)
    return converted


@njit(cache=True, nogil=True)
def first_illegal(actions: Any, mask: Any, truncated: Any) -> Any:
    """Return the first slot whose action is neither -1 nor legal, -1 if there is none; actions [n],
    mask [n, A], truncated [n].
    """
    for i in range(actions.shape[0]):
        action = actions[i]
        if action != -1 and (
            action < 0 or action >= mask.shape[1] or truncated[i] or not mask[i, action]
        ):
            return i
    return -1


@njit(cache=True, nogil=True)
def first_stuck(chosen: Any, mask: Any, terminated: Any) -> Any:
    """Return the first of the `chosen` slots [m] whose match goes on without a legal action, -1 if
    there is none.
    """
    for i in chosen:
        if not terminated[i] and not np.any(mask[i]):
            return i
    return -1
