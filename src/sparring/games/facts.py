"""Whether the facts that a game declares make sense by themselves, whatever its rules are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from sparring.errors import ConfigurationError
from sparring.games.spec import GameSpec, Symmetry

_MOST_PLIES = 1_000_000  # a run may hold whole matches in memory


class Mistake(NamedTuple):
    """What is wrong, in the parts of an error's message."""

    what: str
    got: str
    expected: str
    remedy: str


def checked(spec: Any, owner: str, declaration: str) -> GameSpec:
    """`spec` where it is a sound declaration; else `ConfigurationError` with the first mistake in that of `owner`."""
    if not isinstance(spec, GameSpec):
        expected = f"{declaration} = GameSpec(num_players=..., num_actions=..., ...)"
        raise ConfigurationError(f"{owner} declares nothing", got=repr(spec), expected=expected)
    for what, got, expected, remedy in mistakes(spec):
        raise ConfigurationError(f"{owner}: {what}", got=got, expected=expected, remedy=remedy)
    return spec


def mistakes(spec: GameSpec) -> Iterator[Mistake]:
    """Everything that is wrong with a declaration."""
    counts = {name: getattr(spec, name) for name in ("num_players", "num_actions", "max_plies")}
    for name, value in counts.items():
        if not _is_count(value):
            yield Mistake(f"spec.{name} is no count", repr(value), "a whole number, at least 1", "declare it in the game's spec")
    if _is_count(spec.max_plies) and spec.max_plies > _MOST_PLIES:
        remedy = "declare after how many plies a match shall be cut"
        yield Mistake("spec.max_plies is too large", repr(spec.max_plies), f"at most {_MOST_PLIES}", remedy)
    if spec.returns is not None and not _is_range(spec.returns):
        yield Mistake("spec.returns is no range", repr(spec.returns), "(lowest, highest), or None", "declare what one seat can be paid")
    if not _is_number_type(spec.observation_dtype):
        expected, remedy = "a NumPy name, as 'int8', 'bool' or 'float32'", "declare the type of what observe returns"
        yield Mistake("spec.observation_dtype is no type of numbers", repr(spec.observation_dtype), expected, remedy)
    if not isinstance(spec.observation_shape, tuple) or not all(map(_is_count, spec.observation_shape)):
        remedy = "write (9,) for nine numbers in a row: (9) is a number"
        yield Mistake("spec.observation_shape is no shape", repr(spec.observation_shape), "a tuple of whole numbers", remedy)
    elif all(map(_is_count, counts.values())):
        yield from _symmetry_mistakes(spec)


def _symmetry_mistakes(spec: GameSpec) -> Iterator[Mistake]:
    symmetries: tuple[Any, ...] = spec.symmetries
    for number, symmetry in enumerate(symmetries):
        if not isinstance(symmetry, Symmetry):
            yield Mistake(
                "spec.symmetries holds something else", repr(symmetry)[:60], "Symmetry(observation=..., action=...)", "write it so"
            )
        elif not (_is_relabelling(symmetry.observation, spec.observation_size) and _is_relabelling(symmetry.action, spec.num_actions)):
            expected = f"each of {spec.observation_size} entries and of {spec.num_actions} actions once"
            yield Mistake("a symmetry is no relabelling", f"symmetry {number}", expected, "list for each new place the old one")


def _is_relabelling(places: tuple[int, ...], size: int) -> bool:
    return sorted(places) == list(range(size))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and value >= 1


def _is_range(returns: Any) -> bool:
    try:
        low, high = returns
        return math.isfinite(low) and math.isfinite(high) and low <= high
    except (TypeError, ValueError):
        return False


def _is_number_type(name: object) -> bool:
    try:
        return isinstance(name, str) and np.dtype(name).kind in "biuf"
    except TypeError:
        return False
