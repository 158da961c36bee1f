"""Positions after moves: found on copies, without chance, as the right seat sees them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from layered_games import LayeredAfter
from numpy.typing import NDArray
from plain_games import Dice, Toe

from sparring.errors import GameFault
from sparring.games import BatchedGame, make, name_of, spec_of
from sparring.games.afterstates import Afterstates, afterstate_spec, afterstates_of
from sparring.games.compiled.game import CompiledGame
from sparring.games.rng import derive_keys
from sparring.games.spec import with_afterstates


def begun(game: BatchedGame, seed: int = 0) -> BatchedGame:
    slots = np.arange(game.num_slots)
    keys = np.empty(game.num_slots, np.uint64)
    derive_keys(np.uint64(seed), slots, slots, keys)
    game.reset(slots, keys)
    return game


def random_actions(game: BatchedGame, rng: np.random.Generator) -> NDArray[np.int64]:
    return np.array([rng.choice(np.flatnonzero(m)) if m.any() else -1 for m in game.mask], np.int64)


def everywhere(game: BatchedGame) -> Afterstates:
    return afterstates_of(game, np.arange(game.num_slots))


class Toes(Toe):
    """Three seats and no board: the seat that comes next is appended."""

    spec = dataclasses.replace(
        Toe.spec, num_players=3, zero_sum=False, observation_shape=(18,), returns=None
    )

    def observe(self, seat: int) -> NDArray[np.int8]:
        return super().observe(seat).ravel()

    def step(self, action: int) -> tuple[Any, bool]:
        self.board[action] = self.seat
        self.seat = 0 if action == 4 else (self.seat + 1) % 3
        return None, bool((self.board >= 0).all())


@pytest.mark.parametrize("name", ["tic_tac_toe", "connect_four", "othello", name_of(Toe)])
def test_without_chance_they_are_the_positions_that_follow(name: str) -> None:
    game, rng = begun(make(name, 6)), np.random.default_rng(0)
    for _ in range(20):
        after, actions = everywhere(game), random_actions(game, rng)
        assert ((after.seat >= 0) == game.mask).all()
        game.step(actions)
        for slot, action in enumerate(actions.tolist()):
            if action < 0:
                continue
            row = after.row[slot, action]
            np.testing.assert_array_equal(after.rewards[slot, action], game.rewards[slot])
            assert (row < 0) == game.terminated[slot]
            if row >= 0:
                np.testing.assert_array_equal(after.observation[row], game.observation[slot])
                assert after.seat[slot, action] == game.seat[slot]


def test_compiled_plain_and_interpreted_games_offer_the_same() -> None:
    rules = "sparring.games.tic_tac_toe"
    games = [
        make(name_of(Toe), 5),
        CompiledGame(rules, 5),
        CompiledGame(rules, 5, interpreted=True),
    ]
    rng = np.random.default_rng(1)
    for game in games:
        begun(game)
    for _ in range(6):
        one, *others = map(everywhere, games)
        for other in others:
            for part, same in zip(one, other, strict=True):
                np.testing.assert_array_equal(part, same)
        actions = random_actions(games[0], rng)
        for game in games:
            game.step(actions)


@pytest.mark.parametrize("observation", ["facts", "raw"])
@pytest.mark.parametrize("players", [2, 4])
def test_of_ludo_nothing_is_known_of_the_next_roll(players: int, observation: str) -> None:
    """The tokens are those of the position that follows, as the right seat sees them there."""
    game = begun(make(f"ludo(num_players={players},observation={observation})", 16))
    rng, size = np.random.default_rng(2), game.spec.observation_size
    tokens = slice(0, 4 * 58)
    others = slice(size - 8 - 59 * (players - 1), size - 8)
    rolls = slice(size - 8, size - 2)
    slots = np.arange(16)
    for _ in range(150):
        after, actions, movers = everywhere(game), random_actions(game, rng), game.seat.copy()
        game.step(actions)
        row, seat = after.row[slots, actions], after.seat[slots, actions]
        assert ((row < 0) == game.terminated).all()
        on = ~game.terminated
        shown, seen = after.observation[row[on]], game.observe_as(slots[on], seat[on])
        np.testing.assert_array_equal(shown[:, tokens], seen[:, tokens])
        np.testing.assert_array_equal(shown[:, others], seen[:, others])
        assert not shown[:, rolls].any()
        if players == 4:
            assert (seat == movers).all()
            assert (shown[:, size:].sum(axis=1) == 1).all()
        else:
            assert shown.shape[1] == size
        if game.terminated.any():
            begun(game, seed=int(rng.integers(1 << 30)))


def test_the_seat_that_comes_next_is_appended_from_the_movers_view() -> None:
    game = begun(make(name_of(Toes), 1))
    game.step(np.array([0]))  # seat 1 moves now
    after = everywhere(game)
    assert after.observation.shape == (8, 21)
    assert (after.seat[0, 1:] == 1).all()
    order = {action: after.observation[after.row[0, action], 18:].tolist() for action in (1, 4)}
    assert order == {1: [0, 1, 0], 4: [0, 0, 1]}  # seat 2; seat 0 after the middle
    assert afterstate_spec(game.spec).observation_shape == (21,)
    assert afterstate_spec(game.spec).num_actions == 1


def test_only_games_that_can_tell_a_move_from_chance_offer_them() -> None:
    views = {
        "connect_four": "next",
        "ludo": "next",
        "ludo(num_players=4)": "mover",
        name_of(Toe): "next",
        name_of(Toes): "mover",
        name_of(Dice): "",  # chance within step
        "layered_games:LayeredAfter(seed=1)": "own",
    }
    assert {name: spec_of(name).afterstates for name in views} == views
    hidden = dataclasses.replace(Toe.spec, hidden_information=True)
    assert with_afterstates(hidden).afterstates == ""


def test_a_symmetry_leaves_the_only_output_and_the_order_of_seats_alone() -> None:
    spec = afterstate_spec(spec_of("connect_four"))
    [mirror] = spec.symmetries
    assert mirror.action == (0,)
    assert len(mirror.observation) == spec.observation_size


class Broken(LayeredAfter):
    def after(self, action: int) -> NDArray[np.int8]:
        raise RuntimeError("nothing to see")


def test_an_exception_in_after_is_a_fault_with_the_match() -> None:
    game = begun(make("test_afterstates:Broken(seed=1)", 2))
    with pytest.raises(GameFault, match="nothing to see") as caught:
        everywhere(game)
    assert caught.value.record["during"] == "after"


class Timed(Toe):
    truncated = False


class TimedAfter(LayeredAfter):
    truncated = False


def test_matches_with_a_time_limit_of_their_own_are_not_played_on() -> None:
    assert spec_of(name_of(Timed)).afterstates == ""
    assert spec_of("test_afterstates:TimedAfter(seed=1)").afterstates == "own"


class NotANumber(Toe):
    spec = dataclasses.replace(Toe.spec, observation_dtype="float32")

    def observe(self, seat: int) -> NDArray[np.float32]:
        return super().observe(seat).astype(np.float32)

    def after(self, action: int) -> NDArray[np.float32]:
        return np.full((2, 3, 3), np.nan, np.float32)


def test_nan_after_a_move_is_a_fault() -> None:
    game = begun(make(name_of(NotANumber), 1))
    with pytest.raises(GameFault, match="NaN or infinity"):
        everywhere(game)


@pytest.mark.parametrize("interpreted", [False, True])
def test_a_number_after_a_move_that_does_not_fit_is_a_fault(interpreted: bool) -> None:
    """Of compiled rules, whose small integers would wrap around in silence."""
    game = begun(CompiledGame("staked_rules", 1, interpreted=interpreted))
    with pytest.raises(GameFault, match="200 in an observation of int8"):
        everywhere(game)
