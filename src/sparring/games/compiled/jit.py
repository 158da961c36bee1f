"""Compiled, interpreted and fingerprinted versions of rules, together with all that they call.

Rules are plain Python. Numba compiles a function only if the functions that it calls are compiled
already, and freezes the global values that it reads. So a function is processed together with
everything that it reaches by global names. All private API of Numba stands here.
"""

from __future__ import annotations

import hashlib
import platform
import re
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from enum import Enum, EnumMeta
from pathlib import Path
from types import (
    BuiltinFunctionType,
    CodeType,
    EllipsisType,
    FunctionType,
    MethodType,
    ModuleType,
    NoneType,
)
from typing import Any

import numba
import numpy as np
from numba import njit
from numba import types as numba_types
from numba.extending import intrinsic, overload

from sparring.errors import ConfigurationError
from sparring.games.arrays import Slots

_Dispatcher: Any = type(njit(lambda: None))  # class of compiled functions
# Private; see `_can_drop_owner`.
_StructProxy: Any = getattr(getattr(numba.core, "cgutils", None), "_StructProxy", None)

# Packages that Numba supports, or that its version stands for.
_FOREIGN = ("numpy", "numba", "math", "builtins")
# Wraps around at 64 bits, of which plain NumPy scalars warn.
_ALWAYS_COMPILED = "sparring.games.rng"
# Types whose repr is a full description.
_PLAIN_TYPES = (
    NoneType,
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    range,
    EllipsisType,
    np.ufunc,
)
# Stands for values without a description; another one in each process, so that no process runs
# code that another one compiled with such a value.
_UNKNOWN = secrets.token_hex(32)

Function = Callable[..., Any]
# The number of each value that is described already, with the names that were read from it.
_Seen = dict[tuple[Any, tuple[str, ...]], int]


def compiled(function: Function, tag: str = "") -> Any:
    """Return `function` under Numba, with the plain functions that it reaches; compiled ones stay
    as they are.

    `tag` becomes part of the names of the machine code. Numba tells structured types apart by
    numbers that each process counts anew: the code of one function for two such types, cached by
    two processes, can have the same name, and a third process would run one for the other.
    """

    def convert(copy: FunctionType) -> Function:
        copy.__qualname__ += tag
        dispatcher: Function = _compile(copy)
        return dispatcher

    return _relink(function, convert, (FunctionType,), {})


def _compile(function: Function) -> Any:
    return njit(nogil=True)(function)


def interpreted(function: Function) -> Any:
    """Return `function` in plain Python, with the compiled functions that it reaches, except those
    of `sparring.games.rng`.
    """
    return _relink(function, lambda copy: copy, (FunctionType, _Dispatcher), {})


def fingerprint(*functions: Function) -> str:
    """Return a SHA-256 of the bytecode and constants that `functions` reach, as loaded: a later
    edit of the file does not change it.

    It differs between processes if they reach a value without a description.
    """
    digest = hashlib.sha256()
    seen: _Seen = {}
    for function in functions:
        for part in _describe(function, (), seen):
            digest.update(part.encode() + b"\0")
    return digest.hexdigest()


def toolchain() -> str:
    """Describe what compiles and runs machine code: the versions of Numba, NumPy and Python, name
    and features of the processor.

    Without Numba's private `cpu_target` the description is of this process only.
    """
    versions = (numba.__version__, np.__version__, platform.python_version())
    return repr((versions, sys.implementation.cache_tag, _processor()))


def _processor() -> Any:
    try:
        from numba.core.registry import cpu_target

        return cpu_target.target_context.codegen().magic_tuple()
    except (ImportError, AttributeError):
        return _UNKNOWN


def _relink(
    value: Any,
    convert: Callable[[FunctionType], Function],
    kinds: tuple[type, ...],
    made: dict[Function, Function],
) -> Any:
    """Return a converted copy of the function `value`, whose globals refer to converted copies in
    turn; a value not of `kinds`, or foreign, is returned as it is.

    `made` has the copies so far, and so ends recursion.
    """
    if (
        not isinstance(value, kinds)
        or _package(value) in _FOREIGN
        or value.__module__ == _ALWAYS_COMPILED
    ):
        return value
    function = _plain(value)
    if function not in made:
        namespace = dict(function.__globals__)
        copy = FunctionType(
            function.__code__,
            namespace,
            function.__name__,
            function.__defaults__,
            function.__closure__,
        )
        copy.__qualname__, copy.__doc__, copy.__kwdefaults__ = (
            function.__qualname__,
            function.__doc__,
            function.__kwdefaults__,
        )
        made[function] = convert(copy)
        for name in _names(function.__code__):
            if name in namespace:
                namespace[name] = _relink(namespace[name], convert, kinds, made)
    return made[function]


def _plain(value: Any) -> Any:
    return value.py_func if isinstance(value, _Dispatcher) else value


def _package(value: Any) -> str:
    """Return the top-level package of a function, class or module."""
    name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    return str(name).partition(".")[0]


def _names(code: CodeType) -> Iterator[str]:
    """Yield global and attribute names in `code` and in the code nested in it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _describe(value: Any, names: tuple[str, ...], seen: _Seen) -> Iterator[str]:
    """Yield texts that differ if the machine code compiled with `value` may differ, in a function
    that reads attributes of these `names`.
    """
    if isinstance(value, (FunctionType, _Dispatcher)) and _package(value) not in _FOREIGN:
        yield from _describe_options(
            value if isinstance(value, _Dispatcher) else _OUR_OPTIONS, seen
        )
        yield from _describe_once(_plain(value), (), seen, _describe_function)
    elif isinstance(value, MethodType):
        yield from _describe((value.__func__, value.__self__), names, seen)
    elif isinstance(value, ModuleType) or hasattr(value, "__qualname__"):
        yield from _describe_named(value, names, seen)
    elif isinstance(value, CodeType):
        yield from (
            value.co_code.hex(),
            value.co_exceptiontable.hex(),
            repr((value.co_names, value.co_varnames, value.co_freevars)),
        )
        yield from _describe(value.co_consts, names, seen)
    else:
        yield from _describe_data(value, names, seen)


def _describe_once(
    value: Any, names: tuple[str, ...], seen: _Seen, describe: Callable[..., Iterator[str]]
) -> Iterator[str]:
    """Yield a description the first time, its number later."""
    new, number = (value, names) not in seen, seen.setdefault((value, names), len(seen))
    yield f"number {number}"
    if new:
        yield from describe(value, names, seen)


def _describe_function(function: FunctionType, _: tuple[str, ...], seen: _Seen) -> Iterator[str]:
    names = tuple(dict.fromkeys(_names(function.__code__)))
    cells = tuple(cell.cell_contents for cell in function.__closure__ or ())
    yield from _describe(
        (function.__code__, function.__defaults__, function.__kwdefaults__, cells), names, seen
    )
    for name in names:
        if name in function.__globals__:
            yield name
            yield from _describe(function.__globals__[name], names, seen)


def _describe_options(dispatcher: Any, seen: _Seen) -> Iterator[str]:
    """Yield the options of a compiled function, and its declared signatures, if any.

    Without Numba's private `_can_compile`, declared signatures cannot be distinguished from those
    that were compiled on demand: the description is then of this process only.
    """
    declared: Any = None
    if not hasattr(dispatcher, "_can_compile"):
        declared = _UNKNOWN
    elif not dispatcher._can_compile:
        declared = tuple(map(str, dispatcher.signatures))
    yield from _describe((dispatcher.targetoptions, dispatcher.locals, declared), (), seen)


def _describe_named(value: Any, names: tuple[str, ...], seen: _Seen) -> Iterator[str]:
    """Describe a module, a class, or a callable without Python code, by its name and by the
    attributes that are read.
    """
    if _package(value) in _FOREIGN or isinstance(value, BuiltinFunctionType):
        yield f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', value.__name__)}"
    elif isinstance(value, ModuleType) or (
        isinstance(value, type) and _package(type(value)) != "numba"
    ):  # Numba's classes hide their code
        yield from _describe_once(value, names, seen, _describe_attributes)
    else:
        yield _UNKNOWN


def _describe_attributes(value: Any, names: tuple[str, ...], seen: _Seen) -> Iterator[str]:
    if isinstance(value, type):
        yield " ".join(base.__qualname__ for base in value.__mro__)
        yield repr(getattr(value, "_fields", ()))  # of a named tuple
    if isinstance(value, EnumMeta):
        members: Mapping[str, Any] = value.__members__
        yield from _describe({name: member.value for name, member in members.items()}, names, seen)
    for name in names:
        if hasattr(value, name):
            yield name
            yield from _describe(getattr(value, name), names, seen)


def _describe_data(value: Any, names: tuple[str, ...], seen: _Seen) -> Iterator[str]:
    kind = type(value)
    yield kind.__qualname__
    if isinstance(value, Enum):
        yield value.name
        yield from _describe(value.value, names, seen)
    elif isinstance(value, (tuple, list)):
        yield f"{len(value)} {getattr(value, '_fields', '')}"
        for item in value:
            yield from _describe(item, names, seen)
    elif isinstance(value, dict):
        yield from _describe(tuple(value.items()), names, seen)
    elif isinstance(value, (set, frozenset)):  # in no order
        yield from sorted("\0".join(_describe(item, names, seen)) for item in value)
    elif isinstance(value, (np.ndarray, np.generic)) and not value.dtype.hasobject:
        yield f"{value.dtype!r} {value.shape} {value.strides} {value.tobytes().hex()}"
    elif isinstance(value, property):
        yield from _describe(value.fget, names, seen)
    elif kind in _PLAIN_TYPES or isinstance(value, (np.dtype, numba_types.Type)):
        yield repr(value)
    else:
        yield _UNKNOWN


_OUR_OPTIONS: Any = _compile(lambda: None)  # of plain functions, which we compile


def unowned(slots: Slots) -> Slots:
    """Return the same arrays without reference counting in compiled code; in plain Python `slots`
    itself. No view of them may outlive the call.

    Numba counts each view of an array's row by an atomic instruction; in short rules that took half
    of all the time. The caller of a compiled function holds its arrays while it runs, so there is
    nothing to count.
    """
    return slots


@intrinsic
def _without_owner(context: Any, array: Any) -> Any:
    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value = context.make_array(signature.return_type)(context, builder, arguments[0])
        value.meminfo = value.meminfo.type(None)
        return value._getvalue()

    return array(array), make


def _can_drop_owner() -> bool:
    """Return whether Numba has the private parts that `_without_owner` uses."""
    return hasattr(_StructProxy, "_getvalue")


@overload(unowned)
def _unowned(slots: Any) -> Any:
    if not _can_drop_owner():
        return lambda slots: slots
    drop: Any = _without_owner

    def compiled(slots: Any) -> Any:
        return Slots(
            drop(slots.states),
            drop(slots.keys),
            drop(slots.history),
            drop(slots.rng),
            drop(slots.seat),
            drop(slots.observation),
            drop(slots.wide),
            drop(slots.mask),
            drop(slots.rewards),
            drop(slots.terminated),
            drop(slots.truncated),
            drop(slots.plies),
            drop(slots.cursor),
        )

    return compiled


def cannot_be_compiled(rules: str, error: Exception) -> ConfigurationError:
    """Make one line of Numba's message: the beginning of its reasons, and the first place that it
    names.
    """
    reasons = [
        line.strip()
        for line in str(error).splitlines()
        if line.strip() and not line.startswith("Failed in")
    ]
    place = re.search(r'File "([^"]+)", (line \d+)', str(error))
    reason = " ".join([f"{type(error).__name__}:", *reasons[:2]])
    where = f" ({Path(place[1]).name}, {place[2]})" if place else ""
    remedy = "see which Python and NumPy features Numba's documentation lists"
    return ConfigurationError(
        f"the rules in {rules} cannot be compiled{where}: {reason[:300]}", remedy=remedy
    )
