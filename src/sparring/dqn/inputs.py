"""Observations and masks of callers, checked and converted for a network."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.errors import ConfigurationError
from sparring.games.spec import GameSpec


def as_batch(observation: Any, game: GameSpec) -> tuple[NDArray[Any], bool]:
    """Observations [n, *observation_shape] in the game's dtype, and True for a single position.

    Raises `ConfigurationError` for other shapes and dtypes, for NaN and infinity, and for values
    that the game's dtype cannot represent.
    """
    values = _as_numbers("observation", observation)
    single = values.ndim == len(game.observation_shape)
    batch = values[None] if single else values
    if batch.shape[1:] != game.observation_shape:
        raise ConfigurationError(
            "observation",
            got=f"shape {values.shape}",
            expected=f"{game.observation_shape} or a batch of such",
        )
    if not np.isfinite(batch).all():
        raise ConfigurationError(
            "observation", got="NaN or infinity", expected="finite numbers only"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        converted = batch.astype(game.observation_dtype, order="C")  # a copy, which is writable
    rounds = converted.dtype.kind == "f" and batch.dtype.kind == "f"
    if not (np.isfinite(converted).all() if rounds else (converted == batch).all()):
        raise ConfigurationError(
            "observation",
            got=f"{batch.dtype} values that {converted.dtype} cannot represent",
            expected=f"{converted.dtype}, as {game.name} declares",
        )
    return converted, single


def as_masks(action_masks: Any, count: int, num_actions: int, *, single: bool) -> NDArray[np.bool_]:
    """Masks [count, A] with a legal action each. Raises `ConfigurationError` for anything else."""
    if action_masks is None:
        return np.ones((count, num_actions), np.bool_)
    masks = _as_numbers("action_masks", action_masks)
    expected = (num_actions,) if single else (count, num_actions)
    if masks.shape not in (expected, (count, num_actions)):
        raise ConfigurationError(
            "action_masks", got=f"shape {masks.shape}", expected=f"{expected} booleans"
        )
    legal: NDArray[np.bool_] = (masks != 0).reshape(count, num_actions)
    if not ((masks == 0) | (masks == 1)).all():
        raise ConfigurationError(
            "action_masks",
            got=f"{masks.dtype} values other than 0 and 1",
            expected="a boolean for each action",
        )
    if not legal.any(axis=1).all():
        where = "" if single else f" in row {int(legal.any(axis=1).argmin())}"
        raise ConfigurationError(
            f"action_masks{where}", got="no legal action", expected="at least one"
        )
    return legal


def _as_numbers(what: str, values: Any) -> NDArray[Any]:
    """An array of booleans, integers or floats of up to 64 bits in native byte order."""
    try:
        array = np.asarray(values)
    except Exception as error:  # of NumPy, or of the caller's own class
        raise ConfigurationError(
            what, got=f"{type(values).__name__}: {error!s:.80}", expected="an array of numbers"
        ) from None
    if array.dtype.kind not in "biuf" or array.itemsize > 8 or not array.dtype.isnative:
        raise ConfigurationError(
            what,
            got=f"dtype {array.dtype.str if not array.dtype.isnative else array.dtype}",
            expected="booleans, integers or floats of up to 64 bits in native byte order",
        )
    return array
