"""Checks of a class in plain Python, `Match`: its methods, their results while matches are played,
and state that is kept or shared where it should not be.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.conformance.findings import Finding, global_generators, of_chance
from sparring.conformance.subject import Level, Subject
from sparring.conformance.watched_match import Broken, Line, WatchedMatch
from sparring.errors import nearest
from sparring.games.spec import MATCH_METHODS

_OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "copy": (),
    "action_text": ("action",),
    "after": ("action",),
}
_MAX_LINES = 16
_MAX_PLIES = 4000  # over all lines
_COPIED_LINES = 4
_AS_RECORDED = "the recorded match"


def methods(subject: Subject) -> Iterator[Finding]:
    """The class has every method, with the right parameters."""
    assert subject.new_match is not None
    match = subject.new_match()
    for name, parameters in {**MATCH_METHODS, **_OPTIONAL}.items():
        method, form = getattr(match, name, None), f"{name}({', '.join(parameters)})"
        remedy = f"write def {name}({', '.join(('self', *parameters))})"
        if method is None and name in MATCH_METHODS:
            near = nearest(
                name, {other for other in dir(match) if not other.startswith("_")} - {name}
            )
            yield Finding(f"{name} is missing", "nothing", form, near or remedy)
        elif method is not None and not callable(method):
            yield Finding(f"{name} must be a method", type(method).__name__, form, remedy)
        elif method is not None and not _takes(method, parameters):
            yield Finding(
                f"{name} takes the wrong parameters",
                f"{name}{inspect.signature(method)}",
                form,
                remedy,
            )


def _takes(method: Callable[..., object], parameters: tuple[str, ...]) -> bool:
    try:
        inspect.signature(method).bind(*parameters)
    except TypeError:
        return False
    except ValueError:  # written in C, without a signature
        return True
    return True


def _played(check: str, subject: Subject) -> Iterator[Finding]:
    """Findings of this `check` while matches were played; the first such check plays them."""
    if not subject.lines:
        subject.broken = list(_play_lines(subject))
    yield from (finding for finding in subject.broken if finding.check == check)


def _play_lines(subject: Subject) -> Iterator[Finding]:
    assert subject.new_match is not None
    rng = np.random.default_rng(subject.seed)
    common = repr(class_attributes(subject.new_match()))
    while (
        len(subject.lines) < _MAX_LINES
        and sum(len(line.actions) for line in subject.lines) < _MAX_PLIES
    ):
        line = Line(int(rng.integers(2**63)))
        subject.lines.append(line)
        match = subject.new_match()
        try:
            _play(WatchedMatch(match, subject.spec), line, rng)
        except Broken as broken:
            # State left behind by another match is reported as that.
            left_behind = len(subject.lines) > 1 and repr(class_attributes(match)) != common
            yield shared(match, str(broken)) if left_behind else broken.finding


def _play(match: WatchedMatch, line: Line, rng: np.random.Generator) -> None:
    """Play random legal actions to the end of the match or the ply limit, recorded in `line`."""
    match.reset(line.key)
    ended = False
    while not ended and len(line.actions) < min(match.spec.max_plies, _MAX_PLIES):
        line.positions.append(match.position())
        line.actions.append(int(rng.choice(np.flatnonzero(line.positions[-1].mask))))
        rewards, ended = match.step(line.actions[-1])
        line.rewards.append(_paid(rewards))
    if ended:
        match.seat()
    else:
        line.positions.append(match.position())


_WHILE_PLAYING = (
    "exceptions",
    "seats",
    "mask",
    "legal moves",
    "observation",
    "step",
    "separate matches",
)
METHODS: Level = {"methods": methods}
PLAYING: Level = {name: partial(_played, name) for name in _WHILE_PLAYING}


def given_arrays(subject: Subject) -> Iterator[Finding]:
    """Later calls do not change the arrays that `observe` and `mask` have returned."""
    for line in subject.lines:
        match = _started(subject, line)
        for ply, action in enumerate(line.actions):
            kept = [_asked(match, seat) for seat in (*range(subject.spec.num_players), None)]
            yield from _changed(kept, f"when another seat is observed, after {ply} plies")
            match.step(action)
            yield from _changed(kept, f"when ply {ply + 1} is played")


def _asked(match: WatchedMatch, seat: int | None) -> tuple[str, Any, NDArray[Any]]:
    """(name, returned object, copy of it) of `observe(seat)`, or of `mask()` for None."""
    returned = match.observe(seat) if seat is not None else match.match.mask()
    return ("mask" if seat is None else f"observe({seat})"), returned, np.array(returned)


def _changed(kept: list[tuple[str, Any, NDArray[Any]]], when: str) -> Iterator[Finding]:
    for name, returned, as_it_was in kept:
        if not np.array_equal(returned, as_it_was):
            yield Finding(
                f"the array that {name.partition('(')[0]} returned changes later",
                f"{name} changes {when}",
                "values that stay the same",
                "return a new array each time, by np.array(...) or .copy()",
            )


def reading(subject: Subject) -> Iterator[Finding]:
    """`mask` and `observe` change nothing: called again, in another order, they return the same."""
    for line in subject.lines:
        match = _started(subject, line)
        for ply, action in enumerate(line.actions):
            before = match.position()
            if found := match.position(reversed(range(subject.spec.num_players))).difference(
                before
            ):
                remedy = "only read in mask and observe; change the match in step"
                yield Finding(
                    "mask() or observe() changes the match",
                    f"{found}, after {ply} plies",
                    "the same results again",
                    remedy,
                )
                return
            match.step(action)


def same_again(subject: Subject) -> Iterator[Finding]:
    """The same rng and actions give the same match when another object plays it."""
    before, common = global_generators(), ""
    for line in subject.lines:
        match = _started(subject, line)
        common = common or repr(class_attributes(match.match))
        if found := _replay(match, line):
            what = "the same rng and actions give a different match"
            yield (
                of_chance(what, found, _AS_RECORDED, before)
                if repr(class_attributes(match.match)) == common
                else shared(match.match, found)
            )
            return


def separate_matches(subject: Subject) -> Iterator[Finding]:
    """Two objects share nothing: one waits while another plays, then continues as recorded; and
    both play a ply in turn.
    """
    waiting, other = subject.lines[0], subject.lines[-1]
    match, middle = _started(subject, waiting), len(waiting.actions) // 2
    found = _replay(match, waiting, 0, middle)
    found = found or _replay(_started(subject, other), other) or _replay(match, waiting, middle)
    found = found or _played_in_turn(subject, waiting, other)
    if found:
        yield shared(match.match, found)


def _played_in_turn(subject: Subject, *lines: Line) -> str:
    """Play the lines side by side, a ply of each in turn; the first difference from the records."""
    matches = [_started(subject, line) for line in lines]
    for ply in range(max(len(line.actions) for line in lines)):
        for match, line in zip(matches, lines, strict=True):
            if ply < len(line.actions) and (found := _replay(match, line, ply, ply + 1)):
                return found
    return ""


def shared(match: object, found: str) -> Finding:
    """Finding on matches that share state, perhaps lists on the class."""
    names = ", ".join(
        f"{name} ({type(value).__name__})" for name, value in class_attributes(match).items()
    )
    where = f"; on the class: {names}" if names else ""
    remedy = "create lists and arrays in reset (self.board = [...]), not on the class or module"
    return Finding(
        "two matches share state",
        f"{found}{where}",
        "matches that share nothing",
        remedy,
        "separate matches",
    )


def class_attributes(match: object) -> dict[str, Any]:
    """Mutable attributes that all objects of the class share."""
    own = getattr(match, "__dict__", {})
    return {
        name: value
        for kind in type(match).__mro__
        for name, value in vars(kind).items()
        if isinstance(value, (list, dict, set, bytearray, np.ndarray))
        and name not in own
        and not name.startswith("__")
    }


def reset_again(subject: Subject) -> Iterator[Finding]:
    """`reset` starts a fresh match, whatever the object has played before."""
    match = _started(subject, subject.lines[0])
    _replay(match, subject.lines[0])
    for line in subject.lines[1:]:
        try:
            match.reset(line.key)
        except Broken as broken:
            found = str(broken)
        else:
            found = _replay(match, line)
        if found:
            yield Finding(
                "reset does not start a fresh match",
                found,
                _AS_RECORDED,
                "initialize everything that a match changes in reset, not in __init__",
            )
            return


def copies(subject: Subject) -> Iterator[Finding]:
    """A copy shows the same position, continues by itself, and leaves the original alone."""
    rng = np.random.default_rng(subject.seed)
    for line in subject.lines[:_COPIED_LINES] if _is_copied(subject) else ():
        for ply in sorted({0, len(line.actions) // 2, len(line.actions) - 1}):
            match = _started(subject, line)
            _replay(match, line, 0, ply)
            other = match.copied()
            if found := other.position().difference(line.positions[ply]):
                yield _no_copy("a copy shows a different position", found)
            elif found := _played_out(other, rng):
                yield _no_copy("a copy cannot be continued", found)
            elif found := _replay(match, line, ply):
                yield _no_copy("playing on a copy changes the original", found)


def _is_copied(subject: Subject) -> bool:
    """Return whether matches will be copied: `win_or_block` does so in games without chance, all
    else only if the class has `copy`.
    """
    return not subject.spec.chance or (
        subject.new_match is not None and hasattr(subject.new_match(), "copy")
    )


def _no_copy(what: str, found: str) -> Finding:
    remedy = (
        "copy every list, array and generator in copy(), or remove copy(): then copy.deepcopy is "
        "used"
    )
    return Finding(what, found, "an independent match in the same position", remedy)


def words(subject: Subject) -> Iterator[Finding]:
    """`__str__` and `action_text`, where the class has them, return text."""
    for line in subject.lines[:_COPIED_LINES]:
        match = _started(subject, line)
        action_text = getattr(match.match, "action_text", None)
        for ply, action in enumerate(line.actions):
            match.words("__str__", match.match.__str__)
            if action_text is not None:
                for legal in np.flatnonzero(line.positions[ply].mask).tolist():
                    match.words("action_text", action_text, legal)
            match.step(action)
    yield from ()


def _paid(rewards: Sequence[float] | None) -> list[float]:
    return [] if rewards is None else [float(reward) for reward in rewards]


def _started(subject: Subject, line: Line) -> WatchedMatch:
    """A new object at the start of the recorded match."""
    assert subject.new_match is not None
    match = WatchedMatch(subject.new_match(), subject.spec)
    match.reset(line.key)
    return match


def _replay(match: WatchedMatch, line: Line, start: int = 0, stop: int | None = None) -> str:
    """Replay the plies from `start` to `stop` (default: the end); the first difference from the
    record, or an empty string.
    """
    stop = len(line.actions) if stop is None else stop
    try:
        for ply in range(start, stop):
            if found := match.position().difference(line.positions[ply]):
                return f"{found}, after {ply} plies"
            rewards, ended = match.step(line.actions[ply])
            if ended != (ply + 1 == len(line.positions)):
                return f"the match {'ends' if ended else 'does not end'} at ply {ply + 1}"
            if (paid := _paid(rewards)) != line.rewards[ply]:
                return f"rewards {paid} instead of {line.rewards[ply]} at ply {ply + 1}"
    except Broken as broken:
        return str(broken)
    return ""


def _played_out(match: WatchedMatch, rng: np.random.Generator) -> str:
    try:
        ended = False
        while not ended and len(match.actions) < match.spec.max_plies:
            _, ended = match.step(int(rng.choice(np.flatnonzero(match.mask()))))
    except Broken as broken:
        return str(broken)
    return ""


# First what later levels rely on when they replay matches.
LEVELS: tuple[Level, ...] = (
    {"same again": same_again},
    {"given arrays": given_arrays, "reading": reading},
    {"separate matches": separate_matches},
    {"reset again": reset_again},
    {"copies": copies, "words": words},
)
