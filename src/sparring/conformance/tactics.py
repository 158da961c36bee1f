"""The check of `win_or_block` against its definition, played out move by move with `set_state`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.conformance.findings import Finding
from sparring.conformance.recordings import Frame, difference, going_on, snapshot
from sparring.conformance.subject import Level, Subject
from sparring.games.spec import BatchedGame

_MAX_TRIALS = 4000  # pairs of actions tried, over all positions
# in one position, weighted; with more, blocks are not checked: the definition tries all pairs
_MAX_PAIRS = 20_000
_FEW_MATCHES = 4  # of a game that goes back by playing again, as games in plain Python do


def win_or_block(subject: Subject) -> Iterator[Finding]:
    """It marks what its definition says, and leaves the matches alone. Positions are spread over
    the recorded matches.

    With chance only wins can be checked, and only by the stream that the match has: what is marked
    may, rarely, not win.
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
                    game, marked, tick, blocks_too=num_actions**2 * weight <= _MAX_PAIRS
                )
        game.step(actions[everyone])
    if won < tried / 2:
        remedy = (
            "mark moves that win whatever chance does; where there is none, mark all that are legal"
        )
        yield Finding(
            "win_or_block promises wins that do not come", f"{won} of {tried}", "nearly all", remedy
        )


def _weight_of_going_back(subject: Subject) -> int:
    """Plies that `set_state` plays in each match, on average; 1 where it copies."""
    return max(1, len(subject.trace.actions) // 2) if subject.new_match else 1


def _claimed(game: BatchedGame, marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[n, A] the legal moves of which `win_or_block` says that they win: in a game with chance it
    looks for no blocks.
    """
    mask = game.mask & going_on(snapshot(game))[:, None]
    claimed: NDArray[np.bool_] = marked & mask & (marked != mask).any(axis=1)[:, None]
    return claimed


def _unplayable(game: BatchedGame, marked: NDArray[np.bool_], tick: int) -> Iterator[Finding]:
    """In a game with chance: whatever is marked is legal, and something is."""
    live = going_on(snapshot(game))
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
        wins = winning_moves(game, frame["mask"] & going_on(frame)[:, None])
        blocks = blocking_moves(game, wins) if blocks_too else marked & frame["mask"]
        kinds = {"winning moves": wins, "blocking moves": blocks, **kinds}
    left = going_on(frame)
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
    """[n, A] the `candidates` that end the match with a positive reward for the mover; leaves
    `game` as it was.
    """
    state, seat = game.get_state(), game.seat.copy()
    wins = np.zeros_like(candidates)
    for action in np.flatnonzero(candidates.any(axis=0)):
        game.step(np.where(candidates[:, action], action, -1))
        wins[:, action] = candidates[:, action] & game.terminated & (_paid(game, seat) > 0)
        game.set_state(state)
    return wins


def blocking_moves(game: BatchedGame, wins: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[n, A] in matches without `wins`, the legal moves that the next seat would win with after
    another move; leaves `game` as it was.
    """
    before, state = snapshot(game), game.get_state()
    candidates = before["mask"] & (going_on(before) & ~wins.any(axis=1))[:, None]
    threats = np.zeros_like(wins)
    for action in np.flatnonzero(candidates.any(axis=0)):
        game.step(np.where(candidates[:, action], action, -1))
        replies = _replies(snapshot(game), before, candidates[:, action])
        replies[:, action] = False
        threats |= winning_moves(game, replies)
        game.set_state(state)
    return threats


def _replies(now: Frame, before: Frame, played: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[n, A] what another seat may answer, and the seat before could have played instead."""
    answered = played & going_on(now) & (now["seat"] != before["seat"])
    replies: NDArray[np.bool_] = now["mask"] & before["mask"] & answered[:, None]
    return replies


def _paid(game: BatchedGame, seat: NDArray[np.int64]) -> NDArray[Any]:
    """[n] what each match's `seat` [n] was paid by the last step."""
    return game.rewards[np.arange(len(seat)), seat]


CHECKS: Level = {"win or block": win_or_block}
