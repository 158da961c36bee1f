"""Checks of the views of a class that offers the batched protocol itself: shapes, dtypes, and
invariants of every position.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

import numpy as np

from sparring.conformance.findings import Finding
from sparring.conformance.recordings import (
    VIEWS,
    Frame,
    difference,
    frames,
    in_progress,
    place,
    replay,
    row,
)
from sparring.conformance.subject import Level, Subject
from sparring.games.spec import BATCHED_METHODS, BatchedGame, GameSpec


def protocol(subject: Subject) -> Iterator[Finding]:
    """The game has every method of `BatchedGame`."""
    missing = [name for name in BATCHED_METHODS if not callable(getattr(subject.game, name, None))]
    if missing:
        others = {name for name in dir(subject.game) if not name.startswith("_")} - {
            *VIEWS,
            *BATCHED_METHODS,
        }
        near = [
            f"rename {other} to {name}?"
            for name in missing
            for other in difflib.get_close_matches(name, others, 1, 0.7)
        ]
        remedy = "; ".join(["see BatchedGame in sparring.games", *near])
        yield Finding(
            "methods are missing",
            f"no {', '.join(missing)}",
            "every method of the batched protocol",
            remedy,
        )


def shapes(subject: Subject) -> Iterator[Finding]:
    """The views are arrays of the declared shapes and dtypes, owned by this game."""
    wrong = False
    for name, (shape, dtype) in _expected_shapes(subject.spec, subject.game.num_slots).items():
        view, expected = getattr(subject.game, name, None), f"{dtype} {shape}"
        if not isinstance(view, np.ndarray):
            wrong, got = True, "nothing" if view is None else type(view).__name__
            yield Finding(
                f"{name} must be an array",
                got,
                expected,
                "allocate the views once, in the constructor",
            )
        elif view.shape != shape or view.dtype != dtype:
            wrong = True
            yield Finding(
                f"{name} has the wrong shape or dtype",
                f"{view.dtype} {view.shape}",
                expected,
                "allocate it as declared",
            )
    if not wrong and _share(subject.fresh(), subject.game):
        yield Finding(
            "two games share their arrays",
            "shared memory",
            "arrays of their own",
            "return a new game each time one is made",
        )


def _share(made: BatchedGame, game: BatchedGame) -> bool:
    return made is game or any(
        np.shares_memory(getattr(made, name), getattr(game, name)) for name in VIEWS
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


def views_in_place(subject: Subject) -> Iterator[Finding]:
    """The views are the same array objects for the life of the game."""
    game, trace = subject.fresh(), subject.trace
    kept = {name: getattr(game, name) for name in VIEWS}
    replay(game, trace, trace.keys)
    game.set_state(game.get_state())
    for name, view in kept.items():
        if getattr(game, name) is not view:
            yield Finding(
                f"{name} is replaced by a new array",
                "a new array",
                "the same, overwritten",
                f"assign to {name}[...]",
            )


def beginning(subject: Subject) -> Iterator[Finding]:
    """A match starts with no plies, no rewards and not ended."""
    for trace in subject.traces:
        first = trace.frames[0]
        for name in ("plies", "rewards", "terminated", "truncated"):
            if np.any(first[name]):
                yield Finding(
                    f"a new match starts with nonzero {name}",
                    row(first[name], first[name] != 0),
                    "zeros",
                    "clear them in reset",
                )


def seats(subject: Subject) -> Iterator[Finding]:
    """`seat` is valid, also in ended matches."""
    for tick, frame in frames(subject.traces):
        wrong = (frame["seat"] < 0) | (frame["seat"] >= subject.spec.num_players)
        if np.any(wrong):
            got, expected = (
                row(frame["seat"], wrong, tick),
                f"0 to {subject.spec.num_players - 1}",
            )
            yield Finding(
                "invalid seat", got, expected, "number the seats from 0, also in ended matches"
            )


def legal_moves(subject: Subject) -> Iterator[Finding]:
    """Some action is legal until the match is terminated, also where it is truncated."""
    for tick, frame in frames(subject.traces):
        stuck = ~frame["terminated"] & ~frame["mask"].any(axis=1)
        if np.any(stuck):
            remedy = "end the match, or add an action that passes"
            yield Finding(
                "a match in progress has no legal action",
                f"none in {place(stuck, tick)}",
                "at least one",
                remedy,
            )


def endings(subject: Subject) -> Iterator[Finding]:
    """Ended matches do not change, and terminated ones have zero masks and observations."""
    for tick, frame in frames(subject.traces):
        over = frame["terminated"]
        if np.any(both := over & frame["truncated"]):
            remedy = "truncate only matches that the rules have not ended"
            yield Finding(
                "a match is terminated and truncated", place(both, tick), "one of them", remedy
            )
        if np.any(moves := over & frame["mask"].any(axis=1)):
            got = row(frame["mask"], moves, tick)
            yield Finding(
                "a terminated match has legal actions", got, "none", "clear the mask at the end"
            )
        if np.any(shown := over & frame["observation"].reshape(len(over), -1).any(axis=1)):
            yield Finding(
                "a terminated match has an observation",
                place(shown, tick),
                "zeros",
                "clear the observation at the end",
            )
    for trace in subject.traces:
        for tick in range(len(trace.actions)):
            yield from _changes_after_the_end(trace.frames[tick], trace.frames[tick + 1], tick + 1)


def _changes_after_the_end(before: Frame, after: Frame, tick: int) -> Iterator[Finding]:
    ended = ~in_progress(before)
    if np.any(paid := after["rewards"].any(axis=1) & ended):
        yield Finding(
            "an ended match pays",
            row(after["rewards"], paid, tick),
            "0",
            "clear the rewards in each step",
        )
    else:
        slots = np.flatnonzero(ended)
        if found := difference(
            after, {**before, "rewards": np.zeros_like(before["rewards"])}, slots, slots
        ):
            yield Finding(
                "an ended match changes",
                found,
                "the views at its end",
                "change nothing until it is reset",
            )


def lengths(subject: Subject) -> Iterator[Finding]:
    """`plies` counts actions, and matches end by `max_plies` and are not truncated earlier."""
    limit = subject.spec.max_plies
    for trace in subject.traces:
        played = np.zeros(trace.num_matches, np.int64)
        for tick, frame in enumerate(trace.frames):
            if np.any(wrong := frame["plies"] != played):
                expected = row(played, wrong, tick)
                yield Finding(
                    "plies does not count the actions",
                    row(frame["plies"], wrong, tick),
                    expected,
                    "count one for each action",
                )
            if np.any(late := in_progress(frame) & (played >= limit)):
                remedy = "truncate it at max_plies, or raise max_plies"
                yield Finding(
                    "a match exceeds max_plies",
                    f"{place(late, tick)} not ended",
                    f"an end by ply {limit}",
                    remedy,
                )
            early = frame["truncated"] & (played < limit) & subject.offers_batches
            if np.any(early):
                remedy = "declare the max_plies that the game applies"
                yield Finding(
                    "a match is truncated before max_plies",
                    row(played, early, tick),
                    f"{limit} plies",
                    remedy,
                )
            played += (trace.actions[tick] >= 0) if tick < len(trace.actions) else 0


def finite_rewards(subject: Subject) -> Iterator[Finding]:
    """Rewards are finite."""
    for tick, frame in frames(subject.traces):
        if np.any(wrong := ~np.isfinite(frame["rewards"])):
            got = row(frame["rewards"], wrong, tick)
            yield Finding("a reward is not finite", got, "a finite number", "return finite rewards")


FORM: Level = {"protocol": protocol, "shapes": shapes}
CHECKS: Level = {
    "beginning": beginning,
    "seats": seats,
    "legal moves": legal_moves,
    "endings": endings,
    "lengths": lengths,
    "finite rewards": finite_rewards,
}
KEPT: Level = {"views in place": views_in_place}
