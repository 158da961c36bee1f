"""RLCard's games: payoffs, seats, chance that follows from the key, and those that are refused."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from sparring.errors import ConfigurationError
from sparring.games import is_own, make, spec_of

pytest.importorskip("rlcard")

FOLD = 2
OWN = "rlcard:user_rlcard:high-card"


def begun(name, keys=(0,)):
    game = make(name if ":" in name else f"rlcard:{name}", len(keys))
    game.reset(np.arange(len(keys)), np.array(keys, np.uint64))
    return game


def test_both_are_paid_at_the_end():
    game = begun("leduc-holdem")
    mover = int(game.seat[0])
    assert game.action_text(0, FOLD) == "fold"
    game.step(np.array([FOLD]))
    assert game.terminated[0]
    assert game.rewards[0, mover] == -0.5  # the small blind begins; in big blinds
    assert game.rewards[0, 1 - mover] == 0.5


def test_cards_follow_from_the_key():
    first, again, other = (
        begun("leduc-holdem", keys) for keys in ([1, 2, 3], [1, 2, 3], [4, 5, 6])
    )
    assert np.array_equal(first.observation, again.observation)
    assert not np.array_equal(first.observation, other.observation)
    hands = begun("leduc-holdem", range(300)).observation[:, :3]
    assert hands.sum(axis=0).min() > 75  # of 100 expected, a standard deviation is 8


def random_actions(game, rng):
    return np.array([rng.choice(np.flatnonzero(mask)) if mask.any() else -1 for mask in game.mask])


@pytest.mark.parametrize(
    "name",
    ["blackjack", "bridge", "gin-rummy", "leduc-holdem", "limit-holdem", "mahjong",
     "no-limit-holdem", "uno"],
)  # fmt: skip
def test_nothing_of_one_match_is_left_in_the_next(name):
    """RLCard keeps the dealer of the first one, and its raises in the first state of the second."""
    used, rng = begun(name, range(8)), np.random.default_rng(0)
    for _ in range(4):
        used.step(random_actions(used, rng))
    used.reset(np.arange(8), np.arange(50, 58, dtype=np.uint64))
    new = begun(name, range(50, 58))
    for _ in range(12):
        assert np.array_equal(used.seat, new.seat)
        assert np.array_equal(used.observation, new.observation)
        assert np.array_equal(used.mask, new.mask)
        actions = random_actions(new, rng)
        used.step(actions)
        new.step(actions)
        assert np.array_equal(used.rewards, new.rewards)


def test_the_seat_is_shown_where_the_state_does_not_name_it():
    game = begun("uno")
    assert game.spec.observation_shape == (5, 4, 15)
    seen = game.observe_as(np.array([0, 0]), np.array([0, 1]))
    assert [seen[seat, 4].tolist() for seat in (0, 1)] == [[[seat] * 15] * 4 for seat in (0, 1)]
    assert spec_of("rlcard:blackjack").observation_shape == (2,)  # one seat


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("uno", {"num_players": 2, "zero_sum": True, "returns": (-1, 1), "num_actions": 61}),
        ("mahjong", {"num_players": 4, "zero_sum": False, "observation_dtype": "int8"}),
        ("limit-holdem(game_num_players=4)", {"num_players": 4, "observation_dtype": "float32"}),
        ("uno(max_plies=50)", {"max_plies": 50, "chance": True, "hidden_information": True}),
    ],
)
def test_what_games_declare(name, facts):
    spec = spec_of(f"rlcard:{name}")
    assert {key: getattr(spec, key) for key in facts} == facts


def test_words():
    text = begun("mahjong").text(0)
    assert text.startswith("player 0 to move\n")
    assert "object at" not in text
    assert "public_card: None" in begun("leduc-holdem").text(0)


def test_a_game_of_ones_own():
    assert is_own(OWN)  # so it is not imported by reading an agent file
    game = begun(OWN, range(20))
    assert game.spec.observation_shape == (4,)  # the card, and the seat of three
    assert game.mask.tolist() == [[True, card < 5] for card in game.observation[:, 0]]
    for seat in range(3):
        assert (game.seat == seat).all()
        assert (game.observation[:, 1:] == np.eye(3)[seat]).all()
        game.step(np.zeros(20, np.int64))
    assert game.terminated.all()
    assert (np.sort(game.rewards, axis=1) == [-0.5, -0.5, 1.0]).all()


def test_a_copy_goes_on_by_itself():
    game = begun("uno", [3])
    match, _ = game.lent(0)
    twin, before = match.copy(), match.observe(0).tolist()
    assert twin.observe(0).tolist() == before
    twin.step(int(np.flatnonzero(twin.mask())[0]))
    assert match.observe(0).tolist() == before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("doudizhu", "got observations of (790,) and (901,), expected one shape for all seats"),
        ("uno(game_num_players=3)", "uno has no such setting: got game_num_players"),
        ("limit-holdem(game_num_player=3)", "did you mean 'game_num_players'?"),
        (
            "leduc-holden",
            "RLCard has no such game: got 'leduc-holden'; did you mean 'leduc-holdem'?",
        ),
        ("poker", "it has blackjack, bridge, doudizhu"),
        ("no_such_module:poker", "no such module for rlcard:no_such_module:poker"),
    ],
)
def test_what_is_refused(name, message):
    with pytest.raises(ConfigurationError) as caught:
        make(f"rlcard:{name}", 1)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_the_library(monkeypatch):
    monkeypatch.delitem(sys.modules, "sparring.adapters.rlcard", raising=False)
    monkeypatch.setitem(sys.modules, "rlcard", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'sparring\[rlcard\]'") as caught:
        make("rlcard:uno", 1)
    assert "\n" not in str(caught.value)
