"""Checks of a class in plain Python, `Match`: its methods, then what they return while matches are played."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np

from sparring.errors import nearest
from sparring.games.conformance.findings import Finding
from sparring.games.conformance.guarded import Broken, Guarded, Line
from sparring.games.conformance.own_state import class_attributes, shared
from sparring.games.conformance.subject import Level, Subject

_REQUIRED: Mapping[str, tuple[str, ...]] = {"reset": ("rng",), "mask": (), "observe": ("seat",), "step": ("action",)}
_OPTIONAL: Mapping[str, tuple[str, ...]] = {"copy": (), "action_text": ("action",)}
_MAX_LINES = 16
_MAX_PLIES = 4000  # over all lines


def methods(subject: Subject) -> Iterator[Finding]:
    """The class has every method, with the parameters that it will be called with."""
    assert subject.new_match is not None
    match = subject.new_match()
    for name, parameters in {**_REQUIRED, **_OPTIONAL}.items():
        method, form = getattr(match, name, None), f"{name}({', '.join(parameters)})"
        remedy = f"write def {name}({', '.join(('self', *parameters))})"
        if method is None and name in _REQUIRED:
            near = nearest(name, {other for other in dir(match) if not other.startswith("_")} - {name})
            yield Finding(f"{name} is missing", "nothing", form, near or remedy)
        elif method is not None and not callable(method):
            yield Finding(f"{name} is no method", type(method).__name__, form, remedy)
        elif method is not None and not _takes(method, parameters):
            yield Finding(f"{name} takes other parameters", f"{name}{inspect.signature(method)}", form, remedy)


def _takes(method: Callable[..., object], parameters: tuple[str, ...]) -> bool:
    try:
        inspect.signature(method).bind(*parameters)
    except TypeError:
        return False
    except ValueError:  # written in C, and without a signature
        return True
    return True


def _played(check: str, subject: Subject) -> Iterator[Finding]:
    """What was found under this name while matches were played; the first of these checks plays them."""
    if not subject.lines:
        subject.broken = list(_play_lines(subject))
    yield from (finding for finding in subject.broken if finding.check == check)


def _play_lines(subject: Subject) -> Iterator[Finding]:
    assert subject.new_match is not None
    rng = np.random.default_rng(subject.seed)
    common = repr(class_attributes(subject.new_match()))
    while len(subject.lines) < _MAX_LINES and sum(len(line.actions) for line in subject.lines) < _MAX_PLIES:
        line = Line(int(rng.integers(2**63)))
        subject.lines.append(line)
        match = subject.new_match()
        try:
            _play(Guarded(match, subject.spec), line, rng)
        except Broken as broken:
            # A match that goes wrong because another has left something behind is told as such.
            left_behind = len(subject.lines) > 1 and repr(class_attributes(match)) != common
            yield shared(match, str(broken)) if left_behind else broken.finding


def _play(match: Guarded, line: Line, rng: np.random.Generator) -> None:
    """Random legal actions, to the end of the match or to the ply limit; all that shows is written down in `line`."""
    match.reset(line.key)
    ended = False
    while not ended and len(line.actions) < min(match.spec.max_plies, _MAX_PLIES):
        line.positions.append(match.position())
        line.actions.append(int(rng.choice(np.flatnonzero(line.positions[-1].mask))))
        _, ended = match.step(line.actions[-1])
    if ended:
        match.seat()
    else:
        line.positions.append(match.position())


_WHILE_PLAYING = ("exceptions", "seats", "mask", "legal moves", "observation", "step", "separate matches")
METHODS: Level = {"methods": methods}
PLAYING: Level = {name: partial(_played, name) for name in _WHILE_PLAYING}
