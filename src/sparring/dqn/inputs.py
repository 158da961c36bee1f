"""Arguments of callers, checked and converted: observations, masks, weights, numbers, paths."""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparring.errors import ConfigurationError, InputError, shown
from sparring.games.spec import GameSpec

MAX_SEED: Final = 2**63 - 1
MAX_REWARD: Final = float(np.finfo(np.float32).max)


def as_batch(observation: Any, game: GameSpec) -> tuple[NDArray[Any], bool]:
    """Observations [n, *observation_shape] in the game's dtype, and True for a single position.

    Raises `ConfigurationError` for other shapes and dtypes, for NaN and infinity, and for values
    that the game's dtype cannot represent.
    """
    values = as_numbers("observation", observation)
    single = values.ndim == len(game.observation_shape)
    batch = values[None] if single else values
    if batch.shape[1:] != game.observation_shape:
        raise ConfigurationError(
            "observation",
            got=f"shape {values.shape}",
            expected=f"{game.observation_shape} or a batch of such",
        )
    return as_observations("observation", batch, game), single


def as_observations(what: str, values: NDArray[Any], game: GameSpec) -> NDArray[Any]:
    """A copy of numbers in the game's dtype. Raises `ConfigurationError` for NaN and infinity, and
    for values that the dtype cannot represent; float32 may round.
    """
    if not np.isfinite(values).all():
        raise ConfigurationError(what, got="NaN or infinity", expected="finite numbers only")
    with np.errstate(over="ignore", invalid="ignore"):
        converted = values.astype(game.observation_dtype, order="C")  # a copy, which is writable
    rounds = converted.dtype.kind == "f" and values.dtype.kind == "f"
    if not (np.isfinite(converted).all() if rounds else (converted == values).all()):
        raise ConfigurationError(
            what,
            got=f"{values.dtype} values that {converted.dtype} cannot represent",
            expected=f"{converted.dtype}, as {game.name} declares",
        )
    return converted


def as_masks(
    action_masks: Any, count: int, num_actions: int, *, single: bool, what: str = "action_masks"
) -> NDArray[np.bool_]:
    """Masks [count, A] with a legal action each. Raises `ConfigurationError` for anything else."""
    if action_masks is None:
        return np.ones((count, num_actions), np.bool_)
    masks = as_numbers(what, action_masks)
    expected = (num_actions,) if single else (count, num_actions)
    if masks.shape not in (expected, (count, num_actions)):
        raise ConfigurationError(what, got=f"shape {masks.shape}", expected=f"{expected} booleans")
    legal: NDArray[np.bool_] = (masks != 0).reshape(count, num_actions)
    if not ((masks == 0) | (masks == 1)).all():
        raise ConfigurationError(
            what,
            got=f"{masks.dtype} values other than 0 and 1",
            expected="a boolean for each action",
        )
    if not legal.any(axis=1).all():
        where = "" if single else f" in row {int(legal.any(axis=1).argmin())}"
        raise ConfigurationError(f"{what}{where}", got="no legal action", expected="at least one")
    return legal


def as_weights(weights: Any) -> dict[str, NDArray[np.float32]]:
    """Finite float32 arrays by parameter name. Raises `ConfigurationError` for anything else."""
    if not isinstance(weights, Mapping) or not all(isinstance(name, str) for name in weights):
        raise ConfigurationError(
            "weights",
            got=f"a value of {type(weights).__name__}",
            expected="a mapping from names of parameters to arrays, as get_weights() returns",
        )
    return {name: _as_weight(f"weights of {name!r}", value) for name, value in weights.items()}


def _as_weight(what: str, value: Any) -> NDArray[np.float32]:
    numbers = as_numbers(what, value)
    with np.errstate(over="ignore", invalid="ignore"):
        converted = numbers.astype(np.float32, order="C", copy=False)
    if not np.isfinite(converted).all():
        raise ConfigurationError(
            what,
            got="values beyond float32" if np.isfinite(numbers).all() else "NaN or infinity",
            expected="finite numbers only",
        )
    return converted


def as_numbers(what: str, values: Any) -> NDArray[Any]:
    """An array of booleans, integers or floats of up to 64 bits in native byte order."""
    if _hides_entries(values):
        raise ConfigurationError(
            what,
            got="a masked array with masked entries",
            expected="an array that shows all of them",
            remedy="replace them with .filled(...)",
        )
    try:
        array = np.asarray(values)
    except Exception as error:  # of NumPy, or of the caller's own class
        raise ConfigurationError(
            what,
            got=f"{type(values).__name__}: {' '.join(str(error).split()):.80}",
            expected="an array of numbers",
        ) from None
    if array.dtype.kind not in "biuf" or array.itemsize > 8 or not array.dtype.isnative:
        raise ConfigurationError(
            what,
            got=f"dtype {array.dtype.str if not array.dtype.isnative else array.dtype}",
            expected="booleans, integers or floats of up to 64 bits in native byte order",
        )
    return array


def _hides_entries(values: Any) -> bool:
    """True for a NumPy masked array with masked entries, or a list with one in it."""
    parts = values if isinstance(values, list | tuple) else [values]
    return any(isinstance(part, np.ma.MaskedArray) and np.ma.is_masked(part) for part in parts)


def whole_number(what: str, value: Any, least: int, most: int | None = None) -> int:
    """An int within its limits. Raises `ConfigurationError` for anything else, also for True."""
    try:
        number = None if isinstance(value, bool | np.bool_) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least or (most is not None and number > most):
        limits = f"at least {least}" if most is None else f"{least} to {most}"
        raise ConfigurationError(what, got=shown(value), expected=f"a whole number, {limits}")
    return number


def fraction(what: str, value: Any) -> float:
    """A number from 0 to 1. Raises `ConfigurationError` for anything else, also for NaN."""
    if not _is_number(value) or not 0.0 <= value <= 1.0:
        raise ConfigurationError(what, got=shown(value), expected="a number, 0 to 1")
    return float(value)


def finite_number(what: str, value: Any) -> float:
    """A number that float32 can hold. Raises `ConfigurationError` for anything else, also NaN."""
    if not _is_number(value) or not abs(value) <= MAX_REWARD:
        raise ConfigurationError(
            what, got=shown(value), expected="a finite number that float32 can hold"
        )
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def flag(what: str, value: Any) -> bool:
    """True or False. Raises `ConfigurationError` for anything else, also for "no" and 1."""
    if not isinstance(value, bool | np.bool_):
        raise ConfigurationError(what, got=shown(value), expected="True or False")
    return bool(value)


def as_path(path: Any) -> Path:
    """The path of a file. Raises `InputError` for what cannot be one."""
    try:
        text = os.fspath(path)
        usable = isinstance(text, str) and b"\0" not in os.fsencode(text) and Path(text).name != ""
    except (TypeError, ValueError):  # another type; a character that no file name has
        usable = False
    if not usable:
        raise InputError("path", got=shown(path), expected="the path of a file")
    return Path(path)
