"""Comparison of compiled rules with the same rules in plain Python, which checks array bounds."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sparring.conformance.findings import Finding, of_exception
from sparring.conformance.recordings import Frame, difference, record, snapshot
from sparring.conformance.subject import Level, Subject
from sparring.errors import GameFault
from sparring.games.compiled.game import CompiledGame

_MATCHES = 8
_STEPS = 250
_UNNOTICED = (IndexError, OverflowError, NameError)  # compiled code continues after these
_WHAT = "compiled rules differ from plain Python"
# Plain Python rounds float32 after each operation, compiled code when it stores them.
_TOLERANCE = 1e-3
# The rules function behind a view; play for all others.
_SHOWN_BY = {"mask": "legal", "observation": "observe"}


def is_compiled(subject: Subject) -> bool:
    """Return whether the game is compiled rules, unchanged."""
    return type(subject.game) is CompiledGame


def plain_python(subject: Subject) -> Iterator[Finding]:
    """Compiled rules play like plain Python. Plain Python plays first: a mistake harms nothing
    there.
    """
    game = subject.game
    assert isinstance(game, CompiledGame)
    rng = np.random.default_rng(subject.seed)
    plain = CompiledGame(
        game.rules.__name__, min(_MATCHES, subject.matches), name=game.spec.name, interpreted=True
    )
    keys = rng.integers(2**64, size=plain.num_slots, dtype=np.uint64)
    try:
        # compiled code does not report these
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            trace = record(plain, keys, rng, max_steps=_STEPS)
    except GameFault as fault:
        finding = of_exception("", fault, check="plain Python")
        if isinstance(fault.__cause__, _UNNOTICED):
            finding = dataclasses.replace(
                finding, what=_WHAT, remedy=f"{finding.remedy}; compiled code does not notice it"
            )
        yield finding
        return
    again, everyone = subject.factory(plain.num_slots), np.arange(plain.num_slots)
    again.reset(everyone, keys)
    for tick, frame in enumerate(trace.frames):
        if found := difference(_rounded(snapshot(again), frame), frame, everyone, everyone):
            view = found.partition(" ")[0]
            place = _place(game, view)
            remedy = (
                f"see {place}: make whole numbers with int(...) before calculating, and give each "
                "variable one type"
            )
            yield Finding(
                _WHAT,
                f"{found} in plain Python, after {tick} plies ({place})",
                f"the same {view}",
                remedy,
            )
            return
        if tick < len(trace.actions):
            again.step(trace.actions[tick])


def _rounded(frame: Frame, to: Frame) -> Frame:
    """`frame` with the numbers of `to` where both are nearly equal."""
    rounded = dict(frame)
    for name, view in frame.items():
        if view.dtype.kind == "f":
            rounded[name] = np.where(
                np.isclose(view, to[name], _TOLERANCE, _TOLERANCE), to[name], view
            )
    return rounded


def _place(game: CompiledGame, view: str) -> str:
    code = getattr(game.rules, _SHOWN_BY.get(view, "play")).__code__
    return f"{Path(code.co_filename).name}, line {code.co_firstlineno}"


CHECKS: Level = {"plain Python": plain_python}
