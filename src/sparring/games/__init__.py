"""Rules of games, and the batched protocol through which everything else plays them."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from typing import Any, Final

from sparring.errors import ConfigurationError, nearest
from sparring.games.names import GameName, parse
from sparring.games.spec import BatchedGame, GameSpec, Match, Symmetry
from sparring.games.user_games import make as make_own
from sparring.games.user_games import name_of
from sparring.user_code import import_named

__all__ = [
    "BatchedGame", "GameSpec", "Match", "Symmetry", "canonical", "check_name", "is_built_in", "is_own", "label", "make", "name_of", "names",
    "player_numbers", "spec_of", "with_players",
]  # fmt: skip

# The rules of each game, by its number of players; the first is what the bare name stands for.
_RULES: Final[Mapping[str, Mapping[int, str]]] = {
    "connect_four": {2: "sparring.games.connect_four"},
    "ludo": {
        2: "sparring.games.ludo.two",
        3: "sparring.games.ludo.three",
        4: "sparring.games.ludo.four",
    },
    "tic_tac_toe": {2: "sparring.games.tic_tac_toe"},
}
# Adapters by their scheme; each module offers make(name, num_slots). Named and not imported: they
# stand on this room.
_ADAPTERS: Final = {
    "openspiel": "sparring.adapters.openspiel",
    "pettingzoo": "sparring.adapters.pettingzoo",
}
_COMPILED: Final = "compiled"


def names() -> tuple[str, ...]:
    """Every built-in game, in alphabetical order."""
    return tuple(_RULES)


def make(game: str | object, num_slots: int) -> BatchedGame:
    """A game with `num_slots` matches side by side; its `spec.name` is the canonical one.

    `game` is a class that plays one match, or a name: that of a built-in game, `module:Class`,
    `compiled:module`, `openspiel:...` or `pettingzoo:...`, each perhaps with arguments, as in
    `ludo(num_players=4)`. Raises `ConfigurationError` for a game that is not there.
    """
    name = name_of(game)
    parsed = parse(name)
    if parsed.scheme in _ADAPTERS:
        adapted: BatchedGame = importlib.import_module(_ADAPTERS[parsed.scheme]).make(
            parsed, num_slots
        )
        return adapted
    if parsed.scheme and parsed.scheme != _COMPILED:
        return make_own(parsed, num_slots)
    from sparring.games.compiled.game import (
        CompiledGame,
    )  # Numba takes half a second, and not every declaration needs it

    if parsed.scheme and parsed.arguments:
        raise ConfigurationError(
            f"compiled:{parsed.target} takes no arguments",
            got=", ".join(parsed.arguments),
            expected="none",
        )
    rules = parsed.target if parsed.scheme else _rules_of(parsed)
    return CompiledGame(rules, num_slots, name=canonical(name))


def spec_of(name: str) -> GameSpec:
    """Declared facts of a game; compiles nothing of a built-in one. A user's own game is asked each
    time: its module may be loaded anew.
    """
    return make(name, 1).spec if is_own(name) else _lasting_spec(name)


@functools.cache
def _lasting_spec(name: str) -> GameSpec:
    parsed = parse(name)
    if parsed.scheme:
        return make(name, 1).spec
    spec = importlib.import_module(_rules_of(parsed)).SPEC
    assert isinstance(spec, GameSpec)
    return spec


def check_name(name: str) -> None:
    """Raise `ConfigurationError` for a game that is not there. A user's class is imported, and not
    built.
    """
    if is_own(name) and (parsed := parse(name)).scheme != _COMPILED:
        import_named(f"{parsed.scheme}:{parsed.target}", what="game")
    else:
        spec_of(name)


def canonical(name: str) -> str:
    """The one spelling of a name: equal games have equal names."""
    parsed = parse(name)
    return str(parsed) if parsed.scheme else spec_of(name).name


def player_numbers(name: str) -> tuple[int, ...]:
    """Numbers of players that a built-in game allows."""
    return tuple(_RULES[name])


def label(name: str) -> str:
    """Name of the game in files and presets: without its origin and its arguments."""
    return parse(name).label


def with_players(name: str, num_players: int) -> GameSpec:
    """The spec of the same game for so many players. Raises `ConfigurationError` where it is not
    played by so many.
    """
    parsed, spec = parse(name), spec_of(name)
    if spec.num_players == num_players:
        return spec
    has_choice = (
        (is_own(name) and parsed.scheme != _COMPILED)
        if parsed.scheme
        else len(_RULES[parsed.target]) > 1
    )
    if not has_choice or "num_players" in parsed.arguments:
        expected = f"{spec.num_players}, as {name} is played"
        raise ConfigurationError(
            "num_players", got=num_players, expected=expected, remedy="leave it out"
        )
    return spec_of(
        str(
            GameName(parsed.scheme, parsed.target, {**parsed.arguments, "num_players": num_players})
        )
    )


def is_built_in(name: str) -> bool:
    """Return whether the game comes with Sparring."""
    return not parse(name).scheme


def is_own(name: str) -> bool:
    """Return whether making the game runs code that its user wrote: a class, or rules to be
    compiled.
    """
    scheme = parse(name).scheme
    return bool(scheme) and scheme not in _ADAPTERS


def _rules_of(name: GameName) -> str:
    if name.target not in _RULES:
        expected = f"one of {', '.join(_RULES)}, or module:Class"
        raise ConfigurationError(
            "unknown game",
            got=repr(str(name)),
            expected=expected,
            remedy=nearest(name.target, _RULES),
        )
    by_players: Mapping[int, str] = _RULES[name.target]
    arguments: dict[str, Any] = dict(name.arguments)
    num_players = arguments.pop("num_players", next(iter(by_players)))
    if arguments:
        raise ConfigurationError(
            f"{name.target} takes no such argument",
            got=", ".join(arguments),
            expected="num_players at most",
        )
    if num_players not in by_players:
        expected = " or ".join(map(str, by_players))
        raise ConfigurationError(
            f"num_players of {name.target}", got=num_players, expected=expected
        )
    return by_players[num_players]
