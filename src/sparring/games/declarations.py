"""Validation of the facts that a game declares."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from sparring.errors import ConfigurationError
from sparring.games.spec import Board, GameSpec, Symmetry

_MAX_PLIES = 1_000_000  # a run may hold whole matches in memory


class Mistake(NamedTuple):
    """A mistake, as the parts of an error message."""

    what: str
    got: str
    expected: str
    remedy: str


def checked(spec: Any, owner: str, declaration: str) -> GameSpec:
    """Return `spec` if it is valid; otherwise raise `ConfigurationError` with the first mistake of
    `owner`.
    """
    if not isinstance(spec, GameSpec):
        expected = f"{declaration} = GameSpec(num_players=..., num_actions=..., ...)"
        raise ConfigurationError(f"{owner} has no GameSpec", got=repr(spec), expected=expected)
    for what, got, expected, remedy in mistakes(spec):
        raise ConfigurationError(f"{owner}: {what}", got=got, expected=expected, remedy=remedy)
    return spec


def mistakes(spec: GameSpec) -> Iterator[Mistake]:
    """Yield everything that is wrong with a declaration."""
    counts = {name: getattr(spec, name) for name in ("num_players", "num_actions", "max_plies")}
    for name, value in counts.items():
        if not _is_count(value):
            yield Mistake(
                f"invalid spec.{name}",
                repr(value),
                "an integer of at least 1",
                "declare it in the game's spec",
            )
    if _is_count(spec.max_plies) and spec.max_plies > _MAX_PLIES:
        remedy = "declare the number of plies after which a match is cut"
        yield Mistake(
            "invalid spec.max_plies", repr(spec.max_plies), f"at most {_MAX_PLIES}", remedy
        )
    if spec.returns is not None and not _is_range(spec.returns):
        yield Mistake(
            "invalid spec.returns",
            repr(spec.returns),
            "(lowest, highest), or None",
            "declare the lowest and highest sum of one seat's rewards from any position on",
        )
    if not _is_number_type(spec.observation_dtype):
        expected, remedy = (
            "a NumPy name such as 'int8', 'bool' or 'float32'",
            "declare the type of what observe returns",
        )
        yield Mistake(
            "invalid spec.observation_dtype",
            repr(spec.observation_dtype),
            expected,
            remedy,
        )
    shape = spec.observation_shape
    if not isinstance(shape, tuple) or not shape or not all(map(_is_count, shape)):
        remedy = "write (9,) for nine numbers: (9) is a number, not a tuple"
        yield Mistake(
            "invalid spec.observation_shape",
            repr(spec.observation_shape),
            "a tuple of integers of at least 1",
            remedy,
        )
    elif all(map(_is_count, counts.values())):
        yield from _symmetry_mistakes(spec)
        yield from _board_mistakes(spec)


def _symmetry_mistakes(spec: GameSpec) -> Iterator[Mistake]:
    symmetries: tuple[Any, ...] = spec.symmetries
    for number, symmetry in enumerate(symmetries):
        if not isinstance(symmetry, Symmetry):
            yield Mistake(
                "invalid spec.symmetries",
                repr(symmetry)[:60],
                "Symmetry(observation=..., action=...)",
                "make a Symmetry of each",
            )
        elif not (
            _is_relabelling(symmetry.observation, spec.observation_size)
            and _is_relabelling(symmetry.action, spec.num_actions)
        ):
            expected = (
                f"each of {spec.observation_size} entries and {spec.num_actions} actions once"
            )
            yield Mistake(
                "invalid spec.symmetries",
                f"symmetry {number}",
                expected,
                "list the old index for each new index",
            )


def _board_mistakes(spec: GameSpec) -> Iterator[Mistake]:
    board: Any = spec.board
    if board is None:
        return
    if not isinstance(board, Board):
        yield Mistake("invalid spec.board", repr(board)[:60], "Board()", "make a Board")
        return
    shape, support = spec.observation_shape, board.support
    if len(shape) != 3:
        yield Mistake(
            "invalid spec.board",
            f"observation_shape {shape}",
            "[planes, rows, columns]",
            "observe a board as planes",
        )
    elif support and not (
        len(support) == shape[1] * shape[2] and all(-1 <= cell < len(support) for cell in support)
    ):
        yield Mistake(
            "invalid spec.board.support",
            f"{len(support)} entries",
            f"a cell or -1 for each of {shape[1] * shape[2]} cells",
            "list the cell below each cell",
        )


def _is_relabelling(indices: tuple[int, ...], size: int) -> bool:
    return sorted(indices) == list(range(size))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and value >= 1


def _is_range(returns: Any) -> bool:
    try:
        low, high = returns
        return math.isfinite(low) and math.isfinite(high) and low <= high and (low, high) != (0, 0)
    except (TypeError, ValueError):
        return False


def _is_number_type(name: object) -> bool:
    try:
        return isinstance(name, str) and np.dtype(name).kind in "biuf"
    except TypeError:
        return False
