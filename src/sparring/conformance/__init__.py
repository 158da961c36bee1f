"""Checks that a game keeps the contract of `BatchedGame`: for every built-in game, every adapter,
and the games of users.

Random matches are played and recorded, and played again in ways that must make no difference. A
game in plain Python is looked at object by object first. The checks stand in levels: what one level
finds would show in the later ones again, so they are left out then.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from sparring.conformance import (
    batch_checks,
    declaration,
    match_checks,
    other_process,
    rules_checks,
    tactics,
    view_checks,
)
from sparring.conformance.findings import Finding, Report, is_of_memory, of_exception
from sparring.conformance.recordings import record
from sparring.conformance.subject import Check, Factory, Level, Subject
from sparring.conformance.watched_match import Broken
from sparring.errors import ConfigurationError, InputError

__all__ = ["Factory", "Finding", "Report", "check"]

NUM_SLOTS = 32
_MAX_STEPS = 2500  # plies of a match; longer ones are cut short
_MAX_BYTES = 2**30  # of all that is recorded; matches are cut short where it would be more


def check(
    factory: Factory, name: str | None = None, *, matches: int = 256, seed: int = 0
) -> Report:
    """Every check on the game that `factory(num_slots)` makes, with at least `matches` random
    matches.

    With a `name`, the game is made by it in other processes too. Exceptions of the game become
    findings; only `InputError` is raised: there is no such game, or not enough memory for it.
    """
    report = Report(name or str(getattr(factory, "__name__", "game")))
    try:
        return _checked(factory, name, matches, seed, report)
    except MemoryError as error:
        got, expected = (
            f"MemoryError {error}".strip(),
            f"room for {min(matches, NUM_SLOTS)} matches side by side",
        )
        remedy = "check fewer matches, or declare a smaller observation"
        raise ConfigurationError(
            f"{report.game} takes more memory than there is",
            got=got,
            expected=expected,
            remedy=remedy,
        ) from error


def _checked(factory: Factory, name: str | None, matches: int, seed: int, report: Report) -> Report:
    try:
        subject = Subject(factory, factory(min(matches, NUM_SLOTS)), seed, matches, name)
    except InputError:
        raise
    except Exception as error:
        _raise_of_memory(error)
        report.checks.append("making")
        report.findings.append(of_exception("the game cannot be made", error, check="making"))
        return report
    report.game = subject.spec.name
    levels = _levels(subject)
    for level in levels:
        if report.passed:
            _run(level, subject, report)
    report.left = len({name for level in levels for name in level} - {*report.checks})
    report.matches = sum(trace.num_matches for trace in subject.traces) or len(subject.lines)
    report.cut_after = max((trace.cut_after for trace in subject.traces), default=0)
    report.plies = sum(trace.num_plies for trace in subject.traces) or sum(
        len(line.actions) for line in subject.lines
    )
    return report


def _levels(subject: Subject) -> tuple[Level, ...]:
    own = (
        (match_checks.METHODS, match_checks.PLAYING, *match_checks.LEVELS)
        if subject.new_match
        else ()
    )
    compiled = (rules_checks.CHECKS,) if rules_checks.is_compiled(subject) else ()
    named = (other_process.CHECKS,) if subject.name else ()
    batched = (
        declaration.VIEWS,
        *compiled,
        {"play": _play},
        view_checks.CHECKS,
        *batch_checks.LEVELS,
        {**batch_checks.CHECKS, **tactics.CHECKS},
    )
    return (declaration.FACTS, *own, *batched, *named)


def _play(subject: Subject) -> Iterator[Finding]:
    """Record the matches that the later checks look at; only what is raised here is a finding."""
    rng = np.random.default_rng(subject.seed)
    share = _MAX_BYTES // -(-subject.matches // subject.game.num_slots)  # of each trace
    while sum(trace.num_matches for trace in subject.traces) < subject.matches:
        keys = rng.integers(2**64, size=subject.game.num_slots, dtype=np.uint64)
        subject.traces.append(
            record(subject.game, keys, rng, max_steps=_MAX_STEPS, max_bytes=share)
        )
    yield from ()


def _run(level: Level, subject: Subject, report: Report) -> None:
    for name, test in level.items():
        if name not in report.checks:
            report.checks.append(name)
        known = {(finding.what, finding.got) for finding in report.findings}
        report.findings += [
            finding
            for finding in _findings(name, test, subject)
            if (finding.what, finding.got) not in known
        ]


def _findings(name: str, test: Check, subject: Subject) -> Iterator[Finding]:
    """What one check finds, the first of each kind."""
    seen: set[str] = set()
    try:
        for finding in test(subject):
            if finding.what not in seen:
                seen.add(finding.what)
                yield dataclasses.replace(finding, check=finding.check or name)
    except Broken as broken:
        yield broken.finding
    except Exception as error:
        _raise_of_memory(error)
        yield of_exception("the game raises an exception", error, check=name)


def _raise_of_memory(error: Exception) -> None:
    if is_of_memory(error):
        raise MemoryError(str(error)) from error
