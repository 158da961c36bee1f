"""Rules are plain Python; here they, and the functions that they call, become compiled, interpreted or fingerprinted as a whole.

Numba compiles a function only if whatever it calls is compiled already, and freezes the global values that it reads. So a function is
taken together with everything that it reaches by global names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
from numba import njit
from numba.core.dispatcher import Dispatcher

_FOREIGN = ("numpy", "numba", "math", "builtins")  # packages that Numba knows, or that its version stands for
_ALWAYS_COMPILED = "sparring.games.random"  # wraps around at 64 bits, which plain NumPy scalars warn of

Function = Callable[..., Any]


def compiled(function: Function, tag: str = "") -> Any:
    """`function` under Numba, with the plain functions that it reaches; what is compiled already stays as it is.

    `tag` becomes part of the names of the machine code. Numba tells structured types apart by numbers that each process counts anew: code
    of one function for two of them, kept on disk by two processes, can have one name, and a third process would run one for the other.
    """

    def convert(copy: FunctionType) -> Function:
        copy.__qualname__ += tag
        dispatcher: Function = njit(nogil=True)(copy)
        return dispatcher

    return _relink(function, convert, (FunctionType,), {})


def interpreted(function: Function) -> Any:
    """`function` in plain Python, with the compiled functions that it reaches, those of `sparring.games.random` excepted."""
    return _relink(function, lambda copy: copy, (FunctionType, Dispatcher), {})


def fingerprint(*functions: Function) -> str:
    """SHA-256 of the bytecode and the constants that `functions` reach, as loaded: a file edited since does not change it."""
    digest = hashlib.sha256()
    seen: set[Function] = set()
    for function in functions:
        for part in _describe(function, seen):
            digest.update(part.encode() + b"\0")
    return digest.hexdigest()


def _relink(value: Any, convert: Callable[[FunctionType], Function], kinds: tuple[type, ...], made: dict[Function, Function]) -> Any:
    """A converted copy of the function `value`, whose globals name converted copies in turn; anything not of `kinds`, or foreign, as it is.

    `made` remembers what is converted, and so ends recursion.
    """
    if not isinstance(value, kinds) or _package(value) in _FOREIGN or value.__module__ == _ALWAYS_COMPILED:
        return value
    function = _plain(value)
    if function not in made:
        namespace = dict(function.__globals__)
        copy = FunctionType(function.__code__, namespace, function.__name__, function.__defaults__, function.__closure__)
        copy.__qualname__, copy.__doc__ = function.__qualname__, function.__doc__
        made[function] = convert(copy)
        for name in _names(function.__code__):
            if name in namespace:
                namespace[name] = _relink(namespace[name], convert, kinds, made)
    return made[function]


def _plain(value: Any) -> Any:
    return value.py_func if isinstance(value, Dispatcher) else value


def _package(value: Any) -> str:
    """The top-level package that a function, class or module comes from."""
    name = value.__name__ if isinstance(value, ModuleType) else value.__module__
    return str(name).partition(".")[0]


def _names(code: CodeType) -> Iterator[str]:
    """Global and attribute names in `code` and in the code nested in it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _describe(value: Any, seen: set[Function]) -> Iterator[str]:
    """Texts that differ if the machine code made with `value` may differ."""
    value = _plain(value)
    if isinstance(value, FunctionType) and _package(value) not in _FOREIGN:
        if value not in seen:
            seen.add(value)
            yield from _describe_function(value, seen)
    elif isinstance(value, CodeType):
        yield from (value.co_code.hex(), value.co_exceptiontable.hex(), repr((value.co_names, value.co_varnames, value.co_freevars)))
        yield from _describe(value.co_consts, seen)
    elif isinstance(value, tuple):
        yield f"tuple of {len(value)}"
        for item in value:
            yield from _describe(item, seen)
    elif isinstance(value, np.ndarray):
        yield f"{value.dtype!r} {value.shape} {value.tobytes().hex()}"
    elif hasattr(value, "__qualname__"):  # its own text may hold an address
        yield f"{value.__module__}.{value.__qualname__}"
    else:
        yield f"{type(value).__qualname__} {value!r}"


def _describe_function(function: FunctionType, seen: set[Function]) -> Iterator[str]:
    yield from _describe(function.__code__, seen)
    yield from _describe(function.__defaults__ or (), seen)
    yield from _describe(tuple(cell.cell_contents for cell in function.__closure__ or ()), seen)
    names = list(_names(function.__code__))
    for name in names:
        value = function.__globals__.get(name)
        members = [value]
        if isinstance(value, ModuleType):
            members = [] if _package(value) in _FOREIGN else [getattr(value, attribute, None) for attribute in names]
        for member in members:
            yield name
            yield from _describe(member, seen)
