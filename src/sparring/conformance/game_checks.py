"""Checks of every game, whatever offers it the batched protocol: what is declared, paid and shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.conformance.findings import Finding
from sparring.conformance.recordings import (
    AS_RECORDED,
    Frame,
    Trace,
    difference,
    frames,
    going_on,
    replay,
    row,
    snapshot,
)
from sparring.conformance.subject import Level, Subject
from sparring.errors import IllegalAction
from sparring.games.spec import BatchedGame, Symmetry, mistakes

_TOLERANCE = 1e-5  # of sums of float32 rewards
_SPOKEN_SLOTS = 2


def declared_facts(subject: Subject) -> Iterator[Finding]:
    """Facts that make sense by themselves."""
    yield from (Finding(*mistake) for mistake in mistakes(subject.spec))


def ending_by_rules(subject: Subject) -> Iterator[Finding]:
    """The rules end some match: what only the ply limit ends is won by nobody. Of matches that the
    check cut short nobody knows.
    """
    cut_short = any(trace.cut_after for trace in subject.traces)
    if not cut_short and not any(trace.frames[-1]["terminated"].any() for trace in subject.traces):
        got = f"none of {sum(trace.num_matches for trace in subject.traces)} random matches within max_plies = {subject.spec.max_plies}"
        remedy = "return ended = True from step when the match is decided, or raise max_plies"
        yield Finding("no match ever ends", got, "some matches that end by the rules", remedy)


def zero_sum(subject: Subject) -> Iterator[Finding]:
    """Rewards cancel in each step, where the game says that it is zero-sum."""
    for tick, frame in frames(subject.traces):
        with np.errstate(invalid="ignore"):  # not finite: a finding of its own
            wrong = np.abs(frame["rewards"].sum(axis=1)) > _TOLERANCE
        if subject.spec.zero_sum and np.any(wrong):
            remedy = "pay the others the opposite, or declare zero_sum=False"
            yield Finding(
                "rewards do not cancel",
                row(frame["rewards"], wrong, tick),
                "a sum of 0",
                remedy,
            )


def declared_returns(subject: Subject) -> Iterator[Finding]:
    """The return of a seat lies in the declared range."""
    if subject.spec.returns is None:
        return
    low, high = subject.spec.returns
    for trace in subject.traces:
        with np.errstate(invalid="ignore"):
            paid = np.sum([frame["rewards"] for frame in trace.frames], axis=0)
        if np.any(wrong := (paid < low - _TOLERANCE) | (paid > high + _TOLERANCE)):
            yield Finding(
                "a match pays too much or too little",
                row(paid, wrong),
                f"{low} to {high}",
                "declare returns as they are",
            )


def reproducible(subject: Subject) -> Iterator[Finding]:
    """Keys and actions determine a match, whatever the game object has played before."""
    if found := replay(subject.fresh(), subject.trace, subject.trace.keys):
        remedy = "draw chance from the match's key only, and clear everything in reset"
        yield Finding("the same keys and actions give another match", found, AS_RECORDED, remedy)


def declared_chance(subject: Subject) -> Iterator[Finding]:
    """Without chance a match follows from its actions, whatever its key."""
    if not subject.spec.chance and (
        found := replay(subject.fresh(), subject.trace, ~subject.trace.keys)
    ):
        yield Finding(
            "another key gives another match",
            found,
            "the same, as chance=False says",
            "declare chance=True",
        )


def symmetries(subject: Subject) -> Iterator[Finding]:
    """A relabelled match shows relabelled views. Not with chance: a relabelled match need not draw
    relabelled chance.
    """
    if subject.spec.chance:
        return
    for number, symmetry in enumerate(subject.spec.symmetries):
        try:
            found = replay(
                subject.fresh(), _relabelled(subject.trace, symmetry), subject.trace.keys
            )
        except IllegalAction as error:
            found = str(error)
        if found:
            remedy = "observation and action list for each new place the old one, and the rules must not change"
            yield Finding(
                "a symmetry is none",
                f"with symmetry {number}, {found}",
                "the relabelled match",
                remedy,
            )


def _relabelled(trace: Trace, symmetry: Symmetry) -> Trace:
    new_name = np.argsort(symmetry.action)
    frames = [{**frame, **_relabelled_views(frame, symmetry)} for frame in trace.frames]
    return Trace(
        trace.keys,
        frames,
        [np.where(actions < 0, -1, new_name[actions]) for actions in trace.actions],
    )


def _relabelled_views(frame: Frame, symmetry: Symmetry) -> dict[str, NDArray[Any]]:
    observation = frame["observation"]
    flat = observation.reshape(len(observation), -1)[:, list(symmetry.observation)]
    return {
        "observation": flat.reshape(observation.shape),
        "mask": frame["mask"][:, list(symmetry.action)],
    }


def points_of_view(subject: Subject) -> Iterator[Finding]:
    """`observe_as` shows the mover what the mover sees, zeros after the end, and to other seats
    something else in some position.
    """
    game, trace, num_players = subject.fresh(), subject.trace, subject.spec.num_players
    everyone = np.arange(trace.num_matches)
    alike = True
    game.reset(everyone, trace.keys)
    for tick, (frame, actions) in enumerate(zip(trace.frames, trace.actions, strict=False)):
        own = np.array(game.observe_as(everyone, frame["seat"]))
        yield from _own_view(own, frame, tick)
        for seat in range(num_players):
            others = everyone[going_on(frame) & (frame["seat"] != seat)]
            alike &= np.array_equal(
                game.observe_as(others, np.full(len(others), seat)), frame["observation"][others]
            )
        if found := difference(snapshot(game), frame, everyone, everyone):
            yield Finding("observe_as changes a match", found, "no change", "let it only read")
            return
        game.step(actions)
    if alike and num_players > 1 and not subject.spec.impartial:
        expected = "in some position, an observation that shows whose things are whose"
        remedy = "show the things of the seat that looks first, then those of the others; or declare impartial=True if all do see alike"
        yield Finding(
            "an observation is not from the mover's view",
            "the same for all seats, in every position",
            expected,
            remedy,
        )


def _own_view(own: NDArray[Any], frame: Frame, tick: int) -> Iterator[Finding]:
    expected = frame["observation"]  # zeros after the end
    if own.shape != expected.shape or own.dtype != expected.dtype:
        got, form = f"{own.dtype} {own.shape}", f"{expected.dtype} {expected.shape}"
        yield Finding(
            "observe_as gives another shape or type",
            got,
            form,
            "give what observation shows, a row for each slot asked for",
        )
    elif not np.array_equal(own, expected):
        slot = int(np.flatnonzero((own != expected).reshape(len(own), -1).any(axis=1))[0])
        what = (
            "observe_as shows something after the end"
            if frame["terminated"][slot]
            else "observe_as shows the mover something else"
        )
        remedy = "show a seat that moves what observation shows, and zeros after the end"
        yield Finding(
            what,
            f"a difference in slot {slot} after {tick} plies",
            "what observation shows",
            remedy,
        )


def words(subject: Subject) -> Iterator[Finding]:
    """Positions and actions can be written for people, and writing changes nothing."""
    game, trace = subject.fresh(), subject.trace
    everyone = np.arange(trace.num_matches)
    game.reset(everyone, trace.keys)
    for frame, actions in zip(trace.frames, trace.actions, strict=False):
        for slot in range(min(_SPOKEN_SLOTS, trace.num_matches)):
            yield from _spoken(game, frame, slot)
        if found := difference(snapshot(game), frame, everyone, everyone):
            yield Finding(
                "writing a position changes a match",
                found,
                "no change",
                "let text and action_text only read",
            )
            return
        game.step(actions)


def _spoken(game: BatchedGame, frame: Frame, slot: int) -> Iterator[Finding]:
    legal = np.flatnonzero(frame["mask"][slot] & going_on(frame)[slot]).tolist()
    said: list[tuple[str, object]] = [
        ("text", game.text(slot)),
        *(("action_text", game.action_text(slot, action)) for action in legal),
    ]
    for name, words in said:
        if not isinstance(words, str) or not words or words.endswith("\n"):
            expected = "a str that is not empty and does not end in a new line"
            yield Finding(
                f"{name} gives no words",
                repr(words)[:60],
                expected,
                f"return such a str from {name}",
            )


FACTS: Level = {"declared facts": declared_facts}
# as many levels as `batch_checks` has, which run together
LEVELS: tuple[Level, ...] = (
    {"ending by rules": ending_by_rules, "zero-sum": zero_sum, "returns": declared_returns},
    {"reproducible": reproducible},
    {"declared chance": declared_chance},
    {"symmetries": symmetries},
    {"points of view": points_of_view, "words": words},
)
