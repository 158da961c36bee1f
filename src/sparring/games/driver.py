"""The one loop over all slots, for every game.

As it stands it plays tic-tac-toe. For another game `compiled.py` writes a copy of this file, in which the line that imports the rules names
that game's, into the cache folder: only so can Numba keep the machine code on disk and find it again.

No function here checks its slot numbers or array lengths: `CompiledGame` does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from sparring.games.linking import compiled
from sparring.games.random import CHANCE, purpose_key
from sparring.games.tic_tac_toe import SPEC, legal, observe, play, start

_start, _legal, _observe, _play = compiled(start), compiled(legal), compiled(observe), compiled(play)
_MAX_PLIES = SPEC.max_plies


@njit(cache=True, nogil=True)
def reset(slots: Any, chosen: Any, keys: Any) -> None:
    """Begin the match of key `keys[j]` in slot `chosen[j]`, both [m]."""
    blank = np.zeros(1, slots.states.dtype)
    for j in range(chosen.shape[0]):
        i = chosen[j]
        slots.states[i] = blank[0]
        slots.rng[i, 0] = purpose_key(keys[j], CHANCE)
        slots.rng[i, 1] = 0
        slots.rewards[i] = 0
        slots.terminated[i] = slots.truncated[i] = False
        slots.plies[i] = 0
        _start(slots.states[i], slots.rng[i])
        _show(slots, i)


@njit(cache=True, nogil=True)
def step(slots: Any, actions: Any) -> Any:
    """Play `actions` [n]; returns -1, or the first slot whose action is illegal, and then nothing has changed."""
    bad = _first_illegal(slots, actions)
    if bad >= 0:
        return bad
    for i in range(actions.shape[0]):
        slots.rewards[i] = 0
        if actions[i] >= 0:
            slots.terminated[i] = _play(slots.states[i], actions[i], slots.rewards[i], slots.rng[i])
            slots.plies[i] += 1
            slots.truncated[i] = slots.plies[i] >= _MAX_PLIES and not slots.terminated[i]
            _show(slots, i)
    return -1


@njit(cache=True, nogil=True)
def refresh(slots: Any) -> None:
    """Rebuild the views that follow from the states."""
    for i in range(slots.states.shape[0]):
        _show(slots, i)


@njit(cache=True, nogil=True)
def win_or_block(slots: Any, chosen: Any, out: Any) -> None:
    """Fill `out` [m, A], all False, for the slots `chosen` [m], see `BatchedGame.win_or_block`; only copies of the matches are played."""
    trials = np.zeros(2, slots.states.dtype)  # the position after one ply, and after two
    streams = np.zeros((2, 2), np.uint64)
    rewards = np.zeros(slots.rewards.shape[1], slots.rewards.dtype)
    for j in range(chosen.shape[0]):
        i = chosen[j]
        _mark_wins(slots.states[i], slots.rng[i], slots.mask[i], trials[:1], streams[0], rewards, out[j])
        if slots.plies[i] + 1 < _MAX_PLIES and not np.any(out[j]):  # else the next seat has no turn to win in
            _mark_threats(slots.states[i], slots.rng[i], slots.mask[i], trials, streams, rewards, out[j])
        if not np.any(out[j]):
            out[j] = slots.mask[i]


@njit(nogil=True)
def _first_illegal(slots: Any, actions: Any) -> Any:
    for i in range(actions.shape[0]):
        action = actions[i]
        if action != -1 and (action < 0 or action >= slots.mask.shape[1] or slots.truncated[i] or not slots.mask[i, action]):
            return i
    return -1


@njit(nogil=True)
def _show(slots: Any, i: Any) -> None:
    state = slots.states[i]
    slots.seat[i] = state["seat"]
    slots.observation[i] = 0
    slots.mask[i] = False
    if not slots.terminated[i]:
        _observe(state, slots.observation[i])
        _legal(state, slots.mask[i])


@njit(nogil=True)
def _mark_wins(state: Any, stream: Any, candidates: Any, trial: Any, trial_stream: Any, rewards: Any, out: Any) -> None:
    """Set `out[a]` for each of the `candidates` [A] that ends the match with a positive reward for its mover."""
    for action in range(candidates.shape[0]):
        if candidates[action]:
            trial[0], trial_stream[:], rewards[:] = state, stream, 0
            if _play(trial[0], action, rewards, trial_stream) and rewards[state["seat"]] > 0:
                out[action] = True


@njit(nogil=True)
def _mark_threats(state: Any, stream: Any, mask: Any, trials: Any, streams: Any, rewards: Any, out: Any) -> None:
    """Set `out[a]` for each legal move that the next mover, another seat, would win with at once if some other move were played now."""
    replies = np.zeros_like(mask)
    for action in range(mask.shape[0]):
        if mask[action]:
            trials[0], streams[0], rewards[:] = state, stream, 0
            if not _play(trials[0], action, rewards, streams[0]) and trials[0]["seat"] != state["seat"]:
                replies[:] = False
                _legal(trials[0], replies)
                replies &= mask
                replies[action] = False
                _mark_wins(trials[0], streams[0], replies, trials[1:], streams[1], rewards, out)
