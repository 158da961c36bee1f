"""Checks that a game keeps the contract of `BatchedGame`: for every built-in game, every adapter, and the games of users.

Random matches are played and recorded, and played again in ways that must make no difference.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np

from sparring.games.conformance import declaration, replays, tactics, views
from sparring.games.conformance.report import Check, Factory, Finding, Report, Subject
from sparring.games.conformance.traces import record

__all__ = ["Factory", "Finding", "Report", "check"]

NUM_SLOTS = 32


def check(factory: Factory, *, matches: int = 256, seed: int = 0) -> Report:
    """Every check on the game that `factory(num_slots)` makes, with at least `matches` random matches.

    Exceptions of the game become findings, once it could be made at all.
    """
    subject = Subject(factory, factory(min(matches, NUM_SLOTS)), seed)
    report = Report(subject.spec.name)
    _run(declaration.CHECKS, subject, report)
    if report.passed:
        _run({"play": lambda played: _play(played, matches)}, subject, report)
    if report.passed:
        _run({**views.CHECKS, **replays.CHECKS, **tactics.CHECKS}, subject, report)
    report.matches = sum(trace.num_matches for trace in subject.traces)
    report.plies = sum(trace.num_plies for trace in subject.traces)
    return report


def _play(subject: Subject, matches: int) -> Iterator[Finding]:
    """Record the matches that the later checks look at; only what is raised here is a finding."""
    rng = np.random.default_rng(subject.seed)
    while sum(trace.num_matches for trace in subject.traces) < matches:
        keys = rng.integers(2**64, size=subject.game.num_slots, dtype=np.uint64)
        subject.traces.append(record(subject.game, keys, rng))
    yield from ()


def _run(checks: Mapping[str, Check], subject: Subject, report: Report) -> None:
    for name, test in checks.items():
        report.checks.append(name)
        report.findings += _findings(name, test, subject)


def _findings(name: str, test: Check, subject: Subject) -> Iterator[Finding]:
    """What one check finds, the first of each kind."""
    seen: set[str] = set()
    try:
        for finding in test(subject):
            if finding.what not in seen:
                seen.add(finding.what)
                yield dataclasses.replace(finding, check=name)
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        remedy = "make the same calls by hand to see where it comes from"
        yield Finding("the game raised an exception", text, "none", remedy, check=name)
