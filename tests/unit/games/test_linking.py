from __future__ import annotations

import sys
from types import FunctionType, ModuleType

import numpy as np
from numba import njit
from numba.core.dispatcher import Dispatcher

from sparring.games.linking import compiled, fingerprint, interpreted

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
    monkeypatch.setitem(sys.modules, "rules", module)  # where Numba looks for the module of a function that calls itself
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

    texts = [f"@njit\ndef bonus(x, y={default}):\n    return x {sign} y" for default, sign in ((1, "+"), (2, "+"), (2, "-"))]
    assert len({with_helper(text) for text in texts}) == 3


def test_the_fingerprint_does_not_depend_on_addresses():
    with_numpy = [rules(comment="x = zeros_like(x)", zeros_like=np.zeros_like) for _ in range(2)]
    assert "0x" in repr(np.zeros_like)
    assert len({fingerprint(module.play) for module in with_numpy}) == 1
