"""Random matches of backgammon followed in OpenSpiel's, turn by turn with the same dice: the set of
all positions and rewards that a turn can lead to, passes, the seat to throw, and results.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from sparring.games import make

pyspiel = pytest.importorskip("pyspiel")

BAR, OFF = 25, 0
THEIR_BAR = 100  # OpenSpiel's number
End = tuple[bytes, float]  # checkers of both seats by distance to go; rewards of seat 0 so far


@dataclass
class Turn:
    """One turn of ours: the state in which it begins, where it ended, all other possible ends."""

    begin: Any
    end: End | None = None
    possible: set[End] = field(default_factory=set)


def recorded(name: str, matches: int, seed: int) -> list[list[Turn]]:
    """Random matches to their ends."""
    game, rng, slots = make(name, matches), np.random.default_rng(seed), np.arange(matches)
    game.reset(slots, rng.integers(2**64, size=matches, dtype=np.uint64))
    turns: list[list[Turn]] = [[] for _ in slots]
    while not game.terminated.all():
        assert not game.truncated.any()
        begin, live = game.get_state()["states"], np.flatnonzero(~game.terminated)
        draws = np.where(game.mask, rng.random(game.mask.shape), -1)
        actions = np.where(game.terminated, -1, draws.argmax(axis=1))
        goes_on = game.afterstates(slots).seat[slots, actions] == game.seat
        game.step(actions)
        goes_on &= ~game.terminated
        ends = game.get_state()["states"]["checkers"]
        for slot in live.tolist():
            if not turns[slot] or turns[slot][-1].end is not None:
                turns[slot].append(Turn(begin[slot].copy()))
            if not goes_on[slot]:
                turns[slot][-1].end = ends[slot].tobytes(), float(game.rewards[slot, 0])
    return turns


def placed(name: str, states: Any) -> Any:
    game = make(name, len(states))
    game.reset(np.arange(len(states)), np.zeros(len(states), np.uint64))
    state = game.get_state()
    state["states"][...] = states
    game.set_state(state)
    return game


def fill_possible(name: str, turns: list[Turn]) -> None:
    """Find all ends of these turns, a ply of all of them at a time."""
    owners, states = np.arange(len(turns)), np.array([turn.begin for turn in turns])
    while len(states):
        game = placed(name, states)
        parents, actions = np.nonzero(game.mask)
        next_seats = game.afterstates(np.arange(len(states))).seat[parents, actions]
        game = placed(name, states[parents])
        game.step(actions)
        goes_on = (next_seats == states["seat"][parents]) & ~game.terminated
        owners, states = owners[parents], game.get_state()["states"]
        for i in np.flatnonzero(~goes_on).tolist():
            end = states["checkers"][i].tobytes(), float(game.rewards[i, 0])
            turns[owners[i]].possible.add(end)
        kept: dict[tuple[int, bytes], int] = {}
        for i in np.flatnonzero(goes_on).tolist():
            kept.setdefault((int(owners[i]), states[i].tobytes()), i)
        chosen = np.array(list(kept.values()), np.int64)
        owners, states = owners[chosen], states[chosen]


def end_of(state: Any) -> End:
    """A position of OpenSpiel, as ours."""
    checkers = np.zeros((2, 26), np.int8)
    for point in range(24):
        checkers[0, 24 - point] = state.board(0, point)
        checkers[1, point + 1] = state.board(1, point)
    checkers[:, BAR] = state.board(0, THEIR_BAR), state.board(1, THEIR_BAR)
    checkers[:, OFF] = 15 - checkers.sum(axis=1)
    return checkers.tobytes(), state.returns()[0]


def their_ends(state: Any) -> dict[End, Any]:
    """All ends of a turn; a double takes two of OpenSpiel's actions."""
    ends: dict[End, Any] = {}
    second: dict[End, Any] = {}
    for action in state.legal_actions():
        child = state.child(action)
        goes_on = not child.is_terminal() and child.current_player() == state.current_player()
        (second if goes_on else ends).setdefault(end_of(child), child)
    for child in second.values():
        ends.update(their_ends(child))
    return ends


def thrown(state: Any, seat: int, dice: list[int]) -> Any:
    """OpenSpiel's state after a chance outcome with these dice, with `seat` to move; without dice,
    one with which that seat cannot move.
    """
    for outcome, _ in state.chance_outcomes():
        child = state.child(outcome)
        if child.current_player() != seat:
            continue
        if dice and sorted(map(int, child.observation_tensor(seat)[-2:])) == sorted(dice):
            return child
        if not dice and list(their_ends(child)) == [end_of(child)]:
            return child
    raise AssertionError(f"seat {seat} cannot throw {dice or 'what does not move'}")


def follow(turns: list[Turn], game: Any) -> None:
    state = game.new_initial_state()
    for number, turn in enumerate(turns):
        seat, (high, low) = int(turn.begin["seat"]), turn.begin["dice"].tolist()
        if number and seat == int(turns[number - 1].begin["seat"]):  # the other seat has passed
            passing = thrown(state, 1 - seat, [])
            [state] = their_ends(passing).values()
        state = thrown(state, seat, [high, low or high])
        assert end_of(state)[0] == turn.begin["checkers"].tobytes()
        ends = their_ends(state)
        assert turn.possible == set(ends), str(state)
        state = ends[turn.end]
    assert state.is_terminal()


def compare(scoring: str, matches: int, seed: int) -> int:
    """Return the number of turns compared."""
    name = f"backgammon(scoring={scoring})"
    theirs = pyspiel.load_game(f"backgammon(scoring_type={scoring}_scoring)")
    recording = recorded(name, matches, seed)
    for turns in recording:
        fill_possible(name, turns)
        follow(turns, theirs)
    assert {turns[-1].end[1] > 0 for turns in recording} == {True, False}
    return sum(map(len, recording))


@pytest.mark.parametrize("scoring", ["winloss", "full"])
def test_some_matches_are_openspiels(scoring):
    assert compare(scoring, matches=4, seed=1) > 4 * 40


@pytest.mark.full
@pytest.mark.slow
@pytest.mark.parametrize("scoring", ["winloss", "full"])
def test_many_matches_are_openspiels(scoring):
    for seed in range(10):
        assert compare(scoring, matches=40, seed=seed + 2) > 40 * 40
