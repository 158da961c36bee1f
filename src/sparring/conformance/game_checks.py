"""Checks of every game through the batched protocol: declared facts, rewards, observations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.conformance.findings import Finding, global_generators, of_chance
from sparring.conformance.recordings import (
    AS_RECORDED,
    Frame,
    Trace,
    difference,
    frames,
    in_progress,
    replay,
    resume,
    row,
    snapshot,
)
from sparring.conformance.subject import Level, Subject
from sparring.errors import ConfigurationError, IllegalAction
from sparring.games.compiled.placed import can_place, place
from sparring.games.declarations import mistakes
from sparring.games.spec import BatchedGame, Symmetry

_TOLERANCE = 1e-5  # of sums of float32 rewards
_TEXT_SLOTS = 2
_MIN_DRAWS = 100  # finished matches, all of them without a winner, that make a finding


def declared_facts(subject: Subject) -> Iterator[Finding]:
    """The declared facts are valid."""
    yield from (Finding(*mistake) for mistake in mistakes(subject.spec))


def ending_by_rules(subject: Subject) -> Iterator[Finding]:
    """The rules, not only the ply limit, end some match. No finding if matches were cut off, or for
    environments of another library, which may have a limit of time alone.
    """
    excused = subject.is_adapted or any(trace.cut_after for trace in subject.traces)
    if not excused and not any(trace.frames[-1]["terminated"].any() for trace in subject.traces):
        total = sum(trace.num_matches for trace in subject.traces)
        got = f"none of {total} random matches within max_plies = {subject.spec.max_plies}"
        remedy = "return ended = True from step when the match is decided, or raise max_plies"
        yield Finding("no match ever ends", got, "some matches that end by the rules", remedy)


def zero_sum(subject: Subject) -> Iterator[Finding]:
    """Rewards sum to 0 in each step of a game with zero_sum=True."""
    for tick, frame in frames(subject.traces):
        with np.errstate(invalid="ignore"):  # values that are not finite are another finding
            wrong = np.abs(frame["rewards"].sum(axis=1)) > _TOLERANCE
        if subject.spec.zero_sum and np.any(wrong):
            remedy = "pay the other seats the opposite, or declare zero_sum=False"
            yield Finding(
                "rewards do not sum to 0",
                row(frame["rewards"], wrong, tick),
                "a sum of 0",
                remedy,
            )


def declared_returns(subject: Subject) -> Iterator[Finding]:
    """The rewards of a seat, from any position to the end, sum to a return in the declared
    range.
    """
    if subject.spec.returns is None:
        return
    low, high = subject.spec.returns
    slack = _TOLERANCE * max(1.0, abs(low), abs(high))
    for trace in subject.traces:
        with np.errstate(invalid="ignore"):
            left = _returns_from_each_ply(trace)
        if np.any(wrong := (left < low - slack) | (left > high + slack)):
            ply, slot, seat = np.argwhere(wrong)[0].tolist()
            yield Finding(
                "a return is outside the declared range",
                f"{left[ply, slot, seat]:g} for seat {seat} from ply {ply} on, in slot {slot}",
                f"{low:g} to {high:g} from any position on",
                "declare the least and the most that a seat can still be paid, whatever it was "
                "paid before",
            )


def _returns_from_each_ply(trace: Trace) -> NDArray[np.float64]:
    """[T, n, P] what each seat is paid after frame t; NaN in matches that have ended by then."""
    rewards = np.array([frame["rewards"] for frame in trace.frames[1:]], np.float64)
    left = np.cumsum(rewards[::-1], axis=0)[::-1]
    ended = [~in_progress(frame) for frame in trace.frames[:-1]]
    left[np.array(ended)] = np.nan
    return left


def turns(subject: Subject) -> Iterator[Finding]:
    """Every seat decides in some match."""
    moves = np.zeros(subject.spec.num_players, np.int64)
    for trace in subject.traces:
        for frame, actions in zip(trace.frames, trace.actions, strict=False):
            played = frame["seat"][actions >= 0]
            moves += np.bincount(played, minlength=len(moves))[: len(moves)]
    idle = np.flatnonzero(moves == 0)
    if len(idle):
        matches = sum(trace.num_matches for trace in subject.traces)
        yield Finding(
            f"seat {idle[0]} never moves",
            f"{moves[idle[0]]} of {moves.sum()} moves in {matches} matches",
            "moves of every seat",
            "set the seat to move after each ply, as self.seat = 1 - self.seat; or declare fewer "
            "num_players",
        )


def results(subject: Subject) -> Iterator[Finding]:
    """In a zero-sum game, some match has a winner."""
    ended = sum(int(trace.frames[-1]["terminated"].sum()) for trace in subject.traces)
    paid = any(frame["rewards"].any() for _, frame in frames(subject.traces))
    if subject.spec.zero_sum and not paid and ended >= _MIN_DRAWS:
        yield Finding(
            "no match has a winner",
            f"rewards of 0 in all of {ended} finished matches",
            "rewards other than 0 in some match",
            "return the rewards of all seats in the step that ends the match",
        )


def information(subject: Subject) -> Iterator[Finding]:
    """A seat's observations depend on the position, where seats decide more than once."""
    first: dict[int, NDArray[Any]] = {}
    plies = 0
    for _, frame in frames(subject.traces):
        live = in_progress(frame)
        plies = max(plies, int(frame["plies"][live].max(initial=0)))
        for seat in range(subject.spec.num_players):
            shown = frame["observation"][live & (frame["seat"] == seat)]
            if len(shown) and np.any(shown != first.setdefault(seat, shown[0])):
                return
    if plies >= subject.spec.num_players:
        yield Finding(
            "the observation never changes",
            "the same values for a seat in every position of every match",
            "values that depend on the position",
            "return the position from observe, not a constant",
        )


def reproducible(subject: Subject) -> Iterator[Finding]:
    """Keys and actions determine a match, whatever the game has played before."""
    before = global_generators()
    try:
        found = replay(subject.fresh(), subject.trace, subject.trace.keys)
    except IllegalAction as error:
        found = str(error)
    if found:
        yield of_chance(
            "the same keys and actions give a different match", found, AS_RECORDED, before
        )


def declared_chance(subject: Subject) -> Iterator[Finding]:
    """Without chance, actions alone determine a match."""
    if not subject.spec.chance and (
        found := replay(subject.fresh(), subject.trace, ~subject.trace.keys)
    ):
        yield Finding(
            "the match depends on its key",
            found,
            "the same match, because chance=False",
            "declare chance=True",
        )


def symmetries(subject: Subject) -> Iterator[Finding]:
    """A relabelled match shows relabelled views, from the relabelled start on. Not checked with
    chance, which need not be relabelled alike.
    """
    if subject.spec.chance:
        return
    for number, symmetry in enumerate(subject.spec.symmetries):
        try:
            found = _replay_relabelled(subject.fresh(), _relabelled(subject.trace, symmetry))
        except (IllegalAction, ConfigurationError) as error:
            found = str(error)
        if found:
            remedy = "list for each new index the old one, in observation and in action"
            yield Finding(
                f"spec.symmetries[{number}] does not map the game onto itself",
                found,
                "the relabelled match",
                remedy,
            )
            return


def _replay_relabelled(game: BatchedGame, trace: Trace) -> str | None:
    """As `replay`. A symmetry of the rules may move the start, as a quarter-turn of Othello's board
    does; rules with `place` play from there.
    """
    game.reset(np.arange(trace.num_matches), trace.keys)
    start = trace.frames[0]["observation"]
    if can_place(game) and not np.array_equal(game.observation, start):
        place(game, start)
    return resume(game, trace, 0)


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
    """`observe_as` gives the mover's own observation, zeros after the end, and for other seats a
    different one in some position.
    """
    game, trace, num_players = subject.fresh(), subject.trace, subject.spec.num_players
    everyone = np.arange(trace.num_matches)
    alike = True
    game.reset(everyone, trace.keys)
    for tick, (frame, actions) in enumerate(zip(trace.frames, trace.actions, strict=False)):
        own = np.array(game.observe_as(everyone, frame["seat"]))
        yield from _own_view(own, frame, tick)
        for seat in range(num_players):
            others = everyone[in_progress(frame) & (frame["seat"] != seat)]
            alike &= np.array_equal(
                game.observe_as(others, np.full(len(others), seat)), frame["observation"][others]
            )
        if found := difference(snapshot(game), frame, everyone, everyone):
            yield Finding(
                "observe_as changes a match", found, "no change", "only read in observe_as"
            )
            return
        game.step(actions)
    if alike and num_players > 1 and not subject.spec.impartial:
        yield Finding(
            "every seat sees the same observation",
            "no difference between seats in any position",
            "observations from the point of view of the observing seat",
            "put the observing seat's own pieces first, then those of the others; or declare "
            "impartial=True if all seats do see the same",
        )


def _own_view(own: NDArray[Any], frame: Frame, tick: int) -> Iterator[Finding]:
    expected = frame["observation"]  # zeros after the end
    if own.shape != expected.shape or own.dtype != expected.dtype:
        got, form = f"{own.dtype} {own.shape}", f"{expected.dtype} {expected.shape}"
        yield Finding(
            "observe_as has the wrong shape or dtype",
            got,
            form,
            "return the rows of observation, one for each requested slot",
        )
    elif not np.array_equal(own, expected):
        slot = int(np.flatnonzero((own != expected).reshape(len(own), -1).any(axis=1))[0])
        what = (
            "observe_as is not zero after the end"
            if frame["terminated"][slot]
            else "observe_as differs from observation for the seat to move"
        )
        remedy = "return observation for the seat to move, and zeros after the end"
        yield Finding(
            what,
            f"a difference in slot {slot} after {tick} plies",
            "the row of observation",
            remedy,
        )


def words(subject: Subject) -> Iterator[Finding]:
    """`text` and `action_text` return text and change nothing."""
    game, trace = subject.fresh(), subject.trace
    everyone = np.arange(trace.num_matches)
    game.reset(everyone, trace.keys)
    for frame, actions in zip(trace.frames, trace.actions, strict=False):
        for slot in range(min(_TEXT_SLOTS, trace.num_matches)):
            yield from _texts(game, frame, slot)
        if found := difference(snapshot(game), frame, everyone, everyone):
            yield Finding(
                "text or action_text changes a match",
                found,
                "no change",
                "only read in text and action_text",
            )
            return
        game.step(actions)


def _texts(game: BatchedGame, frame: Frame, slot: int) -> Iterator[Finding]:
    legal = np.flatnonzero(frame["mask"][slot] & in_progress(frame)[slot]).tolist()
    said: list[tuple[str, object]] = [
        ("text", game.text(slot)),
        *(("action_text", game.action_text(slot, action)) for action in legal),
    ]
    for name, words in said:
        if not isinstance(words, str) or not words or words.endswith("\n"):
            expected = "a str that is not empty and does not end in a newline"
            remedy = f"return such a str from {name}"
            yield Finding(f"{name} must return a str", repr(words)[:60], expected, remedy)


def declared_board(subject: Subject) -> Iterator[Finding]:
    """On a declared board at most one plane shows something in a cell, and nothing floats above an
    empty cell of `support`.
    """
    board = subject.spec.board
    if board is None:
        return
    columns = subject.spec.observation_shape[2]
    support = np.array(board.support, np.int64)
    for tick, frame in frames(subject.traces):
        shown = (frame["observation"] != 0).sum(axis=1).reshape(len(frame["seat"]), -1)
        doubled = shown > 1
        if np.any(doubled):
            remedy = "show each cell in one plane, or leave board out of the spec"
            got = _cell(doubled, columns, tick)
            yield Finding("planes of the board overlap", got, "at most one plane", remedy)
        if support.size and np.any(
            floats := (shown > 0) & (support >= 0) & (shown == 0)[:, support]
        ):
            remedy = "name the cell that is taken before it, or leave support out"
            got = _cell(floats, columns, tick)
            yield Finding("a cell is taken before its support", got, "the order declared", remedy)


def _cell(wrong: NDArray[np.bool_], columns: int, tick: int) -> str:
    slot, cell = np.argwhere(wrong)[0].tolist()
    return f"row {cell // columns}, column {cell % columns} in slot {slot} after {tick} plies"


FACTS: Level = {"declared facts": declared_facts}
# level i runs together with level i of `batch_checks`
LEVELS: tuple[Level, ...] = (
    {
        "ending by rules": ending_by_rules,
        "zero-sum": zero_sum,
        "returns": declared_returns,
        "turns": turns,
        "results": results,
        "information": information,
    },
    {"reproducible": reproducible},
    {"declared chance": declared_chance},
    {"symmetries": symmetries},
    {"points of view": points_of_view, "words": words, "board": declared_board},
)
