"""Rules of games, and the batched protocol through which everything else plays them."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, TypeGuard

from sparring.errors import ConfigurationError, nearest
from sparring.games.names import GameName, parse
from sparring.games.spec import (
    BatchedGame,
    Board,
    BoardStyle,
    GameSpec,
    Match,
    Symmetry,
    with_afterstates,
)
from sparring.games.user_games import check_methods, library_of
from sparring.games.user_games import make as make_own
from sparring.games.user_objects import name_of
from sparring.user_code import import_named

if TYPE_CHECKING:
    from sparring.games.python.game import LoopedGame

__all__ = [
    "BatchedGame",
    "Board",
    "BoardStyle",
    "GameSpec",
    "Match",
    "Symmetry",
    "board_style",
    "canonical",
    "check_name",
    "has_user_matches",
    "is_built_in",
    "is_own",
    "label",
    "make",
    "name_of",
    "names",
    "player_numbers",
    "spec_of",
    "with_players",
]


class _BuiltIn(NamedTuple):
    """The rules module of each choice of arguments, and their values, the default first."""

    module: str  # a format string of the arguments
    arguments: Mapping[str, tuple[int | str, ...]] = {"num_players": (2,)}


_RULES: Final[Mapping[str, _BuiltIn]] = {
    "backgammon": _BuiltIn(
        "sparring.games.backgammon.{scoring}",
        {"num_players": (2,), "scoring": ("winloss", "full")},
    ),
    "connect_four": _BuiltIn("sparring.games.connect_four"),
    "ludo": _BuiltIn(
        "sparring.games.ludo.{observation}_{num_players}",
        {"num_players": (2, 3, 4), "observation": ("facts", "raw")},
    ),
    "othello": _BuiltIn("sparring.games.othello"),
    "tic_tac_toe": _BuiltIn("sparring.games.tic_tac_toe"),
}
# Adapters by scheme; each module has make(name, num_slots). Imported only when used: they are
# above this room.
_ADAPTERS: Final = {
    "gymnasium": "sparring.adapters.gymnasium",
    "openspiel": "sparring.adapters.openspiel",
    "pettingzoo": "sparring.adapters.pettingzoo",
    "rlcard": "sparring.adapters.rlcard",
}
_COMPILED: Final = "compiled"


def names() -> tuple[str, ...]:
    """Built-in games in alphabetical order, each with its variants, except numbers of players."""
    found = []
    for name, game in _RULES.items():
        found.append(name)
        for argument, values in game.arguments.items():
            if argument != "num_players":
                found += [f"{name}({argument}={value})" for value in values[1:]]
    return tuple(found)


def make(game: str | object, num_slots: int) -> BatchedGame:
    """Make a game with `num_slots` matches side by side; its `spec.name` is the canonical name.

    `game` is a class that plays one match, or a name: a built-in game, `module:Class`,
    `compiled:module`, or one of another library, as `openspiel:...`, with arguments if it takes
    any, as in `ludo(num_players=4)`. Raises `ConfigurationError` for an unknown game.
    """
    name = name_of(game)
    parsed = parse(name)
    if parsed.scheme in _ADAPTERS:
        return _adapted(parsed.scheme, parsed, num_slots)
    if _is_class(parsed):
        if library := library_of(parsed):
            return _adapted(library, parsed, num_slots)
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


def _adapted(library: str, name: GameName, num_slots: int) -> BatchedGame:
    adapted: BatchedGame = importlib.import_module(_ADAPTERS[library]).make(name, num_slots)
    return adapted


def spec_of(name: str) -> GameSpec:
    """Return the declared facts of a game; compiles nothing for a built-in one. A user's game is
    made anew on each call, because its module may have been reloaded.

    Raises `ConfigurationError` for an unknown game, and for a class that lacks a method.
    """
    if not is_own(name):
        return _lasting_spec(name)
    game = make(name, 1)
    check_methods(game)
    return game.spec


@functools.cache
def _lasting_spec(name: str) -> GameSpec:
    parsed = parse(name)
    if parsed.scheme:
        return make(name, 1).spec
    rules = importlib.import_module(_rules_of(parsed))
    return with_afterstates(rules.SPEC, draws_apart=hasattr(rules, "move"))


def check_name(name: str) -> None:
    """Raise `ConfigurationError` for an unknown game. A user's class is imported but not built."""
    parsed = parse(name)
    if _is_class(parsed):
        import_named(f"{parsed.scheme}:{parsed.target}", what="game")
    else:
        spec_of(name)


def canonical(name: str) -> str:
    """Return the one spelling of a name: equal games have equal names."""
    parsed = parse(name)
    return str(parsed) if parsed.scheme else spec_of(name).name


def player_numbers(name: str) -> tuple[int, ...]:
    """Return the numbers of players that a built-in game allows."""
    return tuple(map(int, _RULES[parse(name).target].arguments["num_players"]))


def label(name: str) -> str:
    """Return the game's name in files and presets: without scheme and arguments."""
    return parse(name).label


def with_players(name: str, num_players: int) -> GameSpec:
    """Return the spec of the same game for another number of players. Raises `ConfigurationError`
    if it does not allow that number.
    """
    parsed, spec = parse(name), spec_of(name)
    if spec.num_players == num_players:
        return spec
    has_choice = _is_class(parsed) if parsed.scheme else len(player_numbers(name)) > 1
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
    """Return whether making the game runs code of its user: a class, rules to compile, or a module
    that registers the game.
    """
    parsed = parse(name)
    return bool(parsed.scheme) and (parsed.scheme not in _ADAPTERS or ":" in parsed.target)


def _is_class(name: GameName) -> bool:
    """Return whether the name is `module:Class`."""
    return bool(name.scheme) and name.scheme != _COMPILED and name.scheme not in _ADAPTERS


def has_user_matches(game: BatchedGame) -> TypeGuard[LoopedGame]:
    """Return whether the matches of `game` are objects of a user's plain class."""
    from sparring.games.python.game import LoopedGame  # imports Numba

    parsed = parse(game.spec.name)
    return isinstance(game, LoopedGame) and _is_class(parsed) and not library_of(parsed)


def is_of_library(name: str) -> bool:
    """Return whether another library plays the game."""
    parsed = parse(name)
    return parsed.scheme in _ADAPTERS or bool(parsed.scheme and library_of(parsed))


def board_style(name: str) -> BoardStyle:
    """Return the marks and colours of a built-in game's board; empty for other games."""
    if not is_built_in(name):
        return BoardStyle()
    style = importlib.import_module(_rules_of(parse(name))).STYLE
    assert isinstance(style, BoardStyle)
    return style


def _rules_of(name: GameName) -> str:
    if name.target not in _RULES:
        expected = f"one of {', '.join(_RULES)}, or module:Class"
        raise ConfigurationError(
            "unknown game",
            got=repr(str(name)),
            expected=expected,
            remedy=nearest(name.target, _RULES),
        )
    module, allowed = _RULES[name.target]
    if foreign := [argument for argument in name.arguments if argument not in allowed]:
        raise ConfigurationError(
            f"{name.target} takes no such argument",
            got=", ".join(foreign),
            expected=f"{' and '.join(allowed)} at most",
            remedy=nearest(foreign[0], allowed),
        )
    chosen = {}
    for argument, values in allowed.items():
        value = name.arguments.get(argument, values[0])
        if value not in values:
            raise ConfigurationError(
                f"{argument} of {name.target}", got=value, expected=" or ".join(map(str, values))
            )
        chosen[argument] = values[values.index(value)]
    return module.format(**chosen)
