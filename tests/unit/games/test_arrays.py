"""The history of actions is as wide as matches are long, whatever the game declares."""

from __future__ import annotations

import long_rules
import numpy as np
import pytest

from sparring.errors import GameError
from sparring.games.arrays import allocate_actions, played, widened
from sparring.games.compiled.game import CompiledGame
from sparring.games.declarations import mistakes
from sparring.games.python.game import LoopedGame

KEYS = np.arange(3).astype(np.uint64)
ACTIONS = np.random.default_rng(1).integers(2, size=(200, 3))
VIEWS = ("seat", "observation", "mask", "rewards", "terminated", "truncated", "plies")


class Long:
    """The same game as a class."""

    spec = long_rules.SPEC

    def reset(self, rng):
        self.seat, self.count = 0, 0

    def mask(self):
        return [True, True]

    def observe(self, seat):
        return [self.count]

    def step(self, action):
        self.seat, self.count = 1 - self.seat, self.count + 1
        return [action, 0], self.count == 200


MAKERS = {
    "looped": lambda: LoopedGame("test_history:Long", Long, 3),
    "compiled": lambda: CompiledGame("long_rules", 3),
    "interpreted": lambda: CompiledGame("long_rules", 3, interpreted=True),
}


@pytest.fixture(params=MAKERS)
def make(request):
    return MAKERS[request.param]


def begun(make):
    game = make()
    game.reset(np.arange(3), KEYS)
    return game


def test_widths():
    assert allocate_actions(2, 9).shape == (2, 9)
    history = allocate_actions(2, 1000)
    assert history.shape == (2, 64)
    assert widened(history, 63, 1000) is history
    history[1, 63] = 5
    wider = widened(history, 64, 1000)
    assert wider.shape == (2, 128)
    assert np.argwhere(wider).tolist() == [[1, 63]]
    assert widened(wider, 128, 130).shape == (2, 130)
    assert widened(wider, 500, 1000).shape == (2, 501)
    full = allocate_actions(2, 9)
    assert widened(full, 9, 9) is full


def test_only_what_was_played_is_saved():
    history = np.array([[7, 8, 9], [4, 5, 6]], np.int32)
    assert played(history, np.array([0, 2])).tolist() == [[0, 0], [4, 5]]
    assert played(history, np.array([0, 0])).shape == (2, 0)
    assert played(history, np.array([3, 1])).dtype == np.int32


def test_a_state_is_as_wide_as_the_longest_match(make):
    game = begun(make)
    views = [getattr(game, name) for name in VIEWS]
    assert game.get_state()["history"].shape == (3, 0)
    for ply, row in enumerate(ACTIONS):
        game.step(np.where(np.arange(3) == 2, -1 if ply < 50 else row, row))
        if ply in (62, 63, 64, 128, 199):
            assert np.array_equal(game.get_state()["history"][0], ACTIONS[: ply + 1, 0])
    state = game.get_state()
    assert game.terminated.tolist() == [True, True, False]
    assert np.array_equal(state["history"][2], [*ACTIONS[50:, 2], *[0] * 50])
    assert all(view is getattr(game, name) for view, name in zip(views, VIEWS, strict=True))
    game.reset(np.arange(2), KEYS[:2])
    assert game.get_state()["history"].shape == (3, 150)
    assert not game.get_state()["history"][:2].any(), "nothing is left from earlier matches"


def test_a_state_goes_on_in_a_game_of_any_width(make):
    game = begun(make)
    for row in ACTIONS[:100]:
        game.step(row)
    state = game.get_state()
    padded = {**state, "history": np.pad(state["history"], ((0, 0), (0, 400)), constant_values=1)}
    for kept in (state, padded):
        other = make()
        other.set_state(kept)
        for row in ACTIONS[100:]:
            other.step(row)
        assert np.array_equal(other.get_state()["history"], ACTIONS.T)
        assert other.terminated.all()
        other.set_state(kept)
        assert np.array_equal(other.get_state()["history"], state["history"])


def test_a_history_that_does_not_fit_is_refused(make):
    game = begun(make)
    game.step(ACTIONS[0])
    state = game.get_state()
    for wrong in (
        np.zeros((3, 1), np.int64),
        np.zeros((2, 1), np.int32),
        np.zeros(3, np.int32),
        np.zeros((3, 1_000_001), np.int32),
        None,
    ):
        with pytest.raises(
            GameError,
            match=(
                r"does not fit in history: got .*, expected int32 \(3, up to 1000000\); "
                r"it was saved by"
            ),
        ):
            game.set_state({**state, "history": wrong})
    with pytest.raises(GameError, match="does not fit"):
        game.set_state({**state, "history": state["history"][:, :0]})


@pytest.mark.parametrize(("max_plies", "wrong"), [(1_000_000, 0), (1_000_001, 1)])
def test_a_limit_that_no_match_reaches_is_a_mistake(max_plies, wrong):
    spec = type(long_rules.SPEC)(**{**vars(long_rules.SPEC), "max_plies": max_plies})
    found = [mistake for mistake in mistakes(spec) if mistake.what == "invalid spec.max_plies"]
    assert len(found) == wrong
