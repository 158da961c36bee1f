"""Checks before the first match: what the game declares, and whether its views look as declared."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from sparring.games.conformance.report import Check, Finding, Subject
from sparring.games.conformance.traces import VIEWS
from sparring.games.spec import GameSpec


def declared_facts(subject: Subject) -> Iterator[Finding]:
    """Facts that make sense by themselves."""
    spec = subject.spec
    for name in ("num_players", "num_actions", "max_plies"):
        value = getattr(spec, name)
        if not isinstance(value, int) or value < 1:
            yield Finding(f"spec.{name} is no count", repr(value), "a whole number, at least 1", "declare it in the game's spec")
    if spec.returns is not None and not (all(map(math.isfinite, spec.returns)) and spec.returns[0] <= spec.returns[1]):
        yield Finding("spec.returns is no range", repr(spec.returns), "(lowest, highest), or None", "declare what one seat can be paid")
    for number, symmetry in enumerate(spec.symmetries):
        observation, action = sorted(symmetry.observation), sorted(symmetry.action)
        if observation != list(range(spec.observation_size)) or action != list(range(spec.num_actions)):
            got, expected = f"symmetry {number}", f"each of {spec.observation_size} entries and of {spec.num_actions} actions once"
            yield Finding("a symmetry is no relabelling", got, expected, "list for each new place the old one")


def shapes(subject: Subject) -> Iterator[Finding]:
    """Shapes and types of the views, which must be arrays that can be kept."""
    for name, (shape, dtype) in _expected_shapes(subject.spec, subject.game.num_slots).items():
        view = getattr(subject.game, name, None)
        if not isinstance(view, np.ndarray):
            yield Finding(f"{name} is no array", type(view).__name__, f"{dtype} {shape}", "allocate the views once, when the game is made")
        elif view.shape != shape or view.dtype != dtype:
            yield Finding(f"{name} has another shape or type", f"{view.dtype} {view.shape}", f"{dtype} {shape}", "allocate it as declared")
    made = subject.fresh()
    if made is subject.game or any(np.shares_memory(getattr(made, name), getattr(subject.game, name)) for name in VIEWS):
        yield Finding("two games share their arrays", "shared memory", "arrays of their own", "make a new game whenever asked for one")


def _expected_shapes(spec: GameSpec, n: int) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    return {
        "seat": ((n,), np.dtype(np.int64)),
        "observation": ((n, *spec.observation_shape), np.dtype(spec.observation_dtype)),
        "mask": ((n, spec.num_actions), np.dtype(np.bool_)),
        "rewards": ((n, spec.num_players), np.dtype(np.float32)),
        "terminated": ((n,), np.dtype(np.bool_)),
        "truncated": ((n,), np.dtype(np.bool_)),
        "plies": ((n,), np.dtype(np.int64)),
    }


CHECKS: dict[str, Check] = {"declared facts": declared_facts, "shapes": shapes}
