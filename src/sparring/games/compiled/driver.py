"""The one loop over all slots, for every game.

As it stands it plays tic-tac-toe. For another game `cache.py` writes a copy of this file, in
which the line that imports the rules names that game's, into the cache folder: only so can Numba
keep the machine code on disk and find it again.

No function here checks its slot numbers or array lengths: `CompiledGame` does. The rules are
checked: functions return `FINE`, or the breach of the slot in `slots.cursor`, which also names the
slot when the rules raise an exception. Functions for callers outside begin with `unowned`, which
keeps the counting of references out of the loops.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numba import njit

from sparring.games.compiled.jit import compiled, unowned
from sparring.games.rng import CHANCE, TRIALS, purpose_key
from sparring.games.tic_tac_toe import SPEC, legal, observe, play, start
from sparring.games.tic_tac_toe import __name__ as _rules_name

FINE, ILLEGAL_ACTION, NO_SUCH_SEAT, NO_LEGAL_ACTION = range(4)
OBSERVATION_NOT_FINITE, OBSERVATION_TOO_LARGE, REWARD_NOT_FINITE = range(4, 7)
START, LEGAL, OBSERVE, PLAY = range(4)  # rules functions
_SLOT, _RUNNING, _TRIED, _REPLY = range(4)  # entries of the cursor

_start, _legal, _observe, _play = (
    compiled(rule, __name__) for rule in (start, legal, observe, play)
)  # this game's own copies
# `play` up to the draw, in rules with chance that offer it
_move = compiled(getattr(sys.modules[_rules_name], "move", play), __name__)
_MAX_PLIES = SPEC.max_plies
_AS_MOVER = not SPEC.allows_zero_sum_bootstrap  # positions after moves are seen by the mover
_HAS_CHANCE = SPEC.chance
_HIDES = SPEC.hidden_information
_DTYPE = np.dtype(SPEC.observation_dtype)
_SHOWS_FLOATS = _DTYPE.kind == "f"
# Small integers wrap around silently, so users' rules write them into int64 first, and they are
# checked. Tests check the rules of Sparring instead, which are faster without.
_CHECKS_RANGE = (
    _DTYPE.kind in "iu" and _DTYPE.itemsize < 8 and not play.__module__.startswith("sparring.")
)
_LOWEST, _HIGHEST = (np.iinfo(_DTYPE).min, np.iinfo(_DTYPE).max) if _CHECKS_RANGE else (0, 0)
_TRIAL_KEYS = np.array(
    [purpose_key(np.uint64(number), TRIALS) for number in range(16 if SPEC.chance else 1)],
    np.uint64,
)


@njit(cache=True, nogil=True)
def reset(slots: Any, chosen: Any, keys: Any) -> Any:
    """Start the match of key `keys[j]` in slot `chosen[j]`, both [m]."""
    slots = unowned(slots)
    _clear(slots, chosen, keys)
    blank = np.zeros(1, slots.states.dtype)
    for j in range(chosen.shape[0]):
        i = chosen[j]
        slots.states[i] = blank[0]
        slots.cursor[_SLOT], slots.cursor[_RUNNING] = i, START
        _start(slots.states[i], slots.rng[i])
        if not _show(slots, i):
            return OBSERVATION_TOO_LARGE
    return _settle(slots, chosen)


@njit(cache=True, nogil=True)
def step(slots: Any, actions: Any) -> Any:
    """Play `actions` [n]; if any is illegal, nothing has changed."""
    slots = unowned(slots)
    if _any_illegal(slots, actions):
        return ILLEGAL_ACTION
    _note(slots, actions)
    for i in range(actions.shape[0]):
        if actions[i] >= 0:
            slots.cursor[_SLOT], slots.cursor[_RUNNING] = i, PLAY
            slots.terminated[i] = _play(slots.states[i], actions[i], slots.rewards[i], slots.rng[i])
            if not _show(slots, i):
                return OBSERVATION_TOO_LARGE
    return _settle(slots, np.arange(actions.shape[0]))


@njit(cache=True, nogil=True)
def refresh(slots: Any) -> Any:
    """Rebuild the views that follow from the states."""
    slots = unowned(slots)
    for i in range(slots.states.shape[0]):
        slots.cursor[_SLOT] = i
        if not _show(slots, i):
            return OBSERVATION_TOO_LARGE
    return FINE


@njit(cache=True, nogil=True)
def observe_as(slots: Any, chosen: Any, seats: Any, out: Any) -> Any:
    """Fill `out` [m, ...], all 0, with the observation of `seats[j]` in slot `chosen[j]`, both [m],
    unless the match there has ended.
    """
    slots = unowned(slots)
    shown = np.zeros(1, slots.states.dtype)
    slots.cursor[_RUNNING] = OBSERVE
    for j in range(chosen.shape[0]):
        i = chosen[j]
        if not slots.terminated[i]:
            slots.cursor[_SLOT] = i
            shown[0] = slots.states[i]
            state = shown[0]
            state["seat"] = seats[j]
            if not _observe_into(state, slots.wide[0], out[j]):
                return OBSERVATION_TOO_LARGE
            if _SHOWS_FLOATS and not _all_finite(out[j].ravel()):
                return OBSERVATION_NOT_FINITE
    return FINE


@njit(cache=True, nogil=True)
def win_or_block(slots: Any, chosen: Any, out: Any) -> Any:
    """Fill `out` [m, A], all False, for the slots `chosen` [m], see `BatchedGame.win_or_block`;
    only copies of the matches are played.
    """
    slots = unowned(slots)
    trials = np.zeros(2, slots.states.dtype)  # the position after one ply, and after two
    rewards = np.zeros(slots.rewards.shape[1], slots.rewards.dtype)
    stream = np.zeros(2, np.uint64)
    cursor = slots.cursor
    for j in range(chosen.shape[0]):
        i = chosen[j]
        cursor[_SLOT] = i
        if not _HIDES:
            _mark_wins(
                slots.states[i], slots.mask[i], trials[:1], stream, rewards, out[j], cursor, _TRIED
            )
        another_turn = slots.plies[i] + 1 < _MAX_PLIES  # the next seat can still win
        if not (_HIDES or _HAS_CHANCE) and another_turn and not np.any(out[j]):
            _mark_threats(slots.states[i], slots.mask[i], trials, stream, rewards, out[j], cursor)
        if not np.any(out[j]):
            for action in range(out.shape[1]):  # a row at once compiles for more than a second
                out[j, action] = slots.mask[i, action]
    return FINE


@njit(cache=True, nogil=True)
def afterstates(slots: Any, chosen: Any, out: Any, row: Any, seats: Any, rewards: Any) -> Any:
    """Fill `row`, `seats` [m, A] and `rewards` [m, A, P] for the slots `chosen` [m], and the
    first rows of `out`, all 0, with the observations, see `games/afterstates.py`; `row` and `seats`
    are -1 at first. Only copies of the matches are played.
    """
    slots = unowned(slots)
    trial = np.zeros(1, slots.states.dtype)
    stream = np.zeros(2, np.uint64)
    cursor, seen, players = slots.cursor, slots.observation.shape[1], rewards.shape[2]
    rows = 0
    for j in range(chosen.shape[0]):
        i = chosen[j]
        cursor[_SLOT] = i
        mover = slots.seat[i]
        for action in range(row.shape[1]):
            if slots.mask[i, action]:
                cursor[_RUNNING], cursor[_TRIED] = PLAY, action
                trial[0] = slots.states[i]
                state = trial[0]
                seats[j, action] = mover
                if _move(state, action, rewards[j, action], stream):
                    continue
                comes_next = state["seat"]
                if _AS_MOVER:
                    state["seat"] = mover
                    if players > 1:
                        out[rows][seen + (comes_next - mover) % players] = 1
                else:
                    seats[j, action] = comes_next
                cursor[_RUNNING] = OBSERVE
                if not _observe_into(state, slots.wide[0], out[rows][:seen]):
                    return OBSERVATION_TOO_LARGE
                if _SHOWS_FLOATS and not _all_finite(out[rows].ravel()):
                    return OBSERVATION_NOT_FINITE
                row[j, action] = rows
                rows += 1
    cursor[_TRIED] = -1
    return FINE


@njit(nogil=True, inline="always")
def _any_illegal(slots: Any, actions: Any) -> Any:
    for i in range(actions.shape[0]):
        action = actions[i]
        if action != -1 and (
            action < 0
            or action >= slots.mask.shape[1]
            or slots.truncated[i]
            or not slots.mask[i, action]
        ):
            slots.cursor[_SLOT] = i
            return True
    return False


@njit(nogil=True, inline="always")
def _clear(slots: Any, chosen: Any, keys: Any) -> None:
    """Clear everything but states and views for matches that start."""
    own_keys, rng, rewards, terminated, plies = (
        slots.keys,
        slots.rng,
        slots.rewards,
        slots.terminated,
        slots.plies,
    )
    for j in range(chosen.shape[0]):
        i = chosen[j]
        own_keys[i] = keys[j]
        rng[i, 0] = purpose_key(keys[j], CHANCE)
        rng[i, 1] = 0
        plies[i] = 0
        terminated[i] = False
        for seat in range(rewards.shape[1]):
            rewards[i, seat] = 0


@njit(nogil=True, inline="always")
def _note(slots: Any, actions: Any) -> None:
    """Append legal `actions` [n] to the history, and clear the rewards."""
    history, plies, rewards = slots.history, slots.plies, slots.rewards
    for i in range(actions.shape[0]):
        for seat in range(rewards.shape[1]):
            rewards[i, seat] = 0
        if actions[i] >= 0:
            history[i, plies[i]] = actions[i]
            plies[i] += 1


@njit(nogil=True, inline="always")
def _show(slots: Any, i: Any) -> Any:
    """Fill the views of slot i; return False if its observation does not fit its dtype."""
    fits = True
    state = slots.states[i]
    slots.seat[i] = state["seat"]
    slots.observation[i] = 0
    slots.mask[i] = False
    if not slots.terminated[i]:
        slots.cursor[_RUNNING] = OBSERVE
        fits = _observe_into(state, slots.wide[0], slots.observation[i])
        slots.cursor[_RUNNING] = LEGAL
        _legal(state, slots.mask[i])
    return fits


@njit(nogil=True)
def _observe_into(state: Any, wide: Any, observation: Any) -> Any:
    """Fill `observation`, all 0; return False if a value does not fit its dtype, which is then in
    `wide`.
    """
    if not _CHECKS_RANGE:
        _observe(state, observation)
        return True
    wide[:] = 0
    _observe(state, wide)
    values, shown, fits = wide.ravel(), observation.ravel(), True
    for k in range(values.shape[0]):
        fits &= _LOWEST <= values[k] <= _HIGHEST
    if fits:
        for k in range(values.shape[0]):
            shown[k] = values[k]
    return fits


@njit(nogil=True, inline="always")
def _settle(slots: Any, chosen: Any) -> Any:
    """Cut those of the `chosen` [m] matches that have reached the limit; return the first breach of
    the contract, or `FINE`.
    """
    seat, mask, rewards, plies = slots.seat, slots.mask, slots.rewards, slots.plies
    terminated, truncated = slots.terminated, slots.truncated
    num_players = rewards.shape[1]
    for j in range(chosen.shape[0]):
        i = chosen[j]
        truncated[i] = plies[i] >= _MAX_PLIES and not terminated[i]
        in_order = terminated[i]
        for action in range(mask.shape[1]):
            in_order |= mask[i, action]
        in_order &= 0 <= seat[i] < num_players
        for p in range(num_players):
            in_order &= np.isfinite(rewards[i, p])
        if _SHOWS_FLOATS:
            in_order &= _all_finite(slots.observation[i].ravel())
        if not in_order:
            slots.cursor[_SLOT] = i
            return _breach(seat[i], rewards[i], slots.observation[i].ravel())
    return FINE


@njit(nogil=True)
def _breach(seat: Any, rewards: Any, observation: Any) -> Any:
    """Return the breach of a match that breaks the contract."""
    if not 0 <= seat < rewards.shape[0]:
        return NO_SUCH_SEAT
    if not _all_finite(rewards):
        return REWARD_NOT_FINITE
    return NO_LEGAL_ACTION if _all_finite(observation) else OBSERVATION_NOT_FINITE


@njit(nogil=True)
def _all_finite(values: Any) -> Any:
    fine = True
    for k in range(values.shape[0]):
        fine &= np.isfinite(values[k])
    return fine


@njit(nogil=True)
def _mark_wins(
    state: Any,
    candidates: Any,
    trial: Any,
    stream: Any,
    rewards: Any,
    out: Any,
    cursor: Any,
    place: Any,
) -> None:
    """Set `out[a]` for each of the `candidates` [A] that ends the match with a positive reward for
    its mover, with every stream of `_TRIAL_KEYS`.

    The streams are the same for all matches, and never a match's own.
    """
    cursor[_RUNNING] = PLAY
    for action in range(candidates.shape[0]):
        if candidates[action]:
            cursor[place] = action
            wins = True
            for number in range(_TRIAL_KEYS.shape[0]):
                if wins:
                    trial[0], stream[0], stream[1], rewards[:] = state, _TRIAL_KEYS[number], 0, 0
                    wins = _play(trial[0], action, rewards, stream) and rewards[state["seat"]] > 0
            out[action] |= wins
    cursor[place] = -1


@njit(nogil=True)
def _mark_threats(
    state: Any, mask: Any, trials: Any, stream: Any, rewards: Any, out: Any, cursor: Any
) -> None:
    """Set `out[a]` for each legal move that the next mover, another seat, would win with at once if
    some other move were played now.
    """
    replies = np.zeros_like(mask)
    for action in range(mask.shape[0]):
        if mask[action]:
            cursor[_RUNNING], cursor[_TRIED] = PLAY, action
            trials[0], rewards[:] = state, 0
            if not _play(trials[0], action, rewards, stream) and trials[0]["seat"] != state["seat"]:
                replies[:] = False
                cursor[_RUNNING] = LEGAL
                _legal(trials[0], replies)
                replies &= mask
                replies[action] = False
                _mark_wins(trials[0], replies, trials[1:], stream, rewards, out, cursor, _REPLY)
    cursor[_TRIED] = -1
