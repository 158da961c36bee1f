"""The rules of Ludo, for as many seats P as a state has rows of tokens; `docs/games/ludo.md`
explains them.

The progress of a token is its place: 0 in the yard, 1 to 51 on the ring, 52 to 56 in the home
column, 57 home. The tokens of a seat are alike, so they are kept in order of progress, and action k
moves the k-th from the front.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from sparring.games.rng import random_below
from sparring.games.spec import GameSpec

TOKENS: Final = 4
RING: Final = 52
LAST_ON_RING: Final = 51
HOME: Final = 57
FACES: Final = 6
# captures, brings home, leaves the yard, reaches safety, in danger now, in danger where it lands
MOVE_FACTS: Final = 6
# Places of another seat's tokens: the ring, the yard, the home column, home.
PLACES: Final = RING + 1 + (HOME - LAST_ON_RING)

# Offsets of the parts of an observation.
AT_MOVES: Final = TOKENS * (HOME + 1)
AT_OTHERS: Final = AT_MOVES + TOKENS * MOVE_FACTS


def declare(name: str, num_players: int, *, raw: bool = False) -> GameSpec:
    """Return the declared facts of Ludo for that number of players; `raw`: with `observe_raw`."""
    at_others = AT_MOVES if raw else AT_OTHERS
    return GameSpec(
        name=name,
        num_players=num_players,
        num_actions=TOKENS,
        observation_shape=(at_others + (num_players - 1) * PLACES + FACES + 2,),
        observation_dtype="int8",
        max_plies=500 * num_players,
        chance=True,
        zero_sum=True,
        returns=(-1.0 / (num_players - 1), 1.0),
    )


def state_dtype(num_players: int) -> np.dtype[Any]:
    """Return the dtype of one match of that number of players."""
    return np.dtype(
        [
            ("progress", np.int16, (num_players, TOKENS)),  # of each seat, the highest first
            ("seat", np.int16),
            ("roll", np.int16),  # 1 to 6; 0 before the roll
            ("sixes", np.int16),  # in a row, with this roll: 0 to 2
        ]
    )


def start(state: Any, rng: Any) -> None:
    """All tokens are in their yards; seats roll, from seat 0 on, until one can move."""
    _throw(state, rng)


def legal(state: Any, mask: Any) -> None:
    """`mask` [4]: tokens that the roll can move, the first of those in the same place."""
    for action in range(TOKENS):
        mask[action] = _target(state, action) > 0


def observe(state: Any, observation: Any) -> None:
    """The parts of the vector in order: tokens, moves, others, roll, sixes."""
    _observe_tokens(state, observation)
    for k in range(TOKENS):
        _observe_move(
            state, k, observation[AT_MOVES + k * MOVE_FACTS : AT_MOVES + (k + 1) * MOVE_FACTS]
        )
    _observe_others(state, observation, AT_OTHERS)
    _observe_roll(state, observation, AT_OTHERS)


def observe_raw(state: Any, observation: Any) -> None:
    """The same without moves: tokens, others, roll, sixes."""
    _observe_tokens(state, observation)
    _observe_others(state, observation, AT_MOVES)
    _observe_roll(state, observation, AT_MOVES)


def place(state: Any, observation: Any) -> None:
    """Set a row that is zeroed but for `seat` to the position that the seat sees so."""
    _place_tokens(state, observation, AT_OTHERS)


def place_raw(state: Any, observation: Any) -> None:
    """The same for observations without facts of moves."""
    _place_tokens(state, observation, AT_MOVES)


def play(state: Any, action: Any, rewards: Any, rng: Any) -> Any:
    """Move a token; the match ends when it was the last one to come home."""
    if move(state, action, rewards, rng):
        return True
    _throw(state, rng)
    return False


def move(state: Any, action: Any, rewards: Any, rng: Any) -> Any:
    """`play` without the roll that follows: `roll` is 0, and `seat` rolls next."""
    progress, seat = state["progress"], state["seat"]
    target = _target(state, action)
    progress[seat, action] = target
    _put_in_order(progress[seat])
    captures = _capture(progress, seat, target)
    if progress[seat, TOKENS - 1] == HOME:
        for player in range(rewards.shape[0]):
            rewards[player] -= 1.0 / (progress.shape[0] - 1)
        rewards[seat] = 1.0
        return True
    if state["roll"] != FACES and not captures and target != HOME:
        _next_seat(state)
    state["roll"] = 0
    return False


def _throw(state: Any, rng: Any) -> None:
    """Roll, and pass the turn on, until a seat can use its roll."""
    while True:
        roll = 1 + random_below(rng, FACES)
        state["roll"] = roll
        state["sixes"] = state["sixes"] + 1 if roll == FACES else 0
        if state["sixes"] < 3:
            for k in range(TOKENS):
                if _target(state, k) > 0:
                    return
        _next_seat(state)


def _next_seat(state: Any) -> None:
    state["seat"] = (state["seat"] + 1) % state["progress"].shape[0]
    state["sixes"] = 0


def _target(state: Any, k: Any) -> Any:
    """Return the progress of the mover's k-th token after the roll; 0 if it cannot move, or is in
    the same place as the token before it.
    """
    tokens = state["progress"][state["seat"]]
    now = tokens[k]
    if k > 0 and tokens[k - 1] == now:
        return 0
    if now == 0:
        return 1 if state["roll"] == FACES else 0
    target = now + state["roll"]
    return target if target <= HOME else 0


def _capture(progress: Any, seat: Any, target: Any) -> Any:
    """Send the tokens of other seats on the mover's square back to their yards; return whether
    there were any.
    """
    if _is_safe(progress.shape[0], seat, target):
        return False
    captures = False
    for other in range(progress.shape[0]):
        if other != seat and _clear(
            progress, other, _on_path(progress.shape[0], seat, target, other)
        ):
            captures = True
    return captures


def _clear(progress: Any, seat: Any, place: Any) -> Any:
    """Put all tokens of a seat with that progress back into the yard; return whether there were
    any.
    """
    found = False
    for k in range(TOKENS):
        if progress[seat, k] == place:
            progress[seat, k] = 0
            found = True
    if found:
        _put_in_order(progress[seat])
    return found


def _put_in_order(tokens: Any) -> None:
    """Sort the tokens of a seat, the highest progress first."""
    for k in range(1, TOKENS):
        token, j = tokens[k], k
        while j > 0 and tokens[j - 1] < token:
            tokens[j] = tokens[j - 1]
            j -= 1
        tokens[j] = token


def _start(seats: Any, seat: Any) -> Any:
    """Return the square of the ring on which a seat's tokens start."""
    return (26 if seats == 2 else 13) * seat


def _is_safe(seats: Any, seat: Any, place: Any) -> Any:
    """Return whether a token of `seat` with that progress cannot be captured; the yard and home
    count as safe.
    """
    if place < 1 or place > LAST_ON_RING:
        return True
    field = (_start(seats, seat) + place - 1) % 13
    return field == 0 or field == 8


def _on_path(seats: Any, seat: Any, place: Any, other: Any) -> Any:
    """Return the progress of `other`'s tokens on the square of the ring where `seat` has `place`;
    -1 if they never stand there.
    """
    progress = (_start(seats, seat) + place - 1 - _start(seats, other)) % RING + 1
    return progress if progress <= LAST_ON_RING else -1


def _observe_tokens(state: Any, observation: Any) -> None:
    """One-hot progress of each of the mover's tokens."""
    progress, seat = state["progress"], state["seat"]
    for k in range(TOKENS):
        observation[k * (HOME + 1) + progress[seat, k]] = 1


def _observe_others(state: Any, observation: Any, begin: Any) -> None:
    """Tokens of each other seat in each of its places, from entry `begin` on."""
    progress, seat = state["progress"], state["seat"]
    seats = progress.shape[0]
    for j in range(1, seats):
        other = (seat + j) % seats
        shift = _start(seats, other) - _start(seats, seat)
        for k in range(TOKENS):
            observation[begin + (j - 1) * PLACES + _place(progress[other, k], shift)] += 1


def _observe_roll(state: Any, observation: Any, at_others: Any) -> None:
    """One-hot roll and sixes in a row, behind the others."""
    at_roll = at_others + (state["progress"].shape[0] - 1) * PLACES
    if state["roll"] > 0:
        observation[at_roll + state["roll"] - 1] = 1
    if state["sixes"] > 0:
        observation[at_roll + FACES + state["sixes"] - 1] = 1


def _place_tokens(state: Any, observation: Any, at_others: Any) -> None:
    progress, seat = state["progress"], state["seat"]
    seats = progress.shape[0]
    progress[seat] = observation[:AT_MOVES].reshape(TOKENS, HOME + 1).argmax(axis=1)
    for j in range(1, seats):
        other = (seat + j) % seats
        begin, shift = at_others + (j - 1) * PLACES, _start(seats, other) - _start(seats, seat)
        shown, k = observation[begin : begin + PLACES], 0
        for place in range(HOME, -1, -1):
            for _ in range(shown[_place(place, shift)] if k < TOKENS else 0):
                progress[other, min(k, TOKENS - 1)] = place
                k += 1
    roll, sixes = np.split(observation[at_others + (seats - 1) * PLACES :], [FACES])
    state["roll"] = 1 + roll.argmax()
    state["sixes"] = sixes.argmax() + 1 if sixes.any() else 0


def _place(progress: Any, shift: Any) -> Any:
    """Return the column of another seat's token in its part of an observation; `shift` is that
    seat's start minus the mover's.
    """
    if progress == 0:
        return RING
    if progress <= LAST_ON_RING:
        return (shift + progress - 1) % RING
    return progress + 1


def _observe_move(state: Any, k: Any, facts: Any) -> None:
    """`facts` [6] of the mover's k-th token and this roll; they stay 0 where it cannot move. Before
    the roll only the danger now is known.
    """
    progress, seat = state["progress"], state["seat"]
    seats = progress.shape[0]
    if state["roll"] == 0:
        facts[4] = _in_danger(progress, seat, progress[seat, k])
        return
    target = _target(state, k)
    if target == 0:
        return
    now = progress[seat, k]
    if not _is_safe(seats, seat, target):
        for other in range(seats):
            if other != seat and _stands(progress, other, _on_path(seats, seat, target, other)):
                facts[0] = 1
    facts[1] = target == HOME
    facts[2] = now == 0
    facts[3] = target < HOME and not _is_safe(seats, seat, now) and _is_safe(seats, seat, target)
    facts[4] = _in_danger(progress, seat, now)
    facts[5] = _in_danger(progress, seat, target)


def _stands(progress: Any, seat: Any, place: Any) -> Any:
    """Return whether a seat has a token with that progress."""
    found = False
    for k in range(TOKENS):
        found |= progress[seat, k] == place
    return found


def _in_danger(progress: Any, seat: Any, place: Any) -> Any:
    """Return whether one roll could capture a token of `seat` with this progress; tokens on its own
    square cannot.
    """
    seats = progress.shape[0]
    if _is_safe(seats, seat, place):
        return False
    for other in range(seats):
        if other == seat:
            continue
        here = _on_path(seats, seat, place, other)
        for k in range(TOKENS):
            if progress[other, k] >= 1 and 1 <= here - progress[other, k] <= FACES:
                return True
    return False
