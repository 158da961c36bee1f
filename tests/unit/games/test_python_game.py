"""LoopedGame: the batched protocol over Match objects."""

from __future__ import annotations

import copy
import functools

import numpy as np
import pytest
from plain_games import Dice, Toe

from sparring.errors import ConfigurationError, GameError, IllegalAction, InputError
from sparring.games.compiled.game import CompiledGame
from sparring.games.faults import BrokenContractError
from sparring.games.python.coerce import as_mask
from sparring.games.python.game import LoopedGame
from sparring.games.rng import CHANCE, purpose_key
from sparring.games.spec import GameSpec

VIEWS = ("seat", "observation", "mask", "rewards", "terminated", "truncated", "plies")
N = 24
EVERYWHERE = np.arange(N)


def started(match=Dice, n=N, seed=1):
    game = LoopedGame(f"plain_games:{match.__name__}", match, n)
    game.reset(np.arange(n), np.random.default_rng(seed).integers(2**64, size=n, dtype=np.uint64))
    return game


def views(game):
    return {name: getattr(game, name).copy() for name in VIEWS}


def assert_equal(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype
        assert np.array_equal(a[name], b[name]), name


def random_actions(game, rng, waiting=0.0):
    """A random legal action in each match that goes on, -1 elsewhere and in some that wait."""
    live = ~(game.terminated | game.truncated) & (rng.random(game.num_slots) >= waiting)
    return np.where(live, np.where(game.mask, rng.random(game.mask.shape), -1).argmax(axis=1), -1)


def test_a_match_class_and_compiled_rules_of_the_same_game_are_equal_view_by_view():
    games = [LoopedGame("plain_games:Toe", Toe, N), CompiledGame("sparring.games.tic_tac_toe", N)]
    rng, finished = np.random.default_rng(7), 0
    chosen = EVERYWHERE
    for _ in range(60):
        keys = rng.integers(2**64, size=len(chosen), dtype=np.uint64)
        for game in games:
            game.reset(chosen, keys)
        actions = random_actions(games[0], rng, waiting=0.2)
        for game in games:
            game.step(actions)
        assert_equal(*map(views, games))
        assert np.array_equal(*(game.win_or_block(EVERYWHERE) for game in games))
        for seats in (games[0].seat, 1 - games[0].seat):
            assert np.array_equal(*(game.observe_as(EVERYWHERE, seats) for game in games))
        chosen = np.flatnonzero(games[0].terminated)
        finished += len(chosen)
    assert finished > 100


def stream_of(key) -> np.random.Generator:
    """The stream of a match's chance, from its definition: the purpose key twice, as the state of a
    PCG64 of increment 1.
    """
    number, bits = int(purpose_key(key, CHANCE)), np.random.PCG64()
    bits.state = {
        **bits.state,
        "state": {"state": number * 2**64 + number, "inc": 1},
        "has_uint32": 0,
        "uinteger": 0,
    }
    return np.random.Generator(bits)


def test_dice_by_hand():
    """Against Match objects played one by one: chance from the match's key, extra turns, three
    rewards, cut at eight plies.
    """
    game, rng = LoopedGame("dice", Dice, N), np.random.default_rng(3)
    keys = rng.integers(2**64, size=N, dtype=np.uint64)
    game.reset(EVERYWHERE, keys)
    matches = [Dice() for _ in keys]
    for match, key in zip(matches, keys, strict=True):
        match.reset(stream_of(key))
    ended, extra_turns = np.zeros(N, bool), 0
    for ply in range(9):
        before, actions = views(game), random_actions(game, rng)
        game.step(actions)
        for slot, match in enumerate(matches):
            if ended[slot] or ply == 8:
                assert actions[slot] == -1
                assert not game.rewards[slot].any()
                continue
            assert before["seat"][slot] == match.seat
            assert before["mask"][slot].tolist() == match.mask()
            assert (
                before["observation"][slot].tolist()
                == np.array(match.observe(match.seat), np.float32).tolist()
            )
            rewards, ended[slot] = match.step(actions[slot])
            extra_turns += match.seat == before["seat"][slot] and not ended[slot]
            assert game.rewards[slot].tolist() == (rewards or [0, 0, 0])
            assert game.plies[slot] == ply + 1
    assert np.array_equal(game.terminated, ended)
    assert np.array_equal(game.truncated, ~ended)
    assert 0 < ended.sum() < N
    assert extra_turns > 3
    assert not game.observation[ended].any()
    assert not game.mask[ended].any()
    assert game.mask[~ended].any(axis=1).all()


def test_keys_make_the_matches_wherever_they_are_played():
    one, other = started(seed=5), LoopedGame("dice", Dice, N)
    other.reset(EVERYWHERE[::-1], one.get_state()["keys"])
    for _ in range(8):
        one.step(np.where(one.terminated, -1, 0))
        other.step(np.where(other.terminated, -1, 0))
    assert_equal({name: view[::-1] for name, view in views(one).items()}, views(other))
    assert len(np.unique(one.plies)) > 2


def test_a_state_is_played_again():
    """In another game: matches that go on, ended, were cut, wait, and one that was never begun."""
    game, rng = LoopedGame("dice", Dice, N), np.random.default_rng(8)
    game.reset(EVERYWHERE[1:], rng.integers(2**64, size=N - 1, dtype=np.uint64))
    paid = 0
    for _ in range(11):
        game.step(random_actions(game, rng, waiting=0.3))
        state = game.get_state()
        kept = copy.deepcopy(state)
        other = started(seed=99)
        other.set_state(state)
        assert_equal(views(other), views(game))
        assert_equal(other.get_state(), state)
        paid += game.rewards.any()
        actions = random_actions(game, rng)
        for both in (game, other):
            both.step(actions)
        assert_equal(views(other), views(game))
        assert_equal(state, kept)
        game.set_state(state)
        assert_equal(game.get_state(), state)
    assert paid > 2
    assert game.truncated.any()
    assert game.terminated[1:].any()
    assert game.terminated[0]
    assert game.plies[0] == 0


def test_a_state_that_does_not_fit_is_refused():
    game = started(Toe, 2)
    game.step(np.array([4, 4]))
    state = game.get_state()
    with pytest.raises(
        GameError,
        match=(
            r"^state of plain_games:Toe does not fit in history: got int32 \(3, 9\), "
            r"expected int32 \(2, up to 9\); "
        ),
    ):
        game.set_state(
            {**state, "keys": np.zeros(2, np.uint64), "history": np.zeros((3, 9), np.int32)}
        )
    with pytest.raises(GameError, match="does not fit in keys: got None"):
        game.set_state({})
    wrong = {
        "its actions are not legal": {
            "plies": np.array([2, 2]),
            "history": np.full((2, 9), 4, np.int32),
        },
        "its actions are not": {"history": np.full((2, 9), -1, np.int32)},
        "its plies and its actions differ in number": {"plies": np.array([1, 10])},
        "the matches end elsewhere": {"terminated": np.array([True, False])},
    }
    for message, parts in wrong.items():
        with pytest.raises(
            GameError,
            match=(
                rf"^state of plain_games:Toe does not fit: .*{message}.*; its rules have "
                rf"changed since"
            ),
        ):
            started(Toe, 2).set_state({**state, **parts})


@pytest.mark.parametrize("action", [4, 9, -2, 2**40, -(2**40)])
def test_an_illegal_action_changes_nothing(action):
    game = started(Toe, 4)
    game.step(np.full(4, 4))
    before, state = views(game), game.get_state()
    with pytest.raises(
        IllegalAction,
        match=(
            rf"^illegal action in slot 2 of plain_games:Toe: got {action}, expected one of "
            rf"\[0, 1, 2, 3, 5"
        ),
    ):
        game.step(np.array([0, 1, action, action]))
    assert_equal(views(game), before)
    assert_equal(game.get_state(), state)


def test_ended_and_new_slots_take_no_action():
    game = started()
    while not (game.terminated | game.truncated).all():
        game.step(np.where(game.terminated | game.truncated, -1, 0))
    for slot in (game.terminated.argmax(), game.truncated.argmax()):
        with pytest.raises(
            IllegalAction,
            match=f"in slot {slot} of .*the match there has ended: reset the slot first",
        ):
            game.step(np.where(np.arange(N) == slot, 0, -1))
    with pytest.raises(IllegalAction, match="slot 0"):
        LoopedGame("dice", Dice, 1).step(np.array([0]))


def test_arguments_that_do_not_fit_are_refused():
    game = started(n=4)
    with pytest.raises(InputError, match="no such slots"):
        game.reset(np.array([4]), np.zeros(1, np.uint64))
    with pytest.raises(InputError, match="one key for each slot"):
        game.reset(np.arange(4), np.zeros(3, np.uint64))
    with pytest.raises(InputError, match="one action for each slot"):
        game.step(np.zeros(3, np.int64))
    with pytest.raises(
        InputError, match=r"no such seats: got \[3\], expected one for each of 1 slots, from 0 to 2"
    ):
        game.observe_as(np.array([0]), np.array([3]))
    with pytest.raises(InputError, match="no such slots"):
        game.text(4)
    with pytest.raises(ConfigurationError, match="at least 1"):
        LoopedGame("dice", Dice, 0)


def test_what_other_seats_see():
    game = started(n=2)
    game.step(np.array([0, 0]))
    fields = game._matches[1].fields
    seen = game.observe_as(np.array([1, 1, 1]), np.array([0, 1, 2]))
    assert seen.dtype == np.float32
    assert seen.tolist() == [
        np.array([fields[(seat + i) % 3] / 9 for i in range(3)], np.float32).tolist()
        for seat in range(3)
    ]
    while not game.terminated[0]:
        game.reset(np.array([0]), np.array([game.get_state()["keys"][0] + np.uint64(1)]))
        while not (game.terminated[0] or game.truncated[0]):
            game.step(np.array([0, -1]))
    assert not game.observe_as(np.array([0]), np.array([2])).any()


def test_texts():
    game = started(n=1)
    assert game.text(0) == f"fields [0, 0, 0], seat {game.seat[0]} to move"
    assert [game.action_text(0, action) for action in range(2)] == ["roll", "walk"]
    plain = started(Toe, 1)
    assert plain.text(0) == "seat: 0\nboard: [-1 -1 -1 -1 -1 -1 -1 -1 -1]"
    assert plain.action_text(0, 8) == "8"


def test_with_chance_win_or_block_gives_all_legal_moves_and_draws_nothing():
    game = started(n=4)
    game.step(np.zeros(4, np.int64))
    before = [match.rng.bit_generator.state for match in game._matches]
    assert np.array_equal(game.win_or_block(np.array([2, 0])), game.mask[[2, 0]])
    assert [match.rng.bit_generator.state for match in game._matches] == before


class Uncopied(np.ndarray):
    """An array of which no rows are copied out."""

    def __getitem__(self, rows):
        assert not isinstance(rows, np.ndarray), "rows were copied"
        return super().__getitem__(rows)


def test_whole_numbers_are_not_looked_through_for_nan():
    game = started(Toe, 4)
    game.observation = game.observation.view(Uncopied)
    game.step(np.array([4, -1, 0, 8]))
    assert np.asarray(game.observation).sum() == 3


class CopiedToe(Toe):
    copies = 0

    def copy(self):
        CopiedToe.copies += 1
        other = CopiedToe()
        other.seat, other.board = self.seat, self.board.copy()
        return other


def test_win_or_block_uses_the_copies_of_the_class():
    game = started(CopiedToe, 1)
    for action in (0, 3, 1):
        game.step(np.array([action]))
    assert np.flatnonzero(game.win_or_block(np.array([0]))[0]).tolist() == [2]
    assert CopiedToe.copies > 6
    assert game._matches[0].board.tolist() == [0, 0, -1, 1, -1, -1, -1, -1, -1]


class Kinds:
    """Gives everything in other kinds than declared, none of which loses anything."""

    spec = GameSpec(
        num_players=2, num_actions=3, observation_shape=(2,), observation_dtype="uint8", max_plies=5
    )

    def __init__(self):
        self.shown = [0, 255]

    def reset(self, rng):
        self.seat = np.int8(1)

    def mask(self):
        return (1, 0, 1)

    def observe(self, seat):
        return self.shown

    def step(self, action):
        self.shown = np.array([7, 8])
        return np.array([0.5, np.float32(-1)]), np.bool_(action == 2)


def test_other_kinds_are_taken_where_nothing_is_lost():
    game = started(Kinds, 1)
    assert game.seat.tolist() == [1]
    assert game.mask.tolist() == [[True, False, True]]
    assert game.observation.tolist() == [[0, 255]]
    game.step(np.array([0]))
    assert game.rewards.tolist() == [[0.5, -1]]
    assert game.observation.tolist() == [[7, 8]]
    game._matches[0].shown[:] = 9  # what the match keeps is its own
    assert game.observation.tolist() == [[7, 8]]
    game.step(np.array([2]))
    assert game.terminated.all()


def test_a_list_of_booleans_is_a_mask_without_numpys_detour(monkeypatch):
    monkeypatch.setattr(np, "asarray", None)
    for legal in ([True, False, True], [1, 0, 1]):
        assert as_mask(legal, (3,)).tolist() == [True, False, True]
        assert as_mask(legal, (3,)).dtype == np.bool_


@pytest.mark.parametrize(
    "legal", [[2, 0, 1], [-1, 0, 1], [300, 0, 1], [0.5, 0, 1], [1, 0], ["1"] * 3]
)
def test_a_list_of_other_numbers_is_no_mask(legal):
    with pytest.raises(BrokenContractError, match="a mask"):
        as_mask(legal, (3,))


class Wide:
    """`size` moves, of which number 7 wins from the second ply on; counts its copies."""

    copies = 0

    def __init__(self, size=142):
        self.spec = GameSpec(
            num_players=2, num_actions=size, observation_shape=(1,), observation_dtype="int8",
            max_plies=9, zero_sum=True,
        )  # fmt: skip
        self.seat = self.plies = 0

    def reset(self, rng):
        self.seat = self.plies = 0

    def mask(self):
        return np.ones(self.spec.num_actions, np.bool_)

    def observe(self, seat):
        return [self.plies]

    def step(self, action):
        mover, self.seat = self.seat, 1 - self.seat
        self.plies += 1
        won = self.plies > 1 and action == 7
        return ([1, -1] if mover == 0 else [-1, 1]) if won else None, won

    def copy(self):
        Wide.copies += 1
        other = Wide(self.spec.num_actions)
        other.seat, other.plies = self.seat, self.plies
        return other


@pytest.mark.parametrize(("size", "blocks", "copies"), [(20, True, 20 * 21), (142, False, 142)])
def test_with_very_many_moves_only_wins_are_looked_for(size, blocks, copies):
    """Go of 19 x 19 has 361 moves: with all replies one move took 47 seconds."""
    game = LoopedGame("wide", functools.partial(Wide, size), 1)
    game.reset(np.zeros(1, np.int64), np.zeros(1, np.uint64))
    Wide.copies = 0
    marked = game.win_or_block(np.zeros(1, np.int64))[0]
    assert np.flatnonzero(marked).tolist() == ([7] if blocks else list(range(size)))
    assert Wide.copies <= copies
    game.step(np.zeros(1, np.int64))
    assert np.flatnonzero(game.win_or_block(np.zeros(1, np.int64))[0]).tolist() == [7]
