"""The rules of backgammon; `docs/games/backgammon.md` explains them.

One ply moves one checker, so a turn is up to four plies of the same seat. Each seat numbers the
points by the distance to go: 1 to 24, with 25 for the bar and 0 for checkers that are borne off.
Point p of one seat is point 25 - p of the other.

Legal moves stay legal while other checkers of the same seat move: nothing that a seat does blocks
itself, and conditions for bearing off, once met, stay met in a turn. Hence a double can be played
in any order, and only the first move of two different dice has to look ahead.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from sparring.games.rng import random_below
from sparring.games.spec import GameSpec

POINTS: Final = 24
OFF: Final = 0
BAR: Final = POINTS + 1
HOME: Final = 6  # the points of the home board are 1 to 6
CHECKERS: Final = 15
FACES: Final = 6
SOURCES: Final = POINTS + 1  # of a move: points 1 to 24, the bar
START: Final = ((24, 2), (13, 5), (8, 3), (6, 5))  # point, checkers

# Units of an observation, and offsets of its parts.
POINT_UNITS: Final = 4
OFF_UNITS: Final = 5
AT_THEIRS: Final = POINT_UNITS * POINTS
AT_BARS: Final = 2 * AT_THEIRS
AT_OFF: Final = AT_BARS + 2
AT_DICE: Final = AT_OFF + 2 * OFF_UNITS

STATE: Final = np.dtype(
    [
        ("checkers", np.int8, (2, BAR + 1)),  # of each seat in each place, by distance to go
        ("dice", np.int16, (2,)),  # left to play, the higher one first; 0: none
        ("repeats", np.int16),  # moves with the first die beyond the next one: 3 for a new double
        ("seat", np.int16),
    ]
)


def declare(name: str, highest: int) -> GameSpec:
    """Return the declared facts of backgammon in which a win pays at most `highest`."""
    return GameSpec(
        name=name,
        num_players=2,
        num_actions=2 * SOURCES,
        observation_shape=(AT_DICE + FACES,),
        observation_dtype="int8",
        max_plies=2000,
        chance=True,
        zero_sum=True,
        returns=(-float(highest), float(highest)),
    )


def start(state: Any, rng: Any) -> None:
    """Each seat throws a die until they differ; the higher one begins with both."""
    for seat in range(2):
        for point, count in START:
            state["checkers"][seat, point] = count
    mine = theirs = 0
    while mine == theirs:
        mine, theirs = 1 + random_below(rng, FACES), 1 + random_below(rng, FACES)
    state["seat"] = 0 if mine > theirs else 1
    _set_dice(state, mine, theirs)


def legal(state: Any, mask: Any) -> None:
    """`mask` [50]: action `source - 1` moves by the higher die (or the only one), and 25 more by
    the lower one. As many dice as possible have to be played; if either but not both, the higher.
    """
    own, other = state["checkers"][state["seat"]], state["checkers"][1 - state["seat"]]
    high, low = state["dice"][0], state["dice"][1]
    highs, lows = _sources(own, other, high), 0
    if low > 0:
        lows = _sources(own, other, low)
        high_first = _with_second(own, other, highs, high, lows, low)
        low_first = _with_second(own, other, lows, low, highs, high)
        if high_first | low_first:
            highs, lows = high_first, low_first
        elif highs:
            lows = 0
    for source in range(1, SOURCES + 1):
        mask[source - 1] = highs >> source & 1
        mask[SOURCES + source - 1] = lows >> source & 1


def observe(state: Any, observation: Any) -> None:
    """The parts of the vector in order: the mover's points, the other seat's points in the same
    order, bars, checkers that are borne off, dice left (Tesauro 1992, in integers).
    """
    own, other = state["checkers"][state["seat"]], state["checkers"][1 - state["seat"]]
    for point in range(1, POINTS + 1):
        k = POINT_UNITS * (point - 1)
        _observe_point(own[point], observation, k)
        _observe_point(other[BAR - point], observation, AT_THEIRS + k)
    observation[AT_BARS] = own[BAR]
    observation[AT_BARS + 1] = other[BAR]
    for k in range(OFF_UNITS):
        observation[AT_OFF + k] = min(max(own[OFF] - 3 * k, 0), 3)
        observation[AT_OFF + OFF_UNITS + k] = min(max(other[OFF] - 3 * k, 0), 3)
    high, low = state["dice"][0], state["dice"][1]
    if high > 0:
        observation[AT_DICE + high - 1] = 1 + state["repeats"]
    if low > 0:
        observation[AT_DICE + low - 1] = 1


def play(state: Any, action: Any, rewards: Any, rng: Any) -> Any:
    """Move a checker; the match ends when it was the last one to be borne off. At the end of a turn
    the other seat throws; a seat that cannot move at all passes without a ply.
    """
    if move(state, action, rewards, rng):
        return True
    _throw(state, rng)
    return False


def play_full(state: Any, action: Any, rewards: Any, rng: Any) -> Any:
    """The same with 2 for a gammon and 3 for a backgammon."""
    if move_full(state, action, rewards, rng):
        return True
    _throw(state, rng)
    return False


def move(state: Any, action: Any, rewards: Any, rng: Any) -> Any:
    """`play` without the throw that follows: after the last move of a turn there are no dice, and
    `seat` throws next.
    """
    if not _advance(state, action):
        return False
    rewards[state["seat"]] += 1
    rewards[1 - state["seat"]] -= 1
    return True


def move_full(state: Any, action: Any, rewards: Any, rng: Any) -> Any:
    """The same with 2 for a gammon and 3 for a backgammon."""
    if not _advance(state, action):
        return False
    points = _points(state["checkers"][1 - state["seat"]])
    rewards[state["seat"]] += points
    rewards[1 - state["seat"]] -= points
    return True


def place(state: Any, observation: Any) -> None:
    """Set a row that is zeroed but for `seat` to the position that the seat sees so."""
    own, other = state["checkers"][state["seat"]], state["checkers"][1 - state["seat"]]
    points = observation[:AT_BARS].reshape(2, POINTS, POINT_UNITS)
    counts = points[..., 0] + 2 * points[..., 1] + points[..., 2] + points[..., 3]
    own[1:BAR], other[1:BAR] = counts[0], counts[1, ::-1]
    own[BAR], other[BAR] = observation[AT_BARS:AT_OFF]
    own[OFF], other[OFF] = observation[AT_OFF:AT_DICE].reshape(2, OFF_UNITS).sum(axis=1)
    left = observation[AT_DICE:]
    high, low = 1 + left.argmax(), 0  # a seat to move has dice left
    if np.count_nonzero(left) > 1:
        low, high = 1 + np.flatnonzero(left)[:2]
    state["dice"] = high, low
    state["repeats"] = max(int(left.max()) - 1, 0)


def _sources(own: Any, other: Any, die: Any) -> Any:
    """Return a bit for each place from which one checker can move by this die: bit p for point p,
    bit 25 for the bar.
    """
    if own[BAR] > 0:
        return (1 << BAR) if other[die] < 2 else 0
    sources = highest = 0
    for point in range(1, POINTS + 1):
        if own[point] > 0:
            highest = point
            if point > die and other[BAR - point + die] < 2:
                sources |= 1 << point
    if highest <= HOME:
        if own[die] > 0:
            sources |= 1 << die
        if 0 < highest < die:
            sources |= 1 << highest
    return sources


def _with_second(own: Any, other: Any, firsts: Any, first: Any, seconds: Any, second: Any) -> Any:
    """Return those of the sources `firsts` for the die `first` that leave a move by the die
    `second`, which now has the sources `seconds`.
    """
    kept = 0
    for source in range(1, SOURCES + 1):
        if firsts >> source & 1:
            others = seconds & ~(1 << source) if own[source] == 1 else seconds
            if others or _leaves_move(own, other, source, first, second):
                kept |= 1 << source
    return kept


def _leaves_move(own: Any, other: Any, source: Any, first: Any, second: Any) -> Any:
    """Return whether a checker can move by `second` after one has moved from `source` by `first`;
    a hit changes nothing, since a single checker does not block.
    """
    target = max(source - first, OFF)
    own[source] -= 1
    own[target] += 1
    found = _sources(own, other, second) != 0
    own[target] -= 1
    own[source] += 1
    return found


def _advance(state: Any, action: Any) -> Any:
    """Move a checker, and end the turn if no other can move; return whether the match is won."""
    seat, dice = state["seat"], state["dice"]
    own, other = state["checkers"][seat], state["checkers"][1 - seat]
    which, source = action // SOURCES, action % SOURCES + 1
    target = max(source - dice[which], OFF)
    own[source] -= 1
    own[target] += 1
    if own[OFF] == CHECKERS:
        return True
    if target > OFF and other[BAR - target] > 0:
        other[BAR - target] -= 1
        other[BAR] += 1
    if state["repeats"] > 0:
        state["repeats"] -= 1
    else:
        dice[0] = dice[1 - which]
        dice[1] = 0
    if dice[0] == 0 or _sources(own, other, dice[0]) == 0:
        dice[0] = 0
        state["repeats"] = 0
        state["seat"] = 1 - seat
    return False


def _throw(state: Any, rng: Any) -> None:
    """Unless the turn goes on: throw two dice, and pass the turn on, until a seat can move.

    It ends: no sequence of moves leads to a position in which neither seat can move by any die.
    """
    if state["dice"][0] > 0:
        return
    while True:
        own, other = state["checkers"][state["seat"]], state["checkers"][1 - state["seat"]]
        both = random_below(rng, FACES * FACES)
        first, second = 1 + both // FACES, 1 + both % FACES
        if _sources(own, other, first) or _sources(own, other, second):
            _set_dice(state, first, second)
            return
        state["seat"] = 1 - state["seat"]


def _set_dice(state: Any, first: Any, second: Any) -> None:
    dice = state["dice"]
    dice[0] = max(first, second)
    dice[1] = 0 if first == second else min(first, second)
    state["repeats"] = 3 if first == second else 0


def _points(loser: Any) -> Any:
    """Return 1, 2 for a gammon (the loser has borne off nothing), 3 for a backgammon (and has a
    checker on the bar or in the winner's home board).
    """
    if loser[OFF] > 0:
        return 1
    for place in range(BAR - HOME, BAR + 1):
        if loser[place] > 0:
            return 3
    return 2


def _observe_point(count: Any, observation: Any, k: Any) -> None:
    """Four units from entry `k` on: one checker; two or more; three or more; those beyond three."""
    if count > 0:
        observation[k] = count == 1
        observation[k + 1] = count >= 2
        observation[k + 2] = count >= 3
        observation[k + 3] = max(count - 3, 0)
