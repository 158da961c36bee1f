"""Checks of the recorded views: what must hold after every step of every match."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.conformance.findings import Finding
from sparring.conformance.recordings import Frame, difference, going_on
from sparring.conformance.subject import Level, Subject

_TOLERANCE = 1e-5  # of sums of float32 rewards


def beginning(subject: Subject) -> Iterator[Finding]:
    """A match begins with nothing played, nothing paid and not ended."""
    for trace in subject.traces:
        first = trace.frames[0]
        for name in ("plies", "rewards", "terminated", "truncated"):
            if np.any(first[name]):
                yield Finding(
                    f"a new match has {name}",
                    _values(first[name], first[name] != 0),
                    "zeros",
                    "clear them in reset",
                )


def seats(subject: Subject) -> Iterator[Finding]:
    """`seat` names a player, in ended matches too."""
    for tick, frame in _frames(subject):
        wrong = (frame["seat"] < 0) | (frame["seat"] >= subject.spec.num_players)
        if np.any(wrong):
            got, expected = (
                _values(frame["seat"], wrong, tick),
                f"0 to {subject.spec.num_players - 1}",
            )
            yield Finding(
                "no such seat", got, expected, "number the seats from 0, in ended matches too"
            )


def legal_moves(subject: Subject) -> Iterator[Finding]:
    """Whoever has to decide can, also in the position at which a match is cut."""
    for tick, frame in _frames(subject):
        stuck = ~frame["terminated"] & ~frame["mask"].any(axis=1)
        if np.any(stuck):
            remedy = "end the match, or offer an action that passes"
            yield Finding(
                "a match that goes on has no legal action",
                f"none in {_place(stuck, tick)}",
                "at least one",
                remedy,
            )


def endings(subject: Subject) -> Iterator[Finding]:
    """Ended matches stay as they ended, and show no position once they are terminated."""
    for tick, frame in _frames(subject):
        over = frame["terminated"]
        if np.any(both := over & frame["truncated"]):
            remedy = "truncate only what the rules have not ended"
            yield Finding(
                "a match is terminated and truncated", _place(both, tick), "one of them", remedy
            )
        if np.any(moves := over & frame["mask"].any(axis=1)):
            got = _values(frame["mask"], moves, tick)
            yield Finding(
                "a terminated match has legal actions", got, "none", "clear the mask at the end"
            )
        if np.any(shown := over & frame["observation"].reshape(len(over), -1).any(axis=1)):
            yield Finding(
                "a terminated match has an observation",
                _place(shown, tick),
                "zeros",
                "clear the observation at the end",
            )
    for trace in subject.traces:
        for tick in range(len(trace.actions)):
            yield from _changes_after_the_end(trace.frames[tick], trace.frames[tick + 1], tick + 1)


def _changes_after_the_end(before: Frame, after: Frame, tick: int) -> Iterator[Finding]:
    ended = ~going_on(before)
    if np.any(paid := after["rewards"].any(axis=1) & ended):
        yield Finding(
            "an ended match pays",
            _values(after["rewards"], paid, tick),
            "0",
            "clear the rewards in each step",
        )
    else:
        slots = np.flatnonzero(ended)
        if found := difference(
            after, {**before, "rewards": np.zeros_like(before["rewards"])}, slots, slots
        ):
            yield Finding(
                "an ended match changes",
                found,
                "the views of its end",
                "leave it alone until it is reset",
            )


def lengths(subject: Subject) -> Iterator[Finding]:
    """`plies` counts what was played, and no match goes on past `max_plies`."""
    limit = subject.spec.max_plies
    for trace in subject.traces:
        played = np.zeros(trace.num_matches, np.int64)
        for tick, frame in enumerate(trace.frames):
            if np.any(wrong := frame["plies"] != played):
                expected = _values(played, wrong, tick)
                yield Finding(
                    "plies is wrong",
                    _values(frame["plies"], wrong, tick),
                    expected,
                    "count one for each action",
                )
            if np.any(late := going_on(frame) & (played >= limit)):
                remedy = "truncate it there, or raise max_plies"
                yield Finding(
                    "a match lasts too long",
                    f"{_place(late, tick)} going on",
                    f"an end by ply {limit}",
                    remedy,
                )
            if np.any(early := frame["truncated"] & (played < limit)):
                remedy = "declare max_plies as it is applied"
                yield Finding(
                    "a match is cut early", _values(played, early, tick), f"{limit} plies", remedy
                )
            played += (trace.actions[tick] >= 0) if tick < len(trace.actions) else 0


def ending_by_rules(subject: Subject) -> Iterator[Finding]:
    """The rules end some match: what only the ply limit ends is won by nobody. Of matches that the
    check cut short nobody knows.
    """
    cut_short = any(trace.cut_after for trace in subject.traces)
    if not cut_short and not any(trace.frames[-1]["terminated"].any() for trace in subject.traces):
        got = f"none of {sum(trace.num_matches for trace in subject.traces)} random matches within max_plies = {subject.spec.max_plies}"
        remedy = "return ended = True from step when the match is decided, or raise max_plies"
        yield Finding("no match ever ends", got, "some matches that end by the rules", remedy)


def finite_rewards(subject: Subject) -> Iterator[Finding]:
    """Rewards are numbers."""
    for tick, frame in _frames(subject):
        if np.any(wrong := ~np.isfinite(frame["rewards"])):
            got = _values(frame["rewards"], wrong, tick)
            yield Finding("a reward is not finite", got, "a number", "pay what can be added up")


def zero_sum(subject: Subject) -> Iterator[Finding]:
    """Rewards cancel in each step, where the game says that it is zero-sum."""
    for tick, frame in _frames(subject):
        with np.errstate(invalid="ignore"):  # not finite: a finding of its own
            wrong = np.abs(frame["rewards"].sum(axis=1)) > _TOLERANCE
        if subject.spec.zero_sum and np.any(wrong):
            remedy = "pay the others the opposite, or declare zero_sum=False"
            yield Finding(
                "rewards do not cancel",
                _values(frame["rewards"], wrong, tick),
                "a sum of 0",
                remedy,
            )


def declared_returns(subject: Subject) -> Iterator[Finding]:
    """What a match pays a seat lies in the declared range."""
    if subject.spec.returns is None:
        return
    low, high = subject.spec.returns
    for trace in subject.traces:
        with np.errstate(invalid="ignore"):
            paid = np.sum([frame["rewards"] for frame in trace.frames], axis=0)
        if np.any(wrong := (paid < low - _TOLERANCE) | (paid > high + _TOLERANCE)):
            yield Finding(
                "a match pays too much or too little",
                _values(paid, wrong),
                f"{low} to {high}",
                "declare returns as they are",
            )


def _frames(subject: Subject) -> Iterator[tuple[int, Frame]]:
    for trace in subject.traces:
        yield from enumerate(trace.frames)


def _place(wrong: NDArray[np.bool_], tick: int | None = None) -> str:
    """Where the first of the `wrong` [n] or [n, …] is."""
    slot = int(np.argwhere(wrong)[0, 0])
    return f"slot {slot}" if tick is None else f"slot {slot} after {tick} plies"


def _values(values: NDArray[Any], wrong: NDArray[np.bool_], tick: int | None = None) -> str:
    """The first row of `values` that is `wrong`, and where it is."""
    return f"{values[np.argwhere(wrong)[0, 0]].tolist()} in {_place(wrong, tick)}"


CHECKS: Level = {
    "beginning": beginning,
    "seats": seats,
    "legal moves": legal_moves,
    "endings": endings,
    "lengths": lengths,
    "ending by rules": ending_by_rules,
    "finite rewards": finite_rewards,
    "zero-sum": zero_sum,
    "returns": declared_returns,
}
