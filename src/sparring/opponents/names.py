"""The names of scripted players that search: `minimax:4`, `mcts:200`. Read wherever players are
named; needs neither torch nor Numba.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, cast

from sparring.errors import ConfigurationError

MOST: Final = {"minimax": 12, "mcts": 100_000}  # plies that are looked ahead; playouts a move
FORMS: Final = ("minimax:D", "mcts:N")  # what lists of players show


class Searcher(NamedTuple):
    """`effort`: plies that `minimax` looks ahead, playouts of `mcts`."""

    kind: Literal["minimax", "mcts"]
    effort: int


def parse(name: str) -> Searcher | None:
    """The player that a name stands for, None if it is of another kind; `ConfigurationError` where
    the number will not do.
    """
    kind, colon, number = name.partition(":")
    if kind not in MOST or not colon:
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,5}", number) or int(number) > MOST[kind]:
        raise ConfigurationError(
            f"opponent {kind}", got=repr(name), expected=f"{kind}:1 to {kind}:{MOST[kind]}"
        )
    return Searcher(cast(Literal["minimax", "mcts"], kind), int(number))
