"""Arrays as compiled loops should see them: without counting references.

Numba counts each view that a loop takes of an array's row, by an atomic instruction; in short rules that was half of all the time. The
caller of a compiled function holds its arrays for as long as it runs, so there is nothing to count.
"""

from __future__ import annotations

from typing import Any

from numba.extending import intrinsic, overload

from sparring.games.slots import Slots


def lent(slots: Slots) -> Slots:
    """The same arrays, whose owner compiled code does not know; in plain Python `slots` itself. No view of them may outlive the call."""
    return slots


@intrinsic
def _without_owner(context: Any, array: Any) -> Any:
    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value = context.make_array(signature.return_type)(context, builder, arguments[0])
        value.meminfo = value.meminfo.type(None)
        return value._getvalue()

    return array(array), make


@overload(lent)
def _lent(slots: Any) -> Any:
    own: Any = _without_owner

    def compiled(slots: Any) -> Any:
        return Slots(
            own(slots.states), own(slots.keys), own(slots.history), own(slots.rng), own(slots.seat), own(slots.observation),
            own(slots.mask), own(slots.rewards), own(slots.terminated), own(slots.truncated), own(slots.plies), own(slots.cursor),
        )  # fmt: skip

    return compiled
