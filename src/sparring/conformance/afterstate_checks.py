"""Checks of positions after moves: `after` of a plain class, `move` of compiled rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from sparring.conformance.findings import Finding, played
from sparring.conformance.recordings import in_progress
from sparring.conformance.rules_checks import compiled_game, is_compiled, played_in_plain_python
from sparring.conformance.subject import Level, Subject
from sparring.conformance.watched_match import Line, WatchedMatch
from sparring.games.compiled.jit import interpreted
from sparring.games.rng import CHANCE, purpose_key

_LINES = 8  # matches of a class in which `after` is asked
_MOVES = 8  # asked in one position
_STREAMS = 4  # with which `play` is tried
_TOLERANCE = 1e-5


def hint(subject: Subject) -> str:
    """A line for a game with chance without positions after moves, else empty."""
    spec = subject.spec
    if not spec.chance or spec.hidden_information or spec.afterstates:
        return ""
    if is_compiled(subject):
        wanted = "a function move"
    elif subject.new_match is not None and not subject.is_adapted:
        wanted = "a method after(action)"
    else:
        return ""
    return f"hint: with {wanted} agents may learn far faster: docs/your-game.md, section 6"


def after(subject: Subject) -> Iterator[Finding]:
    """`after` of a class returns an observation, the same one twice, draws nothing, and leaves the
    match alone.
    """
    for line in subject.lines[:_LINES]:
        yield from _after_in(subject, line)


def _after_in(subject: Subject, line: Line) -> Iterator[Finding]:
    assert subject.new_match is not None
    match = WatchedMatch(subject.new_match(), subject.spec)
    match.reset(line.key)
    for ply, action in enumerate(line.actions):
        before, stream = line.positions[ply], match.stream()
        for tried in np.flatnonzero(before.mask)[:_MOVES].tolist():
            shown = match.after(tried)
            where = f"after({tried}){played(match.actions)}"
            if not np.array_equal(shown, match.after(tried)):
                yield _wrong("answers differently when it is asked again", where)
            if match.stream() != stream:
                yield _wrong("draws from the match's rng", where)
                return
            if found := match.position().difference(before):
                yield _wrong("changes the match", f"{found} after {where}")
                return
        _, ended = match.step(action)
        if ended != (ply + 1 == len(line.positions)):
            yield _wrong("changes the match", f"another end at ply {ply + 1}")
            return
        if not ended and (found := match.position().difference(line.positions[ply + 1])):
            yield _wrong("changes the match", f"{found}, after {ply + 1} plies")
            return


def _wrong(what: str, got: str) -> Finding:
    return Finding(
        f"after() {what}",
        got,
        "an observation of the position after the move and before chance, and nothing else done",
        "calculate it from the position; change the match and draw in step only",
    )


def move(subject: Subject) -> Iterator[Finding]:
    """`move` of compiled rules draws nothing, and agrees with `play` where that draws nothing or
    where the match ends.
    """
    trial = _Moves(compiled_game(subject).rules, subject)
    _, trace = played_in_plain_python(subject)
    for match in range(trace.num_matches):
        yield from trial.found_in(trace, match)


class _Moves:
    """`move` and `play` of rules in plain Python, tried on copies of a state."""

    def __init__(self, rules: Any, subject: Subject) -> None:
        self._start, self._legal, self._observe, self._play, self._move = (
            interpreted(getattr(rules, name))
            for name in ("start", "legal", "observe", "play", "move")
        )
        self._spec, self._state = subject.spec, rules.STATE

    def found_in(self, trace: Any, match: int) -> Iterator[Finding]:
        """Findings along one recorded match."""
        state = np.zeros(1, self._state)[0]
        stream = np.array([purpose_key(trace.keys[match], CHANCE), 0], np.uint64)
        self._start(state, stream)
        for frame, actions in zip(trace.frames, trace.actions, strict=False):
            if not in_progress(frame)[match]:
                return
            legal = np.zeros(self._spec.num_actions, np.bool_)
            self._legal(state, legal)
            for action in np.flatnonzero(legal)[:_MOVES].tolist():
                yield from self._tried(state, action, stream)
            rewards = np.zeros(self._spec.num_players, np.float32)
            self._play(state, int(actions[match]), rewards, stream)

    def _tried(self, state: Any, action: int, stream: Any) -> Iterator[Finding]:
        ended, paid, moved, drew = self._done(self._move, state, action, stream)
        if drew:
            yield _disagrees("draws from the match's rng", action, "draw in play, after the move")
            return
        again = self._done(self._move, state, action, np.array([stream[0] + np.uint64(1), 0]))
        if again[2].tobytes() != moved.tobytes():
            yield _disagrees("leads to different positions", action, "draw in play, after the move")
        if not 0 <= moved["seat"] < self._spec.num_players:
            yield _disagrees(f"sets seat {moved['seat']}", action, "set the seat that comes next")
            return
        for number in range(_STREAMS):
            other = np.array([stream[0] + np.uint64(number), stream[1]], np.uint64)
            ends, pays, position, drew = self._done(self._play, state, action, other)
            if drew and not ended:
                continue
            yield from self._compared(
                (ended, paid, moved), (ends, pays, position), action, drew=drew
            )

    def _compared(
        self, moved: tuple[bool, Any, Any], done: tuple[bool, Any, Any], action: int, *, drew: bool
    ) -> Iterator[Finding]:
        why = "play ends the match whenever move does, and does the same where it draws nothing"
        if moved[0] != done[0]:
            yield _disagrees("and play do not end the match alike", action, why)
        elif not np.allclose(moved[1], done[1], _TOLERANCE, _TOLERANCE):
            yield _disagrees("and play pay different rewards", action, why)
        elif not drew and not moved[0] and self._differ(moved[2], done[2]):
            yield _disagrees("and play lead to different positions without chance", action, why)

    def _differ(self, one: Any, other: Any) -> bool:
        if one["seat"] != other["seat"]:
            return True
        return not np.array_equal(self._shown(one), self._shown(other))

    def _shown(self, state: Any) -> Any:
        seen = np.zeros(self._spec.observation_shape, self._spec.observation_dtype)
        self._observe(state, seen)
        return seen

    def _done(
        self, function: Any, state: Any, action: int, stream: Any
    ) -> tuple[bool, Any, Any, bool]:
        """(ended, rewards, state, whether it drew) on copies."""
        copy, own = np.zeros(1, self._state), stream.astype(np.uint64)
        copy[0] = state
        rewards = np.zeros(self._spec.num_players, np.float32)
        ended = bool(function(copy[0], action, rewards, own))
        return ended, rewards, copy[0], bool((own != stream).any())


def _disagrees(what: str, action: int, remedy: str) -> Finding:
    return Finding(f"move {what}", f"action {action}", "what play does before it draws", remedy)


def levels(subject: Subject) -> tuple[Level, ...]:
    """The check of what the game offers, if it does."""
    if subject.new_match is not None and subject.spec.afterstates == "own":
        return ({"after": after},)
    if is_compiled(subject) and hasattr(compiled_game(subject).rules, "move"):
        return ({"move": move},)
    return ()
