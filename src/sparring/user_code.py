"""Functions and classes of users, by the name `module:qualname`: only the name is sent to other
processes, each of which imports it.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from sparring.errors import ConfigurationError, SparringError, UserCodeError, nearest

# Where code is that no user wrote.
_NOT_OF_USERS: Final = (
    "<frozen ",
    os.path.dirname(__file__),
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
)
_NAME: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def is_importable_name(name: str) -> bool:
    """Return whether `name` has the form `module:qualname`; nothing is imported."""
    return _NAME.fullmatch(name) is not None


def name_of(thing: object, *, what: str) -> str:
    """Return `module:qualname` of a function or class; messages call it `what`, such as "network".

    Raises `ConfigurationError` where an import by that name would not give it back: a lambda, a
    function inside a function, an instance, a partial.
    """
    module, qualname = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    try:
        same = bool(qualname) and _inside(sys.modules[str(module)], str(qualname)) == thing
    except (KeyError, AttributeError):
        same = False
    if not same or not callable(thing):
        raise ConfigurationError(
            f"this {what} cannot be named",
            got=str(qualname or f"a value of {type(thing).__name__}"),
            expected="module:name, or a function or class at the top of a module,"
            " which worker processes can import",
        )
    return f"{module}:{qualname}"


def shown_name(thing: Any, *, what: str) -> str:
    """Return `module:qualname` of a function, and the like of an object that can be called.

    That of a function at the top of a module can be imported again; "module:Class()" and
    "module:f.<locals>.g" only say in a file what it was. Raises `ConfigurationError` for what
    cannot be called.
    """
    if not callable(thing):
        raise ConfigurationError(
            what,
            got=f"a value of {type(thing).__name__}",
            expected="a function, or module:function",
        )
    if inspect.ismethod(thing):
        return f"{shown_name(type(thing.__self__), what=what)}().{thing.__name__}"
    if (qualname := getattr(thing, "__qualname__", None)) is None:
        return f"{shown_name(type(thing), what=what)}()"
    return f"{thing.__module__}:{qualname}"


def import_named(name: str, *, what: str) -> Callable[..., Any]:
    """Return the function or class called `module:qualname`. Raises `ConfigurationError` if it does
    not exist, or if its module cannot be imported.
    """
    if not is_importable_name(name):
        raise ConfigurationError(
            f"invalid name of a {what}", got=repr(name), expected="module:name"
        )
    module_name, _, qualname = name.partition(":")
    module = import_module(module_name, needed_for=f"the {what} {name}")
    try:
        found = _inside(module, qualname)
    except AttributeError:
        remedy = nearest(qualname, [entry for entry in vars(module) if not entry.startswith("_")])
        if module_name == "__main__":
            remedy = "a main script's names exist only while it runs; put this one in a module"
        raise ConfigurationError(
            f"{module_name} has no such {what}", got=repr(qualname), remedy=remedy
        ) from None
    if not callable(found):
        raise ConfigurationError(
            f"{name} is not a {what}",
            got=f"a value of {type(found).__name__}",
            expected="a function or class",
        )
    return found  # type: ignore[no-any-return]


def import_module(module_name: str, *, needed_for: str) -> ModuleType:
    """Return the module. Raises `ConfigurationError` if it does not exist, or raises an error while
    it is imported, which is then the cause.
    """
    try:
        return importlib.import_module(module_name)
    except (KeyboardInterrupt, MemoryError, SparringError):
        raise
    except BaseException as error:  # SystemExit would end the process without a word
        if not (isinstance(error, ModuleNotFoundError) and is_missing(module_name, error)):
            raise raised(f"module {module_name} cannot be imported", error) from error
        remedy = "it has to be installed, in the current directory, or on PYTHONPATH"
        raise ConfigurationError(
            f"no such module for {needed_for}", got=repr(module_name), remedy=remedy
        ) from None


def raised(what: str, error: BaseException) -> UserCodeError:
    """Error of one line for an exception of a user's code, with the file and line of its origin."""
    text = " ".join(text_of(error).split())
    got, place = f"{type(error).__name__}{f': {text:.300}' if text else ''}", place_of(error)
    return UserCodeError(what, got=got if place in got else got + place, remedy="correct it")


def text_of(error: BaseException) -> str:
    """Return the text of an exception, whose `__str__` may fail in turn."""
    try:
        return str(error)
    except Exception as failure:
        return f"(str() of it raises {type(failure).__name__})"


def is_missing(module_name: str, error: ModuleNotFoundError) -> bool:
    """Return whether the module itself is missing, and not one that it imports."""
    return error.name is not None and f"{module_name}.".startswith(f"{error.name}.")


def place_of(error: BaseException) -> str:
    """Return the innermost line of a user's own code that an exception passed, or that is no valid
    code, as " (file.py, line 3)"; "" if there is none.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({os.path.basename(error.filename)}, line {error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame
        for frame in frames
        if not frame.filename.startswith(_NOT_OF_USERS) and "site-packages" not in frame.filename
    ]
    return f" ({os.path.basename(own[-1].filename)}, line {own[-1].lineno})" if own else ""


def _inside(module: Any, qualname: str) -> Any:
    found = module
    for part in qualname.split("."):
        found = getattr(found, part)
    return found
