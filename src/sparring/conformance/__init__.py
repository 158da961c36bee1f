"""Checks that a game keeps the contract of `BatchedGame`.

Random matches are recorded, then replayed in ways that must make no difference. A game in plain
Python is first checked object by object. Views and methods of the batched protocol are checked only
where a class offers the protocol itself; our own wrappers are checked by tests.

The checks form levels. Once a level has findings, the later levels do not run: they would find the
same mistakes again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from sparring.conformance import (
    afterstate_checks,
    batch_checks,
    game_checks,
    match_checks,
    other_process,
    rules_checks,
    view_checks,
)
from sparring.conformance.findings import Finding, Report, is_of_memory, of_exception
from sparring.conformance.recordings import record
from sparring.conformance.subject import Check, Factory, Level, Subject
from sparring.conformance.watched_match import Broken
from sparring.errors import ConfigurationError, InputError, UserCodeError
from sparring.games.faults import is_ctrl_c

__all__ = ["Factory", "Finding", "Report", "check"]

NUM_SLOTS = 32
_MAX_STEPS = 2500  # plies; longer matches are cut off
_MAX_BYTES = 2**30  # of all recorded frames; matches are cut off beyond it


def check(
    factory: Factory,
    name: str | None = None,
    *,
    matches: int = 256,
    seed: int = 0,
    batched: bool = False,
) -> Report:
    """Check the game that `factory(num_slots)` makes, with at least `matches` random matches.

    With a `name`, other processes make the game by it too. `batched` also checks the batched
    protocol of our own wrappers, for tests. Exceptions of the game become findings. Raises
    `InputError` if the game does not exist or memory does not suffice.
    """
    report = Report(name or str(getattr(factory, "__name__", "game")))
    try:
        return _checked(factory, name, matches, seed, batched, report)
    except MemoryError as error:
        raise ConfigurationError(
            f"not enough memory for {report.game}",
            got=f"MemoryError {error}".strip(),
            expected=f"memory for {min(matches, NUM_SLOTS)} matches side by side",
            remedy="declare a smaller observation",
        ) from error


def _checked(
    factory: Factory, name: str | None, matches: int, seed: int, batched: bool, report: Report
) -> Report:
    try:
        subject = Subject(factory, factory(min(matches, NUM_SLOTS)), seed, matches, name)
    except BaseException as failure:
        error = failure
        if isinstance(failure, InputError):
            if not isinstance(failure, UserCodeError) or failure.__cause__ is None:
                raise
            error = failure.__cause__
        if is_ctrl_c(error):
            raise
        _raise_of_memory(error)
        report.checks.append("making")
        report.findings.append(of_exception("the game cannot be made", error, check="making"))
        return report
    report.game = subject.spec.name
    report.hint = afterstate_checks.hint(subject)
    levels = _levels(subject, batched=batched or subject.offers_batches)
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


def _levels(subject: Subject, *, batched: bool) -> tuple[Level, ...]:
    lines = (match_checks.METHODS, match_checks.PLAYING, *match_checks.LEVELS)
    pairs = zip(batch_checks.LEVELS, game_checks.LEVELS, strict=True)
    return (
        game_checks.FACTS,
        *(lines if subject.new_match else ()),
        *((view_checks.FORM,) if batched else ()),
        *(rules_checks.LEVELS if rules_checks.is_compiled(subject) else ()),
        *afterstate_checks.levels(subject),
        {"play": _play},
        *({**batch, **game} if batched else game for batch, game in pairs),
        *((other_process.CHECKS,) if subject.name else ()),
    )


def _play(subject: Subject) -> Iterator[Finding]:
    """Record matches for the later checks. Only exceptions are findings."""
    rng = np.random.default_rng(subject.seed)
    share = _MAX_BYTES // -(-subject.matches // subject.game.num_slots)  # per trace
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
    """Findings of one check; of each kind only the first."""
    seen: set[str] = set()
    try:
        for finding in test(subject):
            if finding.what not in seen:
                seen.add(finding.what)
                yield dataclasses.replace(finding, check=finding.check or name)
    except Broken as broken:
        yield broken.finding
    except BaseException as error:
        if is_ctrl_c(error):
            raise
        _raise_of_memory(error)
        yield of_exception("the game raises an exception", error, check=name)


def _raise_of_memory(error: BaseException) -> None:
    if is_of_memory(error):
        raise MemoryError(str(error)) from error
