"""Checks of what `BatchedGame` shows besides its views: a position as each seat sees it, and in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.games.conformance.findings import Finding
from sparring.games.conformance.subject import Level, Subject
from sparring.games.conformance.traces import Frame, difference, going_on, snapshot
from sparring.games.spec import BatchedGame

_SPOKEN_SLOTS = 2


def points_of_view(subject: Subject) -> Iterator[Finding]:
    """`observe_as` shows the mover what the mover sees, zeros after the end, and to other seats something else in some position."""
    game, trace, num_players = subject.fresh(), subject.trace, subject.spec.num_players
    everyone = np.arange(trace.num_matches)
    alike = True
    game.reset(everyone, trace.keys)
    for tick, (frame, actions) in enumerate(zip(trace.frames, trace.actions, strict=False)):
        own = np.array(game.observe_as(everyone, frame["seat"]))
        yield from _own_view(own, frame, tick)
        for seat in range(num_players):
            others = everyone[going_on(frame) & (frame["seat"] != seat)]
            alike &= np.array_equal(game.observe_as(others, np.full(len(others), seat)), frame["observation"][others])
        if found := difference(snapshot(game), frame, everyone, everyone):
            yield Finding("observe_as changes a match", found, "no change", "let it only read")
            return
        game.step(actions)
    if alike and num_players > 1 and not subject.spec.impartial:
        expected = "in some position, an observation that shows whose things are whose"
        remedy = "show the things of the seat that looks first, then those of the others; or declare impartial=True if all do see alike"
        yield Finding("an observation is not from the mover's view", "the same for all seats, in every position", expected, remedy)


def _own_view(own: NDArray[Any], frame: Frame, tick: int) -> Iterator[Finding]:
    expected = frame["observation"]  # zeros after the end
    if own.shape != expected.shape or own.dtype != expected.dtype:
        got, form = f"{own.dtype} {own.shape}", f"{expected.dtype} {expected.shape}"
        yield Finding("observe_as gives another shape or type", got, form, "give what observation shows, a row for each slot asked for")
    elif not np.array_equal(own, expected):
        slot = int(np.flatnonzero((own != expected).reshape(len(own), -1).any(axis=1))[0])
        what = "observe_as shows something after the end" if frame["terminated"][slot] else "observe_as shows the mover something else"
        remedy = "show a seat that moves what observation shows, and zeros after the end"
        yield Finding(what, f"a difference in slot {slot} after {tick} plies", "what observation shows", remedy)


def words(subject: Subject) -> Iterator[Finding]:
    """Positions and actions can be written for people, and writing changes nothing."""
    game, trace = subject.fresh(), subject.trace
    everyone = np.arange(trace.num_matches)
    game.reset(everyone, trace.keys)
    for frame, actions in zip(trace.frames, trace.actions, strict=False):
        for slot in range(min(_SPOKEN_SLOTS, trace.num_matches)):
            yield from _spoken(game, frame, slot)
        if found := difference(snapshot(game), frame, everyone, everyone):
            yield Finding("writing a position changes a match", found, "no change", "let text and action_text only read")
            return
        game.step(actions)


def _spoken(game: BatchedGame, frame: Frame, slot: int) -> Iterator[Finding]:
    legal = np.flatnonzero(frame["mask"][slot] & going_on(frame)[slot]).tolist()
    said: list[tuple[str, object]] = [("text", game.text(slot)), *(("action_text", game.action_text(slot, action)) for action in legal)]
    for name, words in said:
        if not isinstance(words, str) or not words or words.endswith("\n"):
            expected = "a str that is not empty and does not end in a new line"
            yield Finding(f"{name} gives no words", repr(words)[:60], expected, f"return such a str from {name}")


CHECKS: Level = {"points of view": points_of_view, "words": words}
