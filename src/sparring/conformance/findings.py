"""Findings, those about exceptions of a game, and the report that people read."""

from __future__ import annotations

import random
import re
import sysconfig
import textwrap
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sparring import user_code
from sparring.errors import GameFault
from sparring.games.faults import one_line

_OURS = (str(Path(__file__).parents[1]), "<")  # this package, and code without a file
_INSTALLED = tuple(sysconfig.get_path(name) for name in ("purelib", "platlib"))
_PYTHON = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib"))
_PLACE = re.compile(r"\(([^()]+, line \d+)\)")  # in the message of a fault
_FILE = re.compile(r'File "(.+?)", line (\d+)')  # in messages of Numba, as the next one
_PIPELINE = re.compile(r"Failed in nopython mode pipeline \(step: [^)]*\)\s*")
_SHOWN_ACTIONS = 12
_WIDTH = 80  # columns of the report


@dataclass(frozen=True)
class Finding:
    """One way in which a game breaks the contract; as text, one line."""

    what: str
    got: str
    expected: str
    remedy: str
    check: str = ""

    def __str__(self) -> str:
        return f"{self.check}: {self.what}: got {self.got}, expected {self.expected}; {self.remedy}"


def of_exception(
    what: str, error: BaseException, actions: Sequence[int] | None = None, check: str = "exceptions"
) -> Finding:
    """Finding on an exception: its text, its line, and the `actions` of the match up to the one
    being played.
    """
    if isinstance(error, GameFault):
        return _of_fault(error, check)
    return _raised(what, text_of(error), place(error), actions, check)


def is_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out, which says nothing about the game."""
    return isinstance(error, MemoryError) or isinstance(error.__cause__, MemoryError)


def of_contract(what: str, got: str, remedy: str, actions: Sequence[int], check: str) -> Finding:
    """Finding on a value that breaks the contract; `got` is the text of a `BrokenContractError`."""
    given, _, expected = got.removeprefix("got ").partition(", expected ")
    return Finding(what, given + played(actions), expected, remedy, check)


def global_generators() -> dict[str, str]:
    """States of the generators that a process has once, to see later which of them was used."""
    return {
        "the module random": repr(random.getstate()),
        "numpy.random": repr(np.random.get_state()),  # noqa: NPY002 -- only read
    }


def of_chance(what: str, found: str, expected: str, before: dict[str, str]) -> Finding:
    """Finding on a match that is different when it is replayed; `before` are the states of the
    `global_generators` before that.
    """
    after = global_generators()
    used = " and ".join(name for name in before if after[name] != before[name])
    if used:
        what, found = "chance does not come from the match's rng", f"{found}; {used} was used"
    remedy = (
        "draw all chance from the rng that reset receives (self.rng = rng); use no clock and no "
        "order of a set"
    )
    return Finding(what, found, expected, remedy)


def _of_fault(fault: GameFault, check: str) -> Finding:
    during, cause = fault.record["during"], fault.record["cause"]
    actions = [*fault.record["actions"], *fault.record.get("tried", ())]
    if not fault.record["traceback"]:
        return of_contract(
            f"{during} breaks the contract", cause, str(fault).rpartition("; ")[2], actions, check
        )
    where = _PLACE.search(str(fault))
    return _raised(
        f"{during} raises an exception", cause, where[1] if where else "", actions, check
    )


def _raised(
    what: str, error: str, where: str, actions: Sequence[int] | None, check: str
) -> Finding:
    got = one_line(error) + (f" ({where})" if where else "") + played(actions)
    remedy = f"see {where}" if where else "repeat the same calls by hand to find the cause"
    return Finding(what, got, "no exception", remedy, check)


def text_of(error: BaseException) -> str:
    """`ZeroDivisionError: division by zero`; of a message of Numba the part before the trace of its
    compiler.
    """
    text = f"{type(error).__name__}: {user_code.text_of(error)}"
    return _PIPELINE.sub("", text.partition("\nDuring:")[0]) if _is_from_numba(error) else text


def _is_from_numba(error: BaseException) -> bool:
    return type(error).__module__.startswith("numba.")


def place(error: BaseException) -> str:
    """`pig.py, line 41`: the origin of an exception, in a file of the user, else in an installed
    package, else empty. Lines of this package and of Python itself are skipped.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}, line {error.lineno}"
    if _is_from_numba(error):
        named = _FILE.search(text_of(error))
        return f"{Path(named[1]).name}, line {named[2]}" if named else ""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(_OURS)
    ]
    installed = [frame for frame in frames if frame.filename.startswith(_INSTALLED)]
    theirs = [frame for frame in frames if not frame.filename.startswith((*_INSTALLED, *_PYTHON))]
    return "".join(
        f"{Path(frame.filename).name}, line {frame.lineno}" for frame in (theirs or installed)[-1:]
    )


def played(actions: Sequence[int] | None) -> str:
    """`; actions so far: 4 0`, at most the last few; empty if no match was played."""
    if actions is None:
        return ""
    if len(actions) > _SHOWN_ACTIONS:
        last = " ".join(map(str, actions[-_SHOWN_ACTIONS:]))
        return f"; {len(actions)} actions so far, the last ones: {last}"
    return f"; actions so far: {' '.join(map(str, actions)) or 'none'}"


@dataclass
class Report:
    """Names of the checks that ran, the number of matches and plies, and the findings."""

    game: str = ""
    checks: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    matches: int = 0
    plies: int = 0
    cut_after: int = 0  # plies after which unfinished matches were abandoned; 0 if none was
    hint: str = ""  # what is no mistake, but could be better
    left: int = 0  # checks that did not run because they would find the same mistakes again

    @property
    def passed(self) -> bool:
        return not self.findings

    def __str__(self) -> str:
        """Verdict, number of checks and matches, then a paragraph for each finding."""
        verdict = (
            f"{self.game}: {len(self.findings) or 'no'} finding{'s' * (len(self.findings) != 1)}"
        )
        kinds = f"{len(self.checks)} check{'s' * (len(self.checks) != 1)}"
        done = f"{kinds} on {self.matches} matches, {self.plies} plies"
        cut = (
            [f"matches cut off after {self.cut_after} plies, to save time and memory"]
            if self.cut_after
            else []
        )
        left = [f"{self.left} more to run once this is fixed"] if self.left else []
        paragraphs = [
            _paragraph(number, finding) for number, finding in enumerate(self.findings, 1)
        ]
        hint = textwrap.wrap(self.hint, _WIDTH)
        return "\n\n".join(["\n".join([verdict, done, *cut, *left, *hint]), *paragraphs])


def _paragraph(number: int, finding: Finding) -> str:
    parts = {"got": finding.got, "expected": finding.expected, "fix": finding.remedy}
    lines = [_hanging(f"   {label:<9} ", text) for label, text in parts.items()]
    return "\n".join([_hanging(f"{number}. ", f"{finding.check}: {finding.what}"), *lines])


def _hanging(label: str, text: str) -> str:
    """`text` after `label`, with hanging indentation."""
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=label,
        subsequent_indent=" " * len(label),
        break_long_words=False,
        break_on_hyphens=False,
    )
