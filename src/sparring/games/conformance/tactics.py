"""The check of `win_or_block` against its definition, played out move by move with `set_state`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.games.conformance.report import Check, Finding, Subject
from sparring.games.conformance.traces import Frame, difference, going_on, snapshot
from sparring.games.spec import BatchedGame

_MAX_ACTIONS = 64  # with more actions blocks are not checked: the definition tries all pairs
_MAX_TRIALS = 4000  # pairs of actions tried, over all positions


def win_or_block(subject: Subject) -> Iterator[Finding]:
    """It marks what its definition says, and leaves the matches alone. Positions are spread over the recorded matches."""
    game, trace, num_actions = subject.fresh(), subject.trace, subject.spec.num_actions
    everyone = np.arange(trace.num_matches)
    every = max(1, len(trace.actions) * num_actions**2 // _MAX_TRIALS)
    game.reset(everyone, trace.keys)
    for tick, actions in enumerate(trace.actions):
        if tick % every == every - 1 or tick == len(trace.actions) - 2:
            marked = np.array(game.win_or_block(everyone))
            if found := difference(snapshot(game), trace.frames[tick], everyone, everyone):
                yield Finding("win_or_block changes a match", found, "no change", "try moves on copies")
                return
            yield from _compare(game, marked, tick)
        game.step(actions)


def _compare(game: BatchedGame, marked: NDArray[np.bool_], tick: int) -> Iterator[Finding]:
    frame = snapshot(game)
    wins = winning_moves(game, frame["mask"] & going_on(frame)[:, None])
    blocks = blocking_moves(game, wins) if game.spec.num_actions <= _MAX_ACTIONS else marked & frame["mask"]
    kinds = {"winning moves": wins, "blocking moves": blocks, "legal moves": frame["mask"]}
    left = going_on(frame)
    for kind, moves in kinds.items():
        rows = left & moves.any(axis=1)
        left &= ~rows
        wrong = rows & (marked != moves).any(axis=1)
        if np.any(wrong):
            slot = int(np.flatnonzero(wrong)[0])
            got = f"{np.flatnonzero(marked[slot]).tolist()} in slot {slot} after {tick} plies"
            yield Finding(f"win_or_block does not give the {kind}", got, str(np.flatnonzero(moves[slot]).tolist()), "see BatchedGame")


def winning_moves(game: BatchedGame, candidates: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[n, A] the `candidates` that end the match with a positive reward for the mover; leaves `game` as it was."""
    state, seat = game.get_state(), game.seat.copy()
    wins = np.zeros_like(candidates)
    for action in np.flatnonzero(candidates.any(axis=0)):
        game.step(np.where(candidates[:, action], action, -1))
        wins[:, action] = candidates[:, action] & game.terminated & (_paid(game, seat) > 0)
        game.set_state(state)
    return wins


def blocking_moves(game: BatchedGame, wins: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[n, A] in matches without `wins`, the legal moves that the next seat would win with after another move; leaves `game` as it was."""
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


CHECKS: dict[str, Check] = {"win or block": win_or_block}
