from __future__ import annotations

from types import FunctionType

import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher

from sparring.conformance.recordings import VIEWS, random_actions, snapshot
from sparring.errors import ConfigurationError, GameError, IllegalAction, InputError
from sparring.games import make, names, spec_of
from sparring.games.compiled.game import CompiledGame

EVERYWHERE = np.arange(4)
KEYS = np.arange(4, dtype=np.uint64)


def started(name="tic_tac_toe"):
    game = make(name, 4)
    game.reset(EVERYWHERE, KEYS)
    return game


def assert_equal(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype
        assert np.array_equal(a[name], b[name]), name


@pytest.mark.parametrize(
    "rules", ["sparring.games.connect_four", "sparring.games.tic_tac_toe", "lottery_rules"]
)
def test_compiled_and_interpreted_are_equal_bit_for_bit(rules):
    rng, slots = np.random.default_rng(7), np.arange(24)
    games = [CompiledGame(rules, 24), CompiledGame(rules, 24, interpreted=True)]
    chosen, finished = slots, 0
    for _ in range(250):
        keys = rng.integers(2**63, size=len(chosen)).astype(np.uint64)
        for game in games:
            game.reset(chosen, keys)
        actions = random_actions(snapshot(games[0]), rng)
        for game in games:
            game.step(actions)
        assert_equal(*map(snapshot, games))
        assert_equal(*(game.get_state() for game in games))
        assert np.array_equal(*(game.win_or_block(slots) for game in games))
        assert np.array_equal(*(game.observe_as(slots, 1 - games[0].seat) for game in games))
        chosen = np.flatnonzero(games[0].terminated | games[0].truncated)
        finished += len(chosen)
    assert finished >= 100


def reached_from(function, seen):
    """All functions that `function` names, plain and compiled."""
    for name in function.__code__.co_names:
        value = function.__globals__.get(name)
        if isinstance(value, FunctionType | Dispatcher) and value not in seen:
            seen.add(value)
            if isinstance(value, FunctionType):
                reached_from(value, seen)
    return seen


def test_interpreted_runs_no_compiled_function_of_driver_and_rules():
    game = CompiledGame("sparring.games.connect_four", 2, interpreted=True)
    reached = (
        reached_from(game._step, {game._step})
        | reached_from(game._reset, {game._reset})
        | reached_from(game._win_or_block, set())
    )
    assert {function.__name__ for function in reached} >= {
        "step",
        "reset",
        "_show",
        "_mark_wins",
        "play",
        "legal",
        "_cell",
        "_has_four",
    }
    assert {function.__module__ for function in reached if isinstance(function, Dispatcher)} == {
        "sparring.games.rng"
    }


def test_views_of_a_short_match():
    game = started()
    for tick, action in enumerate([0, 3, 1, 4]):
        assert game.seat.tolist() == [tick % 2] * 4
        game.step(np.array([action, -1, -1, -1]))
        game.step(np.array([-1, action, action, action]))
    assert game.plies.tolist() == [4] * 4
    assert np.flatnonzero(game.mask[0]).tolist() == [2, 5, 6, 7, 8]
    assert game.observation[0].tolist() == [
        [[1, 1, 0], [0, 0, 0], [0, 0, 0]],
        [[0, 0, 0], [1, 1, 0], [0, 0, 0]],
    ]
    game.step(np.array([2, 8, -1, 2]))
    assert game.rewards.tolist() == [[1, -1], [0, 0], [0, 0], [1, -1]]
    assert game.terminated.tolist() == [True, False, False, True]
    assert not game.truncated.any()
    assert not game.observation[0].any()
    assert not game.mask[0].any()
    game.step(np.array([-1, 5, -1, -1]))
    assert game.rewards.tolist() == [[0, 0], [-1, 1], [0, 0], [0, 0]]
    game.reset(np.array([1, 0]), KEYS[:2])
    assert not game.rewards.any()
    assert game.plies.tolist() == [0, 0, 4, 5]
    assert game.terminated.tolist() == [False, False, False, True]


def test_win_or_block_by_hand():
    game = started()
    for action in (0, 3, 1):  # the cells 0 and 1 are seat 0's: seat 1 has to block 2
        game.step(np.full(4, action))
    assert np.flatnonzero(game.win_or_block(np.array([2]))[0]).tolist() == [2]
    game.step(np.full(4, 4))  # instead: now seat 0 wins with 2, although 5 would block
    marked = game.win_or_block(np.array([3, 0]))
    assert [np.flatnonzero(row).tolist() for row in marked] == [[2], [2]]
    game.step(np.array([2, 8, 8, 8]))
    marked = game.win_or_block(EVERYWHERE)
    assert [np.flatnonzero(row).tolist() for row in marked] == [[], [5], [5], [5]]
    game.reset(EVERYWHERE, KEYS)
    assert game.win_or_block(EVERYWHERE).all()


def test_win_or_block_marks_both_ends_of_an_open_three():
    game = make("connect_four", 1)
    game.reset(np.array([0]), KEYS[:1])
    for action in (2, 2, 3, 3, 4):
        game.step(np.array([action]))
    assert np.flatnonzero(game.win_or_block(np.array([0]))[0]).tolist() == [1, 5]


@pytest.mark.parametrize("interpreted", [False, True])
def test_win_or_block_knows_nothing_of_the_matchs_chance(interpreted):
    """Action 0 wins for three keys of four, action 1 at odd levels whatever the key; nobody looks
    for what the next seat could win with.
    """
    n = 64
    game = CompiledGame("lottery_rules", n, interpreted=interpreted)
    game.reset(np.arange(n), np.arange(n, dtype=np.uint64))
    state = game.get_state()
    assert game.win_or_block(np.arange(n)).all()
    assert_equal(game.get_state(), state)
    game.step(np.zeros(n, np.int64))
    assert 0.6 * n < game.terminated.sum() < 0.9 * n
    game.set_state(state)
    game.step(np.full(n, 2))
    assert np.array_equal(game.win_or_block(np.arange(n)), np.tile([False, True, False], (n, 1)))


def test_what_each_seat_sees():
    game = started()
    game.step(np.array([4, 4, -1, -1]))
    seen = game.observe_as(np.array([1, 1, 3]), np.array([0, 1, 1]))
    assert seen.dtype == np.int8
    assert seen[0].tolist() == [[[0, 0, 0], [0, 1, 0], [0, 0, 0]], [[0] * 3] * 3]
    assert (
        seen[1].tolist()
        == game.observation[1].tolist()
        == [[[0] * 3] * 3, [[0, 0, 0], [0, 1, 0], [0, 0, 0]]]
    )
    assert not seen[2].any()
    assert game.seat.tolist() == [1, 1, 0, 0]
    for action in (0, 3, 1, 5):
        game.step(np.array([action, -1, -1, -1]))
    assert game.terminated[0]
    assert not game.observe_as(np.array([0]), np.array([1])).any()
    with pytest.raises(InputError, match=r"no such seats: got \[2\]"):
        game.observe_as(np.array([0]), np.array([2]))


def test_texts():
    game = started()
    for action in (4, 0, 8):
        game.step(np.array([-1, -1, action, -1]))
    assert game.text(2) == "O 1 2\n3 X 5\n6 7 X"
    assert game.text(3) == "0 1 2\n3 4 5\n6 7 8"
    assert game.action_text(2, 7) == "7"
    four = started("connect_four")
    for action in (3, 3, 6):
        four.step(np.full(4, action))
    empty = ". . . . . . .\n"
    assert four.text(0) == 4 * empty + ". . . O . . .\n. . . X . . X\n0 1 2 3 4 5 6"
    assert CompiledGame("lottery_rules", 1).text(0) == "seat: 0\nlevel: 0"
    with pytest.raises(InputError, match="no such slots"):
        game.text(4)


def test_keys_and_actions_are_in_the_state():
    game = started()
    for action in (4, 0, 8):
        game.step(np.array([-1, -1, action, -1]))
    state = game.get_state()
    assert state["keys"].tolist() == [0, 1, 2, 3]
    assert state["history"].dtype == np.int32
    assert state["history"].tolist() == [[0, 0, 0], [0, 0, 0], [4, 0, 8], [0, 0, 0]]
    game.reset(np.array([2]), np.array([9], np.uint64))
    game.step(np.array([5, -1, 6, -1]))
    assert game.get_state()["history"][[0, 2], 0].tolist() == [5, 6]
    assert game.get_state()["keys"].tolist() == [0, 1, 9, 3]


def test_the_name_of_a_game():
    assert CompiledGame("sparring.games.tic_tac_toe", 1).spec.name == "tic_tac_toe"
    assert (
        CompiledGame("sparring.games.tic_tac_toe", 1, name="compiled:mine").spec.name
        == "compiled:mine"
    )
    assert CompiledGame("faulty_rules", 1).spec.name == "faulty_rules"


@pytest.mark.parametrize("action", [0, 9, -2, 2**40])
def test_an_illegal_action_changes_nothing(action):
    game = started()
    game.step(np.zeros(4, np.int64))
    views, state = snapshot(game), game.get_state()
    with pytest.raises(
        IllegalAction,
        match=(
            rf"^illegal action in slot 2 of tic_tac_toe: got {action}, expected one of "
            rf"\[1, 2.*mask$"
        ),
    ):
        game.step(np.array([1, 2, action, action]))
    assert_equal(snapshot(game), views)
    assert_equal(game.get_state(), state)


def test_an_ended_match_takes_no_action():
    game = started()
    for action in (0, 3, 1, 4, 2):
        game.step(np.full(4, action))
    with pytest.raises(
        IllegalAction, match="expected -1; the match there has ended: reset the slot first"
    ):
        game.step(np.full(4, 8))
    game.step(np.full(4, -1))


def test_a_slot_that_was_never_reset_takes_no_action():
    game = make("tic_tac_toe", 4)
    game.reset(np.array([1]), KEYS[:1])
    assert game.terminated.tolist() == [True, False, True, True]
    game.step(np.array([-1, 4, -1, -1]))
    with pytest.raises(IllegalAction, match="slot 0"):
        game.step(np.array([4, -1, -1, -1]))


@pytest.mark.parametrize("slots", [[4], [-1], [0, 99], [[0]]])
def test_slots_that_are_not_there_are_refused(slots):
    game = started()
    with pytest.raises(InputError, match="no such slots"):
        game.reset(np.array(slots), KEYS[: len(slots)])
    with pytest.raises(InputError, match="no such slots"):
        game.win_or_block(np.array(slots))


def test_arguments_of_another_length_are_refused():
    game = started()
    with pytest.raises(InputError, match="one key for each slot"):
        game.reset(EVERYWHERE, KEYS[:3])
    with pytest.raises(InputError, match="one action for each slot"):
        game.step(np.zeros(3, np.int64))
    with pytest.raises(TypeError):
        game.step(np.zeros(4))
    with pytest.raises(ConfigurationError, match="at least 1"):
        make("tic_tac_toe", 0)


def test_arguments_may_be_of_any_layout():
    game, plain = started(), started()
    actions = np.arange(8, dtype=np.int32)[::2]
    actions.flags.writeable = False
    game.step(actions)
    plain.step(np.array([0, 2, 4, 6]))
    assert_equal(snapshot(game), snapshot(plain))


def test_a_state_of_another_game_is_refused():
    game = started()
    views = snapshot(game)
    with pytest.raises(
        GameError,
        match=(
            r"^state of tic_tac_toe does not fit in states: got .* \(4,\), expected .* "
            r"\(4,\); it was"
        ),
    ):
        game.set_state(started("connect_four").get_state())
    with pytest.raises(GameError, match="does not fit in states: got None"):
        game.set_state({})
    with pytest.raises(GameError, match="does not fit in states"):
        game.set_state(make("tic_tac_toe", 5).get_state())
    assert_equal(snapshot(game), views)


def test_a_restored_game_shows_the_same_views():
    game = started("connect_four")
    rng = np.random.default_rng(3)
    for _ in range(12):
        game.step(random_actions(snapshot(game), rng))
    other = make("connect_four", 4)
    other.set_state(game.get_state())
    assert_equal(snapshot(other), snapshot(game))


def test_a_state_without_room_for_the_next_action_is_refused():
    game = started()
    state = {**game.get_state(), "history": np.zeros((4, 9), np.int32)}
    for plies in (-1, 9, 10):
        with pytest.raises(GameError, match=r"^state of tic_tac_toe does not fit in plies"):
            game.set_state({**state, "plies": np.array([0, 0, plies, 0])})
    game.set_state({**state, "plies": np.array([0, 0, 8, 0])})


@pytest.mark.parametrize("seat", [-1, 2])
def test_a_state_with_another_seat_is_refused(seat):
    game = started()
    state = game.get_state()
    state["states"]["seat"][3] = seat
    with pytest.raises(GameError, match=r"^state of tic_tac_toe does not fit in seat"):
        game.set_state(state)


@pytest.mark.parametrize("name", names())
def test_a_made_game_declares_what_its_name_does(name):
    game = make(name, 2)
    assert game.spec == spec_of(name)
    assert game.spec.name == name
    assert all(len(getattr(game, view)) == 2 for view in VIEWS)
