"""Rules are plain Python; here they, and the functions that they call, become compiled, interpreted
or fingerprinted as a whole.

Numba compiles a function only if whatever it calls is compiled already, and freezes the global
values that it reads. So a function is taken together with everything that it reaches by global
names.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from enum import Enum, EnumMeta
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

from sparring.games.arrays import Slots

_Dispatcher: Any = type(njit(lambda: None))  # class of compiled functions
# Private; see `_can_drop_owner`.
_StructProxy: Any = getattr(getattr(numba.core, "cgutils", None), "_StructProxy", None)

_FOREIGN = (
    "numpy",
    "numba",
    "math",
    "builtins",
)  # packages that Numba knows, or that its version stands for
_ALWAYS_COMPILED = (
    "sparring.games.rng"  # wraps around at 64 bits, which plain NumPy scalars warn of
)
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
)  # of which repr tells all
_UNKNOWN = secrets.token_hex(
    32
)  # stands for what cannot be described: another one in each process, so that no other's code is run

Function = Callable[..., Any]
_Seen = dict[
    tuple[Any, tuple[str, ...]], int
]  # what is described already, and read by which names, in the order of its description


def compiled(function: Function, tag: str = "") -> Any:
    """`function` under Numba, with the plain functions that it reaches; what is compiled already
    stays as it is.

    `tag` becomes part of the names of the machine code. Numba tells structured types apart by
    numbers that each process counts anew: code of one function for two of them, kept on disk by two
    processes, can have one name, and a third process would run one for the other.
    """

    def convert(copy: FunctionType) -> Function:
        copy.__qualname__ += tag
        dispatcher: Function = _compile(copy)
        return dispatcher

    return _relink(function, convert, (FunctionType,), {})


def _compile(function: Function) -> Any:
    return njit(nogil=True)(function)


def interpreted(function: Function) -> Any:
    """`function` in plain Python, with the compiled functions that it reaches, those of
    `sparring.games.rng` excepted.
    """
    return _relink(function, lambda copy: copy, (FunctionType, _Dispatcher), {})


def fingerprint(*functions: Function) -> str:
    """SHA-256 of the bytecode and the constants that `functions` reach, as loaded: a file edited
    since does not change it.

    Where they reach something that has no description, it is another one in each process.
    """
    digest = hashlib.sha256()
    seen: _Seen = {}
    for function in functions:
        for part in _describe(function, (), seen):
            digest.update(part.encode() + b"\0")
    return digest.hexdigest()


def _relink(
    value: Any,
    convert: Callable[[FunctionType], Function],
    kinds: tuple[type, ...],
    made: dict[Function, Function],
) -> Any:
    """A converted copy of the function `value`, whose globals name converted copies in turn;
    anything not of `kinds`, or foreign, as it is.

    `made` remembers what is converted, and so ends recursion.
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
    """The top-level package that a function, class or module comes from."""
    name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    return str(name).partition(".")[0]


def _names(code: CodeType) -> Iterator[str]:
    """Global and attribute names in `code` and in the code nested in it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _describe(value: Any, names: tuple[str, ...], seen: _Seen) -> Iterator[str]:
    """Texts that differ if the machine code made with `value` may differ, in a function that reads
    attributes of these `names`.
    """
    if isinstance(value, (FunctionType, _Dispatcher)) and _package(value) not in _FOREIGN:
        yield from _describe_options(value if isinstance(value, _Dispatcher) else _BY_US, seen)
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
    """Description the first time, its number later."""
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
    """Options of a compiled function, and its declared signatures, if any.

    Without Numba's private `_can_compile`, declared signatures cannot be told from those that were
    compiled on demand: the description is then of this process only.
    """
    declared: Any = None
    if not hasattr(dispatcher, "_can_compile"):
        declared = _UNKNOWN
    elif not dispatcher._can_compile:
        declared = tuple(map(str, dispatcher.signatures))
    yield from _describe((dispatcher.targetoptions, dispatcher.locals, declared), (), seen)


def _describe_named(value: Any, names: tuple[str, ...], seen: _Seen) -> Iterator[str]:
    """A module, a class, or what has no Python code: by its name, and by what is read from it."""
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


_BY_US: Any = _compile(lambda: None)  # what has no options of its own is compiled with these


# Arrays as compiled loops should see them: without counting references.
#
# Numba counts each view that a loop takes of an array's row, by an atomic instruction; in short
# rules that was half of all the time. The caller of a compiled function holds its arrays for as
# long as it runs, so there is nothing to count.


def lent(slots: Slots) -> Slots:
    """The same arrays, whose owner compiled code does not know; in plain Python `slots` itself. No
    view of them may outlive the call.
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
    """True if Numba has the private parts that `_without_owner` uses."""
    return hasattr(_StructProxy, "_getvalue")


@overload(lent)
def _lent(slots: Any) -> Any:
    if not _can_drop_owner():
        return lambda slots: slots
    own: Any = _without_owner

    def compiled(slots: Any) -> Any:
        return Slots(
            own(slots.states), own(slots.keys), own(slots.history), own(slots.rng), own(slots.seat), own(slots.observation),
            own(slots.mask), own(slots.rewards), own(slots.terminated), own(slots.truncated), own(slots.plies), own(slots.cursor),
        )  # fmt: skip

    return compiled
