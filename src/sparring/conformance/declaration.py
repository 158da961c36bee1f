"""Checks before the first match: what the game declares, and whether its views look as declared."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

import numpy as np

from sparring.conformance.findings import Finding
from sparring.conformance.recordings import VIEWS as VIEW_NAMES
from sparring.conformance.subject import Level, Subject
from sparring.games.spec import BatchedGame, GameSpec, mistakes

_METHODS = (
    "reset",
    "step",
    "win_or_block",
    "observe_as",
    "text",
    "action_text",
    "get_state",
    "set_state",
)


def declared_facts(subject: Subject) -> Iterator[Finding]:
    """Facts that make sense by themselves."""
    yield from (Finding(*mistake) for mistake in mistakes(subject.spec))


def protocol(subject: Subject) -> Iterator[Finding]:
    """The game has all methods of `BatchedGame`."""
    missing = [name for name in _METHODS if not callable(getattr(subject.game, name, None))]
    if missing:
        others = {name for name in dir(subject.game) if not name.startswith("_")} - {
            *VIEW_NAMES,
            *_METHODS,
        }
        near = [
            f"is {other} meant to be {name}?"
            for name in missing
            for other in difflib.get_close_matches(name, others, 1, 0.7)
        ]
        remedy = "; ".join(["write them as BatchedGame in sparring.games says", *near])
        yield Finding(
            "methods are missing",
            f"none called {', '.join(missing)}",
            "all of the batched protocol",
            remedy,
        )


def shapes(subject: Subject) -> Iterator[Finding]:
    """Shapes and types of the views, which must be arrays that can be kept."""
    wrong = False
    for name, (shape, dtype) in _expected_shapes(subject.spec, subject.game.num_slots).items():
        view, expected = getattr(subject.game, name, None), f"{dtype} {shape}"
        if not isinstance(view, np.ndarray):
            wrong, got = True, "nothing" if view is None else type(view).__name__
            yield Finding(
                f"{name} is no array",
                got,
                expected,
                "allocate the views once, when the game is made",
            )
        elif view.shape != shape or view.dtype != dtype:
            wrong = True
            yield Finding(
                f"{name} has another shape or type",
                f"{view.dtype} {view.shape}",
                expected,
                "allocate it as declared",
            )
    if not wrong and _share(subject.fresh(), subject.game):
        yield Finding(
            "two games share their arrays",
            "shared memory",
            "arrays of their own",
            "make a new game whenever asked for one",
        )


def _share(made: BatchedGame, game: BatchedGame) -> bool:
    return made is game or any(
        np.shares_memory(getattr(made, name), getattr(game, name)) for name in VIEW_NAMES
    )


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


FACTS: Level = {"declared facts": declared_facts}
VIEWS: Level = {"protocol": protocol, "shapes": shapes}
