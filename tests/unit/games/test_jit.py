from __future__ import annotations

import enum
import logging
import sys
from types import FunctionType, ModuleType
from typing import NamedTuple

import numpy as np
import pytest
from numba import njit, vectorize
from numba.core.dispatcher import Dispatcher

from sparring.games.arrays import Slots
from sparring.games.compiled import jit
from sparring.games.compiled.jit import compiled, fingerprint, interpreted, unowned

RULES = """
import math
import numpy as np
from numba import njit
{imports}
STEP = {step}
TABLE = np.array([1, {entry}])

def play(x):
    return helper(x) + STEP + TABLE[1]

def helper(x):
    {comment}
    return x * 2 if x > 1 else countdown(x)

def countdown(n):
    return n if n <= 0 else countdown(n - 1)
"""


def rules(name="rules", imports="", step=10, entry=100, comment="pass", **names):
    module = ModuleType(name)
    vars(module).update(names)
    exec(RULES.format(imports=imports, step=step, entry=entry, comment=comment), vars(module))
    return module


def test_plain_functions_are_compiled_with_all_that_they_reach(monkeypatch):
    module = rules()
    monkeypatch.setitem(
        sys.modules, "rules", module
    )  # where Numba looks for the module of a function that calls itself
    play = compiled(module.play)
    assert isinstance(play, Dispatcher)
    assert play(4) == module.play(4) == 118
    assert play(1) == 110  # through a function that calls itself
    assert isinstance(module.helper, FunctionType)  # the module keeps its own


def test_what_is_compiled_already_stays_as_it_is():
    assert compiled(compiled_by_hand) is compiled_by_hand
    assert interpreted(compiled_by_hand) is not compiled_by_hand


@njit(error_model="numpy")
def compiled_by_hand(x):
    return 1.0 / x


def outer(x):
    return compiled_by_hand(x)


def test_interpreted_reaches_through_compiled_functions():
    plain = interpreted(compiled(outer))
    assert isinstance(plain, FunctionType)
    assert isinstance(plain.__globals__["compiled_by_hand"], FunctionType)
    assert plain(4.0) == 0.25


def test_the_fingerprint_is_that_of_the_code_and_the_constants():
    base = fingerprint(rules().play)
    assert len(base) == 64
    assert fingerprint(rules(name="elsewhere").play) == base
    assert fingerprint(rules(comment="# a remark\n    pass").play) == base
    assert fingerprint(compiled(rules().play)) == base
    assert fingerprint(rules(comment="x = x + 1").play) != base  # two calls down
    assert fingerprint(rules(step=11).play) != base
    assert fingerprint(rules(step=10.0).play) != base
    assert fingerprint(rules(entry=101).play) != base
    assert fingerprint(rules().helper) != base


def test_the_fingerprint_follows_imports():
    def with_helper(result):
        source = ModuleType("beside")
        exec(f"def bonus(x):\n    return x + {result}", vars(source))
        by_name = rules(comment="x = bonus(x)", bonus=source.bonus)
        by_module = rules(comment="x = beside.bonus(x)", beside=source)
        return fingerprint(by_name.play), fingerprint(by_module.play)

    assert all(a != b for a, b in zip(with_helper(1), with_helper(2), strict=True))
    assert with_helper(1) == with_helper(1)


def test_the_fingerprint_follows_compiled_helpers_and_defaults():
    def with_helper(text):
        space = {"njit": njit}
        exec(text, space)
        return fingerprint(rules(comment="x = bonus(x)", bonus=space["bonus"]).play)

    texts = [
        f"@njit\ndef bonus(x, y={default}):\n    return x {sign} y"
        for default, sign in ((1, "+"), (2, "+"), (2, "-"))
    ]
    assert len({with_helper(text) for text in texts}) == 3


def test_the_fingerprint_does_not_depend_on_addresses():
    with_numpy = [rules(comment="x = zeros_like(x)", zeros_like=np.zeros_like) for _ in range(2)]
    assert "0x" in repr(np.zeros_like)
    assert len({fingerprint(module.play) for module in with_numpy}) == 1


def reading(text, **names):
    """The fingerprint of rules that read `text`, and that of the same rules in another process."""
    with pytest.MonkeyPatch.context() as patch:
        told = [fingerprint(rules(comment=f"x = x + {text}", **names).play)]
        patch.setattr(jit, "_UNKNOWN", "what another process drew")
        return (*told, fingerprint(rules(comment=f"x = x + {text}", **names).play))


def module(name, **names):
    made = ModuleType(name)
    vars(made).update(names)
    return made


def number(goal):
    return enum.IntEnum("Number", {"GOAL": goal})


def constants(goal):
    return type(
        "Constants",
        (),
        {
            "GOAL": goal,
            "total": property(lambda self: goal),
            "bonus": staticmethod(eval(f"lambda x: x + {goal}")),
        },
    )


def package(goal):
    deep = module("pkg.mod", GOAL=goal)
    deep.pkg = module("pkg", mod=deep)  # they import each other
    return deep.pkg


def dispatcher(**options):
    return njit(**options)(
        FunctionType(compile("lambda x: x", "", "eval").co_consts[0], {}, "bonus")
    )


def pair(*fields):
    return NamedTuple("Pair", [(field, int) for field in fields])(3, 7)


@pytest.mark.parametrize(
    ("text", "one", "other"),
    [
        ("K.GOAL", {"K": number(3)}, {"K": number(7)}),
        ("K.GOAL.value", {"K": number(3)}, {"K": number(7)}),
        ("goal", {"goal": number(3).GOAL}, {"goal": number(7).GOAL}),
        ("K.GOAL", {"K": constants(3)}, {"K": constants(7)}),
        ("K.bonus(1)", {"K": constants(3)}, {"K": constants(7)}),
        ("pkg.mod.GOAL", {"pkg": package(3)}, {"pkg": package(7)}),
        (
            "pkg.mod.K.GOAL",
            {"pkg": package(0), "K": constants(3)},
            {"pkg": package(0), "K": constants(7)},
        ),
        ("pair.goal", {"pair": pair("goal", "size")}, {"pair": pair("size", "goal")}),
        ("bonus(x)", {"bonus": dispatcher()}, {"bonus": dispatcher(error_model="numpy")}),
        (
            "bonus(x)",
            {"bonus": dispatcher(fastmath={"nnan", "ninf"})},
            {"bonus": dispatcher(fastmath={"nnan"})},
        ),
        (
            "bonus(x)",
            {"bonus": dispatcher()},
            {"bonus": dispatcher(signature_or_function="i8(i8)")},
        ),
        ("bonus(x)", {"bonus": lambda x, *, y=1: x}, {"bonus": lambda x, *, y=2: x}),
        ("table[0, 1]", {"table": np.ones((2, 2))}, {"table": np.ones((2, 2), order="F")}),
        (
            "len(words)",
            {"words": frozenset({"red", "blue"})},
            {"words": frozenset({"red", "green"})},
        ),
        ("lib.pi", {"lib": np}, {"lib": sys.modules["math"]}),
    ],
)
def test_the_fingerprint_follows_what_is_read(text, one, other):
    here, elsewhere = reading(text, **one)
    assert here == elsewhere  # what is described is found again by other processes
    assert reading(text, **other)[0] != here


def test_the_fingerprint_tells_helpers_from_each_other():
    def with_names(first, second):
        space = {"a": lambda x: x + 1, "b": lambda x: x + 2}
        space |= {
            "both": eval("lambda x: a(x) + b(x)", space),
            "first": space[first],
            "second": space[second],
        }
        return fingerprint(eval("lambda x: both(x) + first(x) - second(x)", space))

    assert with_names("a", "b") != with_names("b", "a")


@pytest.mark.parametrize(
    "value",
    [logging.getLogger("rules"), vectorize(lambda x: x), object()],
    ids=["instance", "vectorized", "object"],
)
def test_what_cannot_be_described_is_no_other_processs(value):
    here, elsewhere = reading("thing", thing=value)
    assert here != elsewhere


@pytest.mark.parametrize("private", [True, False])
def test_arrays_are_lent_with_and_without_the_private_parts_of_numba(private, monkeypatch):
    if not private:
        monkeypatch.setattr(jit, "_StructProxy", None)
    assert jit._can_drop_owner() is private

    @njit
    def count(slots):
        own = unowned(slots)
        for slot in range(own.plies.shape[0]):
            own.plies[slot] += slot
        return own.plies.sum()

    plies = np.arange(3)
    fields = dict.fromkeys(Slots._fields, np.zeros(3, np.int64))
    assert count(Slots(**{**fields, "plies": plies})) == 6
    assert plies.tolist() == [0, 2, 4]


def test_without_private_knowledge_of_signatures_code_is_not_shared_between_processes():
    class Dispatcher:  # has no `_can_compile`
        targetoptions, locals, signatures = {}, {}, []

    description = list(jit._describe_options(Dispatcher(), {}))
    assert repr(jit._UNKNOWN) in description
    assert repr(jit._UNKNOWN) not in list(jit._describe_options(compiled_by_hand, {}))


def test_the_toolchain_has_versions_and_processor_and_is_not_shared_without_the_latter(monkeypatch):
    from numba.core import registry

    assert np.__version__ in jit.toolchain()
    assert jit._UNKNOWN not in jit.toolchain()
    monkeypatch.delattr(registry, "cpu_target")
    assert jit._UNKNOWN in jit.toolchain()
