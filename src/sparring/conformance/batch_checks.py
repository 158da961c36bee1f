"""Checks that play recorded matches again: as they were, scattered, interrupted, restored,
relabelled.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.conformance.findings import Finding, is_of_memory
from sparring.conformance.recordings import (
    VIEWS,
    Frame,
    Trace,
    difference,
    going_on,
    replay,
    replay_scattered,
    resume,
    snapshot,
)
from sparring.conformance.subject import Level, Subject
from sparring.errors import IllegalAction
from sparring.games.spec import BatchedGame, StateTree, Symmetry

_AS_RECORDED = "the views that were recorded"


def views_in_place(subject: Subject) -> Iterator[Finding]:
    """The views are the same arrays for ever: others keep them."""
    game, trace = subject.fresh(), subject.trace
    kept = {name: getattr(game, name) for name in VIEWS}
    replay(game, trace, trace.keys)
    game.set_state(game.get_state())
    for name, view in kept.items():
        if getattr(game, name) is not view:
            yield Finding(
                f"{name} is replaced by another array",
                "a new array",
                "the same, overwritten",
                f"assign to {name}[...]",
            )


def reproducible(subject: Subject) -> Iterator[Finding]:
    """Keys and actions determine a match, whatever the game object has played before."""
    if found := replay(subject.fresh(), subject.trace, subject.trace.keys):
        remedy = "draw chance from the match's key only, and clear everything in reset"
        yield Finding("the same keys and actions give another match", found, _AS_RECORDED, remedy)


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


def independent_slots(subject: Subject) -> Iterator[Finding]:
    """A match is the same in another slot, beside other matches, and when these begin."""
    if found := replay_scattered(subject.fresh(), subject.trace):
        yield Finding(
            "a match depends on its slot or on other slots",
            found,
            _AS_RECORDED,
            "keep nothing that matches share",
        )


def restarting(subject: Subject) -> Iterator[Finding]:
    """`reset` begins a match anew, in mid-match and straight after its end, and touches no other
    slot.
    """
    game, trace = subject.fresh(), subject.trace
    everyone = np.arange(trace.num_matches)
    game.reset(everyone, trace.keys)
    restarted = np.zeros(trace.num_matches, np.bool_)
    for tick, actions in enumerate(trace.actions):
        game.step(np.where(restarted, -1, actions))
        after = trace.frames[tick + 1]
        now = ~restarted & (~going_on(after) | (everyone == tick))
        game.reset(everyone[now], trace.keys[now])
        restarted |= now
        if found := difference(
            snapshot(game), trace.frames[0], everyone[restarted], everyone[restarted]
        ):
            yield Finding(
                "reset does not begin anew",
                f"{found}, after {tick + 1} plies",
                "a first position",
                "clear all in reset",
            )
        if found := difference(snapshot(game), after, everyone[~restarted], everyone[~restarted]):
            yield Finding(
                "reset changes another slot",
                f"{found}, after {tick + 1} plies",
                _AS_RECORDED,
                "change the slots that are named",
            )


def waiting(subject: Subject) -> Iterator[Finding]:
    """-1 leaves a slot as it is, with rewards of 0."""
    game, trace = subject.fresh(), subject.trace
    everyone = np.arange(trace.num_matches)
    game.reset(everyone, trace.keys)
    for frame, actions in zip(trace.frames, trace.actions, strict=False):
        game.step(np.full(trace.num_matches, -1))
        if found := difference(
            snapshot(game),
            {**frame, "rewards": np.zeros_like(frame["rewards"])},
            everyone,
            everyone,
        ):
            yield Finding(
                "-1 changes a slot",
                found,
                "all as before, rewards 0",
                "skip slots whose action is -1",
            )
            return
        game.step(actions)
    if found := difference(snapshot(game), trace.frames[-1], everyone, everyone):
        yield Finding(
            "matches that waited go on otherwise",
            found,
            _AS_RECORDED,
            "skip slots whose action is -1",
        )


def illegal_actions(subject: Subject) -> Iterator[Finding]:
    """An illegal action raises `IllegalAction` before any slot has changed."""
    game, trace = subject.fresh(), subject.trace
    game.reset(np.arange(trace.num_matches), trace.keys)
    for frame, actions in zip(trace.frames, trace.actions, strict=False):
        for what, slot, action in _illegal_in(frame, subject.spec.num_actions):
            yield from _refuses(
                game, what, slot, np.where(np.arange(trace.num_matches) == slot, action, actions)
            )
        try:
            game.step(actions)
        except IllegalAction:  # the match was changed, which is a finding already
            return


def _illegal_in(frame: Frame, num_actions: int) -> Iterator[tuple[str, int, int]]:
    """(what, slot, action): in the last slot that allows for it, so that slots before it would be
    played first.
    """
    masked = np.argwhere(~frame["mask"] & going_on(frame)[:, None])
    if len(masked):
        yield "a masked action", int(masked[-1, 0]), int(masked[-1, 1])
    for how in ("terminated", "truncated"):
        ended = np.flatnonzero(frame[how])
        if len(ended):
            yield (
                f"an action in a {how} match",
                int(ended[-1]),
                int(frame["mask"][ended[-1]].argmax()),
            )
    yield "an action below -1", len(frame["mask"]) - 1, -2
    yield "an action past the last", len(frame["mask"]) - 1, num_actions


def _refuses(
    game: BatchedGame, what: str, slot: int, actions: NDArray[np.int64]
) -> Iterator[Finding]:
    before, state = snapshot(game), copy.deepcopy(game.get_state())
    happened, got = _response(game, before, state, actions)
    if happened:
        expected, remedy = (
            "IllegalAction, with nothing changed",
            "check the actions of all slots before the first is played",
        )
        yield Finding(
            f"{what} {happened}", f"{got} after {actions[slot]} in slot {slot}", expected, remedy
        )
        game.set_state(state)


def _response(
    game: BatchedGame, before: Frame, state: StateTree, actions: NDArray[np.int64]
) -> tuple[str, str]:
    """(what, got) where the response to illegal `actions` is wrong, else empty."""
    try:
        game.step(actions)
    except IllegalAction:
        everyone = np.arange(len(actions))
        found = difference(snapshot(game), before, everyone, everyone)
        if not found and not _equal(game.get_state(), state):
            found = "another get_state()"
        return ("is refused after something has changed", found) if found else ("", "")
    except Exception as error:
        if is_of_memory(error):
            raise
        return "raises another error", type(error).__name__
    return "is accepted", "no error"


def restoring(subject: Subject) -> Iterator[Finding]:
    """`set_state` goes back exactly, here and in another game, and what `get_state` gave is the
    caller's own.
    """
    trace = subject.trace
    for tick in sorted({0, len(trace.actions) // 2, len(trace.actions) - 1}):
        game = subject.fresh()
        game.reset(np.arange(trace.num_matches), trace.keys)
        for actions in trace.actions[:tick]:
            game.step(actions)
        state = game.get_state()
        kept = copy.deepcopy(state)
        yield from _goes_on(game, trace, tick, "get_state disturbs the matches")
        game.set_state(state)
        yield from _goes_on(game, trace, tick, "set_state does not go back exactly")
        if not _equal(state, kept):
            yield Finding(
                "a state changes while the game goes on",
                "shared arrays",
                "copies",
                "copy in get_state and in set_state",
            )
        other = subject.fresh()
        other.set_state(kept)
        yield from _goes_on(other, trace, tick, "another game does not go on from a state")


def _goes_on(game: BatchedGame, trace: Trace, tick: int, what: str) -> Iterator[Finding]:
    remedy = "store and restore all of the match, its chance, rewards and counters"
    try:
        found = resume(game, trace, tick)
    except IllegalAction as error:
        found = str(error)
    if found:
        yield Finding(what, found, _AS_RECORDED, remedy)


def _equal(a: StateTree, b: StateTree) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


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


LEVELS: tuple[Level, ...] = (
    {"views in place": views_in_place, "reproducible": reproducible},
    {
        "declared chance": declared_chance,
        "independent slots": independent_slots,
        "restarting": restarting,
        "waiting": waiting,
    },
    {"illegal actions": illegal_actions, "restoring": restoring, "symmetries": symmetries},
)


# Checks of what `BatchedGame` shows besides its views: a position as each seat sees it, and in
# words.


_SPOKEN_SLOTS = 2


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


CHECKS: Level = {"points of view": points_of_view, "words": words}
