"""Compiled rules compared with the same rules in plain Python, which checks array bounds, and in
wider integers, which do not wrap around.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.conformance.findings import Finding, global_generators, of_chance, of_exception
from sparring.conformance.recordings import (
    AS_RECORDED,
    Frame,
    Trace,
    difference,
    in_progress,
    record,
    replay,
    snapshot,
)
from sparring.conformance.subject import Level, Subject
from sparring.errors import GameFault, IllegalAction
from sparring.games.compiled.game import CompiledGame
from sparring.games.compiled.jit import interpreted
from sparring.games.rng import CHANCE, purpose_key

_MATCHES = 8
_STEPS = 250
_WHAT = "compiled rules differ from plain Python"
_UNNOTICED: dict[type, str] = {  # exceptions after which compiled code continues
    IndexError: _WHAT,
    OverflowError: "a number does not fit its dtype",
    NameError: _WHAT,
    UnboundLocalError: _WHAT,
}
# Plain Python rounds float32 after each operation, compiled code when it stores them.
_TOLERANCE = 1e-3
# The rules function behind a view; play for all others.
_SHOWN_BY = {"mask": "legal", "observation": "observe"}


def is_compiled(subject: Subject) -> bool:
    """Return whether the game is compiled rules, unchanged."""
    return type(subject.game) is CompiledGame


def plain_python(subject: Subject) -> Iterator[Finding]:
    """Compiled rules play like plain Python. Plain Python plays first, twice: a mistake harms
    nothing there, and all chance must come from the match's rng.
    """
    game, before = compiled_game(subject), global_generators()
    try:
        plain, trace = played_in_plain_python(subject)
        if found := _replayed(plain, trace):
            kind = "the same keys and actions give a different match"
            yield of_chance(kind, found, AS_RECORDED, before)
            return
    except GameFault as fault:
        finding = of_exception("", fault, check="plain Python")
        if what := _UNNOTICED.get(type(fault.__cause__)):
            remedy = f"{finding.remedy}; compiled code does not notice it"
            finding = dataclasses.replace(finding, what=what, remedy=remedy)
        yield finding
        return
    again, everyone = subject.factory(plain.num_slots), np.arange(plain.num_slots)
    again.reset(everyone, trace.keys)
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


def wide_numbers(subject: Subject) -> Iterator[Finding]:
    """Numbers fit the integers of the observation and of STATE: wider ones change nothing."""
    game = compiled_game(subject)
    _, trace = played_in_plain_python(subject)
    state = game.rules.STATE
    for what, dtype, remedy in (
        ("an observation does not fit its dtype", state, "declare a wider observation_dtype"),
        ("a number does not fit its field of STATE", _widened(state), "declare wider fields"),
    ):
        for match in range(trace.num_matches):
            if found := _difference_in_wide_numbers(game, trace, match, dtype):
                yield Finding(what, found, "numbers that do not wrap around", remedy)
                return


def compiled_game(subject: Subject) -> CompiledGame:
    """The game under test, which is compiled rules."""
    assert isinstance(subject.game, CompiledGame)
    return subject.game


def played_in_plain_python(subject: Subject) -> tuple[CompiledGame, Trace]:
    """A few matches of the rules in plain Python, the same ones each time."""
    game, rng = compiled_game(subject), np.random.default_rng(subject.seed)
    plain = CompiledGame(
        game.rules.__name__, min(_MATCHES, subject.matches), name=game.spec.name, interpreted=True
    )
    keys = rng.integers(2**64, size=plain.num_slots, dtype=np.uint64)
    with _silent():
        return plain, record(plain, keys, rng, max_steps=_STEPS)


def _silent() -> np.errstate:
    """Compiled code does not report these either."""
    return np.errstate(over="ignore", under="ignore", invalid="ignore")


def _replayed(plain: CompiledGame, trace: Trace) -> str | None:
    try:
        with _silent():
            return replay(plain, trace, trace.keys)
    except IllegalAction as error:
        return str(error)


def _widened(state: np.dtype[Any]) -> np.dtype[Any]:
    """STATE with int64 for all signed integers. Unsigned ones stay: rules that shift bits out of
    them mean it.
    """
    if state.subdtype is not None:
        return np.dtype((_widened(state.subdtype[0]), state.subdtype[1]))
    if state.names is not None and state.fields is not None:
        return np.dtype([(name, _widened(state.fields[name][0])) for name in state.names])
    return np.dtype(np.int64) if state.kind == "i" else state


def _difference_in_wide_numbers(
    game: CompiledGame, trace: Trace, match: int, state_dtype: np.dtype[Any]
) -> str:
    """Play one match of the trace again with such a state and observations in wide integers; the
    first difference, or an empty string.
    """
    spec, rules = game.spec, game.rules
    start, legal, observe, play = (
        interpreted(rule) for rule in (rules.start, rules.legal, rules.observe, rules.play)
    )
    shown_dtype = np.dtype(spec.observation_dtype)
    wide_dtype = np.dtype(np.int64) if shown_dtype.kind in "iu" else shown_dtype
    state, rewards = np.zeros(1, state_dtype)[0], np.zeros(spec.num_players, np.float32)
    stream = np.array([purpose_key(trace.keys[match], CHANCE), 0], np.uint64)
    with _silent():
        start(state, stream)
        for ply, frame in enumerate(trace.frames):
            if not in_progress(frame)[match]:
                return ""
            seen = np.zeros(spec.observation_shape, wide_dtype)
            mask = np.zeros(spec.num_actions, np.bool_)
            observe(state, seen)
            legal(state, mask)
            right = {"seat": state["seat"], "observation": seen, "mask": mask, "rewards": rewards}
            for view, values in right.items():
                if found := _wrapped(frame[view][match], np.asarray(values)):
                    return f"{view} {found} after {ply} plies ({_place(game, view)})"
            rewards[:] = 0
            if ply < len(trace.actions):
                play(state, int(trace.actions[ply][match]), rewards, stream)
    return ""


def _wrapped(shown: NDArray[Any], right: NDArray[Any]) -> str:
    """`-128 instead of 128` for the first entry that differs; else an empty string."""
    wrong = ~np.isclose(shown, right, _TOLERANCE, _TOLERANCE, equal_nan=True)
    if not np.any(wrong):
        return ""
    first = tuple(np.argwhere(wrong)[0])
    return f"{shown[first]} instead of {right[first]}"


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


LEVELS: tuple[Level, ...] = ({"plain Python": plain_python}, {"wide numbers": wide_numbers})
