"""Whole turns of compiled games: all ends that the rules allow, without chance."""

from __future__ import annotations

import numpy as np
import pytest

from sparring.games import make
from sparring.games.backgammon import rules
from sparring.games.compiled.game import CompiledGame
from sparring.games.compiled.turns import whole_turns


def played(name: str, plies: int, matches: int) -> CompiledGame:
    """Random matches after so many plies."""
    game, rng = make(name, matches), np.random.default_rng(plies)
    assert isinstance(game, CompiledGame)
    game.reset(np.arange(matches), np.arange(matches, dtype=np.uint64))
    for _ in range(plies):
        actions = (rng.random(game.mask.shape) * game.mask).argmax(axis=1)
        game.step(np.where(game.mask.any(axis=1), actions, -1))
    return game


def ends_in_plain_python(state: np.ndarray) -> dict[bytes, float]:
    """Checkers after all turns from here, move by move, and what they pay the mover."""
    seat, mask = int(state["seat"]), np.zeros(50, np.bool_)
    rules.legal(state, mask)
    found: dict[bytes, float] = {}
    for action in np.flatnonzero(mask).tolist():
        after, rewards = np.array([state])[0], np.zeros(2)
        over = rules.move_full(after, action, rewards, None)
        if over or after["seat"] != seat:
            found[after["checkers"].tobytes()] = rewards[seat]
        else:
            found |= ends_in_plain_python(after)
    return found


@pytest.mark.parametrize("plies", [41, 121])
def test_whole_turns_lead_once_to_each_end_that_the_rules_allow(plies: int) -> None:
    game = played("backgammon(scoring=full)", plies, matches=10)
    slots = np.flatnonzero(game.mask.any(axis=1))
    turns = whole_turns(game, slots)
    for row, slot in enumerate(slots.tolist()):
        state = game.get_state()["states"][slot]
        ends: list[bytes] = []
        paid = {}
        for k in np.flatnonzero(turns.root == row):
            after = np.array([state])[0]
            for action in turns.plies[k][turns.plies[k] >= 0]:
                assert after["seat"] == state["seat"]
                over = rules.move_full(after, action, np.zeros(2), None)
            ends.append(after["checkers"].tobytes())
            paid[ends[-1]] = float(turns.paid[k, state["seat"]])
            assert turns.ended[k] == over
            seen = np.zeros(210, np.int8)
            if not over:
                rules.observe(after, seen)
            assert (turns.observation[k] == seen).all()
        assert paid == ends_in_plain_python(state)


def test_turns_end_before_the_next_throw() -> None:
    """After a six the same seat throws again in Ludo: that is another turn."""
    game = played("ludo", 40, matches=64)
    slots = np.flatnonzero(game.mask.any(axis=1))
    turns = whole_turns(game, slots)
    after = game.afterstates(slots)
    root, action = np.nonzero(game.mask[slots])
    assert turns.root.tolist() == root.tolist()
    assert turns.plies[:, 0].tolist() == action.tolist()
    assert (turns.plies[:, 1:] == -1).all()
    assert turns.seat.tolist() == after.seat[root, action].tolist()
    assert 0 < (turns.seat == game.seat[slots][root]).sum() < len(root)


def test_only_turns_that_begin_with_given_moves_are_found() -> None:
    game, slots = played("backgammon(scoring=full)", 30, matches=8), np.arange(8)
    legal = np.zeros_like(game.mask)
    legal[slots, game.mask.argmax(axis=1)] = True
    turns, everything = whole_turns(game, slots, legal), whole_turns(game, slots)
    assert set(turns.root.tolist()) == set(slots.tolist())
    assert (turns.plies[:, 0] == game.mask.argmax(axis=1)[turns.root]).all()
    assert len(turns.root) < len(everything.root)


def test_the_match_itself_does_not_change() -> None:
    game = played("backgammon(scoring=full)", 30, matches=8)
    before = game.get_state()
    whole_turns(game, np.arange(8))
    after = game.get_state()
    assert all((before[name] == after[name]).all() for name in ("states", "rng", "plies"))
