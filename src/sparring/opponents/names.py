"""Names of players that search, `minimax:4` and `mcts:200`, and of agents as opponents,
`agent:RUN`. Needs neither torch nor Numba.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, cast

from sparring.errors import ConfigurationError

MAX_EFFORT: Final = {"minimax": 12, "mcts": 100_000}  # plies ahead; playouts per move
FORMS: Final = ("minimax:D", "mcts:N")  # shown in lists of players
OTHER_FORMS: Final = ("module:Class", "agent:RUN")  # the same, of players from outside
AGENT_SCHEME: Final = "agent:"


class Searcher(NamedTuple):
    """A player that searches; `effort` is the depth of `minimax` or the playouts of `mcts`."""

    kind: Literal["minimax", "mcts"]
    effort: int


def parse(name: str) -> Searcher | None:
    """Return the player of a name, None if it is of another kind; raise `ConfigurationError` if
    the number is invalid.
    """
    kind, colon, number = name.partition(":")
    if kind not in MAX_EFFORT or not colon:
        return None
    limit = MAX_EFFORT[kind]
    if not re.fullmatch(r"[1-9][0-9]{0,5}", number) or int(number) > limit:
        raise ConfigurationError(
            f"opponent {kind}", got=repr(name), expected=f"{kind}:1 to {kind}:{limit}"
        )
    return Searcher(cast(Literal["minimax", "mcts"], kind), int(number))


def is_agent(name: str) -> bool:
    """Return whether the name is that of an agent as an opponent: `agent:RUN`, `agent:FILE`,
    `agent:RUN/snapshot:3`.
    """
    return name.startswith(AGENT_SCHEME)
