"""Games that users bring: a class of theirs named as `module:Class`, and the name of a class that was passed as an object."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from sparring import importable
from sparring.errors import ConfigurationError
from sparring.games.facts import checked
from sparring.games.guarded_batch import guarded
from sparring.games.match import Match
from sparring.games.names import GameName, parse
from sparring.games.spec import BatchedGame


def make(name: GameName, num_slots: int) -> BatchedGame:
    """The game of a class: one that takes `num_slots` may offer the batched protocol itself, any other plays one match (`Match`)."""
    offered = importable.import_named(f"{name.scheme}:{name.target}", what="game")
    if "num_slots" in inspect.signature(offered).parameters:
        game = _call(offered, name, {**name.arguments, "num_slots": num_slots})
        if _is_batched(game):
            game.spec = dataclasses.replace(checked(getattr(game, "spec", None), str(name), "a class attribute spec"), name=str(name))
            return guarded(game)
    from sparring.games.looped import LoopedGame  # and with it Numba, for which a name need not wait

    def new_match() -> Match:
        match: Match = _call(offered, name, name.arguments)
        return match

    checked(getattr(new_match(), "spec", None), str(name), "a class attribute spec")
    return LoopedGame(str(name), new_match, num_slots)


def _is_batched(made: Any) -> bool:
    """Whether it offers the batched protocol, perhaps not all of it; in a `Match`, `mask` is a method."""
    methods = all(callable(getattr(made, name, None)) for name in ("step", "win_or_block", "get_state"))
    return methods or not callable(getattr(made, "mask", None))


def name_of(game: object) -> str:
    """The name by which `make` makes this game: a name, a class, `functools.partial(Class, argument=value)`, or an instance.

    Worker processes make matches of their own, so a class has to be importable, and arguments to be plain values. Of an instance only
    its class travels, and its fields where it is a dataclass.
    """
    if isinstance(game, str):
        return game
    offered, arguments = _taken_apart(game)
    module, _, target = importable.name_of(offered, what="game").partition(":")
    name = GameName(module, target, arguments)
    for key, value in arguments.items():
        if not _is_read_back(key, value):
            expected = "a number, True, False, None, or a word that is none of these"
            raise ConfigurationError(f"argument {key} of {offered.__qualname__}", got=repr(value), expected=expected)
    return str(name)


def _is_read_back(key: str, value: Any) -> bool:
    """Whether an argument is the same value again after its way through a name."""
    try:
        read = parse(str(GameName("a", "b", {key: value}))).arguments
    except ConfigurationError:
        return False
    return read == {key: value} and type(read[key]) is type(value)


def _taken_apart(game: Any) -> tuple[Any, Mapping[str, Any]]:
    """The class or function, and the arguments, that make a game like this one."""
    if isinstance(game, functools.partial):
        if game.args:
            raise ConfigurationError("a partial game", got="arguments by position", expected="arguments by name")
        return game.func, game.keywords
    if isinstance(game, type) or inspect.isfunction(game):
        return game, {}
    kind = type(game)
    if dataclasses.is_dataclass(kind):
        return kind, {field.name: getattr(game, field.name) for field in dataclasses.fields(kind) if field.init}
    if _needs_arguments(kind):
        remedy = f"pass the class, with functools.partial({kind.__name__}, argument=value) where it needs arguments"
        raise ConfigurationError("a game passed as an instance", got=f"one of {kind.__name__}", expected="its class", remedy=remedy)
    return kind, {}


def _needs_arguments(kind: type) -> bool:
    parameters = inspect.signature(kind).parameters.values()
    return any(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) for p in parameters)


def _call(offered: Callable[..., Any], name: GameName, arguments: Mapping[str, Any]) -> Any:
    try:
        inspect.signature(offered).bind(**arguments)
    except TypeError as error:
        raise ConfigurationError(f"the arguments of {name.scheme}:{name.target}", got=str(name), expected=f"others: {error}") from None
    return offered(**arguments)
