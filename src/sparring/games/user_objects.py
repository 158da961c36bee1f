"""Objects of users, games and players, by names with arguments: `my_game:MyGame(size=5)`."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from sparring import user_code
from sparring.errors import ConfigurationError, SparringError, shown
from sparring.games.names import GameName, parse


def name_of(thing: object, *, what: str = "game") -> str:
    """Return the name of a game, or of `what` else, that is given as a name, a class,
    `functools.partial(Class, argument=value)`, or an instance.

    Worker processes make objects of their own, so a class must be importable, and its arguments
    plain values. Of an instance they get only the class, and the fields of a dataclass.
    """
    if isinstance(thing, str):
        return thing
    offered, arguments = _taken_apart(thing, what)
    module, _, target = user_code.name_of(offered, what=what).partition(":")
    name = GameName(module, target, arguments)
    for key, value in arguments.items():
        if not _is_read_back(key, value):
            expected = "a number, True, False, None, or a word that is none of these"
            raise ConfigurationError(
                f"argument {key} of {offered.__qualname__}", got=repr(value), expected=expected
            )
    return str(name)


def _is_read_back(key: str, value: Any) -> bool:
    """Return whether an argument survives being written into a name and read again."""
    try:
        read = parse(str(GameName("a", "b", {key: value}))).arguments
    except ConfigurationError:
        return False
    return read == {key: value} and type(read[key]) is type(value)


def _taken_apart(thing: Any, what: str) -> tuple[Any, Mapping[str, Any]]:
    """Return the class or function, and the arguments, that make an object like this one."""
    if isinstance(thing, functools.partial):
        if thing.args:
            raise ConfigurationError(
                f"a partial {what}", got="arguments by position", expected="arguments by name"
            )
        return thing.func, thing.keywords
    if inspect.isfunction(thing):
        return thing, {}
    kind = thing if isinstance(thing, type) else type(thing)
    if kind.__module__ in ("builtins", "numpy"):
        raise ConfigurationError(what, got=shown(thing), expected="a name, or a class of your own")
    if kind is thing:
        return thing, {}
    if dataclasses.is_dataclass(kind):
        return kind, {
            field.name: getattr(thing, field.name)
            for field in dataclasses.fields(kind)
            if field.init
        }
    if _needs_arguments(kind):
        remedy = f"pass the class, or functools.partial({kind.__name__}, argument=value)"
        raise ConfigurationError(
            f"a {what} passed as an instance",
            got=f"one of {kind.__name__}",
            expected="its class",
            remedy=remedy,
        )
    return kind, {}


def _needs_arguments(kind: type) -> bool:
    return any(
        p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        for p in parameters(kind).values()
    )


def import_own(name: GameName, *, what: str) -> Callable[..., Any]:
    """Return the class or function that a name `module:Class` stands for. Raises
    `ConfigurationError` for those of Sparring: calling one could train, or worse.
    """
    offered = user_code.import_named(f"{name.scheme}:{name.target}", what=what)
    if str(getattr(offered, "__module__", "")).partition(".")[0] == "sparring":
        raise ConfigurationError(
            f"{name.scheme}:{name.target} is not a {what}",
            got="a part of Sparring",
            expected=f"a class of your own, or the name of a built-in {what}",
            remedy="see sparring games" if what == "game" else "",
        )
    return offered


def parameters(offered: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a class or function; those of one written in C may be unknown."""
    try:
        return inspect.signature(offered).parameters
    except ValueError:
        return {}


def call(offered: Callable[..., Any], name: GameName, arguments: Mapping[str, Any]) -> Any:
    """Return what the class or function of that name makes. Raises `ConfigurationError` for
    arguments that it does not take, and for what it raises, which is then the cause.
    """
    try:
        inspect.signature(offered).bind(**arguments)
    except ValueError:  # written in C, without a signature
        pass
    except TypeError as error:
        raise ConfigurationError(
            f"the arguments of {name.scheme}:{name.target}",
            got=str(name),
            expected=f"others: {error}",
        ) from None
    try:
        return offered(**arguments)
    except (KeyboardInterrupt, MemoryError, SparringError):
        raise
    except BaseException as error:  # SystemExit would end the process without a word
        raise user_code.raised(f"{name.scheme}:{name.target} cannot be made", error) from error
