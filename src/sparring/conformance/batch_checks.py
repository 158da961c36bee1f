"""Checks of the methods of a class that offers the batched protocol itself: recorded matches are
replayed in other slots, interrupted and restored; `win_or_block` is compared with its definition.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.conformance import view_checks
from sparring.conformance.findings import Finding, is_of_memory
from sparring.conformance.recordings import (
    AS_RECORDED,
    Frame,
    Trace,
    difference,
    in_progress,
    replay_scattered,
    resume,
    snapshot,
)
from sparring.conformance.subject import Level, Subject
from sparring.errors import IllegalAction
from sparring.games.lookahead import MAX_PAIRS
from sparring.games.spec import BatchedGame, StateTree

_MAX_TRIALS = 4000  # pairs of actions tried, over all positions
_FEW_MATCHES = 4  # of a game whose set_state replays matches, as games in plain Python do


def independent_slots(subject: Subject) -> Iterator[Finding]:
    """A match is the same in another slot, beside other matches that start at other times."""
    if found := replay_scattered(subject.fresh(), subject.trace):
        yield Finding(
            "a match depends on its slot or on other slots",
            found,
            AS_RECORDED,
            "share no state between matches",
        )


def restarting(subject: Subject) -> Iterator[Finding]:
    """`reset` starts a fresh match, in mid-match and right after the end, and changes no other
    slot.
    """
    game, trace = subject.fresh(), subject.trace
    everyone = np.arange(trace.num_matches)
    game.reset(everyone, trace.keys)
    restarted = np.zeros(trace.num_matches, np.bool_)
    for tick, actions in enumerate(trace.actions):
        game.step(np.where(restarted, -1, actions))
        after = trace.frames[tick + 1]
        now = ~restarted & (~in_progress(after) | (everyone == tick))
        game.reset(everyone[now], trace.keys[now])
        restarted |= now
        if found := difference(
            snapshot(game), trace.frames[0], everyone[restarted], everyone[restarted]
        ):
            yield Finding(
                "reset does not start a fresh match",
                f"{found}, after {tick + 1} plies",
                "a first position",
                "clear everything in reset",
            )
        if found := difference(snapshot(game), after, everyone[~restarted], everyone[~restarted]):
            yield Finding(
                "reset changes another slot",
                f"{found}, after {tick + 1} plies",
                AS_RECORDED,
                "change only the given slots",
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
                "action -1 changes a slot",
                found,
                "no change, rewards 0",
                "skip slots whose action is -1",
            )
            return
        game.step(actions)
    if found := difference(snapshot(game), trace.frames[-1], everyone, everyone):
        yield Finding(
            "matches that waited continue differently",
            found,
            AS_RECORDED,
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
    """(what, slot, action), in the last possible slot, so that earlier slots would be played
    first.
    """
    masked = np.argwhere(~frame["mask"] & in_progress(frame)[:, None])
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
    yield "an action past num_actions", len(frame["mask"]) - 1, num_actions


def _refuses(
    game: BatchedGame, what: str, slot: int, actions: NDArray[np.int64]
) -> Iterator[Finding]:
    before, state = snapshot(game), copy.deepcopy(game.get_state())
    happened, got = _response(game, before, state, actions)
    if happened:
        yield Finding(
            f"{what} {happened}",
            f"{got} after {actions[slot]} in slot {slot}",
            "IllegalAction, with nothing changed",
            "check the actions of all slots before the first is played",
        )
        game.set_state(state)


def _response(
    game: BatchedGame, before: Frame, state: StateTree, actions: NDArray[np.int64]
) -> tuple[str, str]:
    """(what, got) of a wrong response to illegal `actions`; empty strings if it is right."""
    try:
        game.step(actions)
    except IllegalAction:
        everyone = np.arange(len(actions))
        found = difference(snapshot(game), before, everyone, everyone)
        if not found and not _equal(game.get_state(), state):
            found = "a different get_state()"
        return ("is refused after something has changed", found) if found else ("", "")
    except Exception as error:
        if is_of_memory(error):
            raise
        return "raises the wrong error", type(error).__name__
    return "is accepted", "no error"


def restoring(subject: Subject) -> Iterator[Finding]:
    """`set_state` restores exactly, here and in another game, and a state shares no arrays with
    the game.
    """
    trace = subject.trace
    for tick in sorted({0, len(trace.actions) // 2, len(trace.actions) - 1}):
        game = subject.fresh()
        game.reset(np.arange(trace.num_matches), trace.keys)
        for actions in trace.actions[:tick]:
            game.step(actions)
        state = game.get_state()
        kept = copy.deepcopy(state)
        yield from _resumes(game, trace, tick, "get_state changes the matches")
        game.set_state(state)
        yield from _resumes(game, trace, tick, "set_state does not restore exactly")
        if not _equal(state, kept):
            yield Finding(
                "a state changes while the game continues",
                "shared arrays",
                "copies",
                "copy in get_state and in set_state",
            )
        other = subject.fresh()
        other.set_state(kept)
        yield from _resumes(other, trace, tick, "another game cannot continue from a state")


def _resumes(game: BatchedGame, trace: Trace, tick: int, what: str) -> Iterator[Finding]:
    remedy = "store and restore the whole match, with its chance, rewards and counters"
    try:
        found = resume(game, trace, tick)
    except IllegalAction as error:
        found = str(error)
    if found:
        yield Finding(what, found, AS_RECORDED, remedy)


def _equal(a: StateTree, b: StateTree) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def win_or_block(subject: Subject) -> Iterator[Finding]:
    """`win_or_block` marks the moves of its definition and changes nothing, in positions from all
    over the recorded matches.

    With chance only wins are checked, and only with the stream of the match: a marked move may,
    rarely, not win.
    """
    trace, num_actions, weight = (
        subject.trace,
        subject.spec.num_actions,
        _weight_of_going_back(subject),
    )
    everyone = np.arange(trace.num_matches if weight == 1 else min(_FEW_MATCHES, trace.num_matches))
    every = max(1, len(trace.actions) * num_actions**2 * weight // _MAX_TRIALS)
    game, tried, won = subject.factory(len(everyone)), 0, 0
    game.reset(everyone, trace.keys[everyone])
    for tick, actions in enumerate(trace.actions):
        if tick % every == every - 1 or tick == len(trace.actions) - 2:
            marked = np.array(game.win_or_block(everyone))
            if found := difference(snapshot(game), trace.frames[tick], everyone, everyone):
                yield Finding(
                    "win_or_block changes a match", found, "no change", "try moves on copies"
                )
                return
            if subject.spec.chance:
                claimed = _claimed(game, marked)
                yield from _unplayable(game, marked, tick)
                tried, won = (
                    tried + int(claimed.sum()),
                    won + int(winning_moves(game, claimed).sum()),
                )
            else:
                yield from _compare(
                    game, marked, tick, blocks_too=num_actions**2 * weight <= MAX_PAIRS
                )
        game.step(actions[everyone])
    if won < tried / 2:
        remedy = "mark moves that win whatever chance does; if there are none, all legal moves"
        yield Finding(
            "win_or_block marks moves that do not win", f"{won} of {tried}", "nearly all", remedy
        )


def _weight_of_going_back(subject: Subject) -> int:
    """Mean number of plies that `set_state` replays in each match; 1 where it copies."""
    return max(1, len(subject.trace.actions) // 2) if subject.new_match else 1


def _claimed(game: BatchedGame, marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[n, A] legal moves that are marked as wins: with chance, `win_or_block` marks no blocks."""
    mask = game.mask & in_progress(snapshot(game))[:, None]
    claimed: NDArray[np.bool_] = marked & mask & (marked != mask).any(axis=1)[:, None]
    return claimed


def _unplayable(game: BatchedGame, marked: NDArray[np.bool_], tick: int) -> Iterator[Finding]:
    """With chance: some moves are marked in each match, and only legal ones."""
    live = in_progress(snapshot(game))
    wrong = live & (~marked.any(axis=1) | (marked & ~game.mask).any(axis=1))
    if np.any(wrong):
        slot = int(np.flatnonzero(wrong)[0])
        got = f"{np.flatnonzero(marked[slot]).tolist()} in slot {slot} after {tick} plies"
        expected = f"some of {np.flatnonzero(game.mask[slot]).tolist()}"
        yield Finding(
            "win_or_block does not give the legal moves", got, expected, "see BatchedGame"
        )


def _compare(
    game: BatchedGame, marked: NDArray[np.bool_], tick: int, *, blocks_too: bool
) -> Iterator[Finding]:
    frame = snapshot(game)
    kinds = {"legal moves": frame["mask"]}
    if not game.spec.hidden_information:
        wins = winning_moves(game, frame["mask"] & in_progress(frame)[:, None])
        blocks = blocking_moves(game, wins) if blocks_too else marked & frame["mask"]
        kinds = {"winning moves": wins, "blocking moves": blocks, **kinds}
    left = in_progress(frame)
    for kind, moves in kinds.items():
        rows = left & moves.any(axis=1)
        left &= ~rows
        wrong = rows & (marked != moves).any(axis=1)
        if np.any(wrong):
            slot = int(np.flatnonzero(wrong)[0])
            got = f"{np.flatnonzero(marked[slot]).tolist()} in slot {slot} after {tick} plies"
            yield Finding(
                f"win_or_block does not give the {kind}",
                got,
                str(np.flatnonzero(moves[slot]).tolist()),
                "see BatchedGame",
            )


def winning_moves(game: BatchedGame, candidates: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[n, A] the `candidates` that end the match with a positive reward for the mover; restores
    `game`.
    """
    state, seat = game.get_state(), game.seat.copy()
    wins = np.zeros_like(candidates)
    for action in np.flatnonzero(candidates.any(axis=0)):
        game.step(np.where(candidates[:, action], action, -1))
        wins[:, action] = candidates[:, action] & game.terminated & (_paid(game, seat) > 0)
        game.set_state(state)
    return wins


def blocking_moves(game: BatchedGame, wins: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[n, A] in matches without `wins`, the legal moves with which the next seat would win after
    another move; restores `game`.
    """
    before, state = snapshot(game), game.get_state()
    candidates = before["mask"] & (in_progress(before) & ~wins.any(axis=1))[:, None]
    threats = np.zeros_like(wins)
    for action in np.flatnonzero(candidates.any(axis=0)):
        game.step(np.where(candidates[:, action], action, -1))
        replies = _replies(snapshot(game), before, candidates[:, action])
        replies[:, action] = False
        threats |= winning_moves(game, replies)
        game.set_state(state)
    return threats


def _replies(now: Frame, before: Frame, played: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[n, A] legal replies of another seat that the seat before could have played as well."""
    answered = played & in_progress(now) & (now["seat"] != before["seat"])
    replies: NDArray[np.bool_] = now["mask"] & before["mask"] & answered[:, None]
    return replies


def _paid(game: BatchedGame, seat: NDArray[np.int64]) -> NDArray[Any]:
    """[n] reward of each match's `seat` [n] in the last step."""
    return game.rewards[np.arange(len(seat)), seat]


# level i runs together with level i of `game_checks`
LEVELS: tuple[Level, ...] = (
    view_checks.CHECKS,
    view_checks.KEPT,
    {"independent slots": independent_slots, "restarting": restarting, "waiting": waiting},
    {"illegal actions": illegal_actions, "restoring": restoring},
    {"win or block": win_or_block},
)
