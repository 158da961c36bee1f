"""Games of one's own: which objects have a name, and what is made by it."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np
import pytest

from sparring.errors import ConfigurationError
from sparring.games import GameSpec, make, name_of, spec_of, with_players
from sparring.games import spec as spec_module
from sparring.games.compiled.game import CompiledGame
from sparring.games.declarations import checked
from sparring.games.user_objects import name_of as name_of_game

SPEC = GameSpec(
    num_players=2, num_actions=2, observation_shape=(2,), observation_dtype="int8", max_plies=6
)


class Sticks:
    """Take one stick or two; who takes the last one wins."""

    spec = SPEC

    def __init__(self, sticks: int = 5) -> None:
        self.sticks = self.all = sticks
        self.seat = 0

    def reset(self, rng):
        self.sticks, self.seat = self.all, 0

    def mask(self):
        return [True, self.sticks > 1]

    def observe(self, seat):
        return [self.sticks, seat == self.seat]

    def step(self, action):
        self.sticks -= 1 + action
        mover, self.seat = self.seat, 1 - self.seat
        return ([1, -1] if mover == 0 else [-1, 1]) if self.sticks == 0 else None, self.sticks == 0


@dataclass
class Chosen(Sticks):
    """The number of sticks is a field, so an instance tells it."""

    sticks_: int = 3

    def __post_init__(self):
        super().__init__(self.sticks_)


class Needy(Sticks):
    def __init__(self, sticks):
        super().__init__(sticks)


class ForSome(Sticks):
    def __init__(self, num_players: int = 2) -> None:
        super().__init__()
        self.spec = GameSpec(
            num_players=num_players,
            num_actions=2,
            observation_shape=(2,),
            observation_dtype="int8",
            max_plies=6,
        )


class Bare:
    pass


def several(num_slots: int):
    """A function that offers the batched protocol."""
    from sparring.games.python.game import LoopedGame

    return LoopedGame("whatever", Sticks, num_slots)


HERE = Sticks.__module__


@pytest.mark.parametrize(
    ("game", "name"),
    [
        ("connect_four", "connect_four"),
        (Sticks, f"{HERE}:Sticks"),
        (functools.partial(Sticks, sticks=7), f"{HERE}:Sticks(sticks=7)"),
        (Chosen(4), f"{HERE}:Chosen(sticks_=4)"),
        (Bare(), f"{HERE}:Bare"),
        (several, f"{HERE}:several"),
    ],
)
def test_names_of_objects(game, name):
    assert name_of is name_of_game
    assert name_of(game) == name


@pytest.mark.parametrize(
    ("game", "words"),
    [
        (lambda: Sticks(), "lambda"),
        *(
            (thing, "^game: got .*, expected a name, or a class")
            for thing in (None, 3, b"x", {}, dict)
        ),
        (Needy(3), "got one of Needy, expected its class; pass the class, or functools.partial"),
        (functools.partial(Sticks, 3), "arguments by name"),
        (functools.partial(Sticks, sticks=[3]), r"argument sticks of Sticks: got \[3\]"),
        *(
            (functools.partial(Sticks, sticks=word), "argument sticks of Sticks")
            for word in ("a,b", "5", "true", "None", "1e3", " x", float("inf"))
        ),
    ],
)
def test_objects_without_a_name(game, words):
    with pytest.raises(ConfigurationError, match=words):
        name_of(game)


def test_a_class_is_played_by_its_name():
    assert make(functools.partial(Sticks, sticks=4), 1).spec.name == f"{HERE}:Sticks(sticks=4)"
    game = make(f"{HERE}:Sticks(sticks=4)", 3)
    assert (
        game.spec
        == GameSpec(**{**vars(SPEC), "name": f"{HERE}:Sticks(sticks=4)", "afterstates": "mover"})
        == spec_of(f"{HERE}:Sticks(sticks=4)")
    )
    game.reset(np.arange(3), np.arange(3).astype(np.uint64))
    game.step(np.array([1, 0, -1]))
    assert game.observation[:, 0].tolist() == [2, 3, 4]
    assert game.seat.tolist() == [1, 1, 0]


def test_a_class_may_offer_the_batched_protocol_itself():
    game = make(f"{HERE}:several", 5)
    assert (game.num_slots, game.spec.name) == (5, f"{HERE}:several")


def test_the_number_of_players_goes_to_the_constructor():
    name = with_players(f"{HERE}:ForSome", 3).name
    assert name == f"{HERE}:ForSome(num_players=3)"
    assert make(name, 1).spec.num_players == 3
    with pytest.raises(ConfigurationError, match="num_players"):
        with_players(f"{HERE}:Sticks", 3)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no_such_module:Game", "no such module.*'no_such_module'.*current directory"),
        (f"{HERE}:Stick", "did you mean 'Sticks'"),
        (f"{HERE}:SPEC", "is not a game"),
        (f"{HERE}:Bare", r"has no GameSpec.*spec = GameSpec\("),
        (f"{HERE}:Sticks(stones=3)", "arguments of .*:Sticks.*stones"),
        (f"{HERE}:Needy", "arguments of .*:Needy.*sticks"),
    ],
)
def test_what_cannot_be_made(name, words):
    with pytest.raises(ConfigurationError, match=words):
        make(name, 1)


def test_a_class_that_was_defined_anew_is_asked_anew(monkeypatch):
    name = f"{HERE}:Sticks(sticks=4)"
    assert spec_of(name).max_plies == SPEC.max_plies
    monkeypatch.setattr(Sticks, "spec", replace(SPEC, max_plies=SPEC.max_plies + 1))
    assert spec_of(name).max_plies == SPEC.max_plies + 1


def test_the_repr_of_a_game_is_one_short_line():
    assert repr(make("connect_four", 256)) == "CompiledGame(connect_four, 256 slots)"
    plain = CompiledGame("sparring.games.tic_tac_toe", 2, interpreted=True)
    assert repr(plain) == "CompiledGame(tic_tac_toe, 2 slots, interpreted)"
    assert (
        repr(make(f"{HERE}:Sticks(sticks=4)", 3)) == f"LoopedGame({HERE}:Sticks(sticks=4), 3 slots)"
    )
    assert repr(make("test_batched_user_games:Batch", 4)).startswith(
        "<test_batched_user_games.Batch"
    )
    for name in ("connect_four", "ludo(num_players=4)", f"{HERE}:Sticks"):
        assert "\n" not in repr(spec_of(name))
        assert len(repr(spec_of(name))) < 200


def test_the_repr_of_a_spec_names_the_facts_that_hold():
    assert repr(spec_of("connect_four")) == (
        "GameSpec(connect_four: num_players=2, num_actions=7, observation=int8 (2, 6, 7), "
        "max_plies=42, zero_sum, returns=(-1.0, 1.0), symmetries=1)"
    )
    assert repr(SPEC) == (
        "GameSpec(unnamed: num_players=2, num_actions=2, observation=int8 (2,), max_plies=6)"
    )


@pytest.mark.parametrize(
    ("returns", "value_range"),
    [
        (None, None),
        ((-1.0, 1.0), (-1.0, 1.0)),
        ((0.5, 2.0), (0.0, 2.0)),
        ((-3.0, -1.0), (-3.0, 0.0)),
    ],
)
def test_values_lie_between_the_returns_and_0_whatever_the_discount(returns, value_range):
    assert replace(SPEC, returns=returns).value_range == value_range


def test_an_observation_needs_a_dimension():
    with pytest.raises(ConfigurationError, match=r"invalid spec.observation_shape: got \(\)"):
        checked(replace(SPEC, observation_shape=()), "my_game:MyGame", "spec")


class Vast(Sticks):
    def __init__(self, size):
        super().__init__()
        self.spec = replace(SPEC, observation_shape=(size, size))


def test_a_game_too_large_for_the_memory_is_refused_at_once(monkeypatch):
    monkeypatch.setattr(spec_module, "_physical_memory", lambda: 2.0**30)
    name = f"{HERE}:Vast(size=800)"
    with pytest.raises(
        ConfigurationError,
        match=(
            r"Vast\(size=800\) is too large for the memory of this machine: got 1 MiB for an "
            r"observation and a mask of 2 actions, expected at most 0\.5 MiB; choose a smaller"
        ),
    ):
        make(name, 1)
    make(f"{HERE}:Vast(size=500)", 1)
    with pytest.raises(ConfigurationError, match="too large"):
        make(f"{HERE}:Vast(size=500)", 5000)
    with pytest.raises(ConfigurationError, match="too large"):
        make("connect_four", 20_000_000)
