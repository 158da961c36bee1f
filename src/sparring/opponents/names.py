"""Names of players that search, `minimax:4` and `mcts:200`, of the agent that looks ahead,
`agent:4`, and of other agents as opponents, `agent:RUN`. Needs neither torch nor Numba.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, cast

from sparring.errors import ConfigurationError

MAX_EFFORT: Final = {"minimax": 12, "mcts": 100_000}  # plies ahead; playouts per move
FORMS: Final = ("minimax:D", "mcts:N")  # shown in lists of players
OTHER_FORMS: Final = ("module:Class", "agent:RUN")  # the same, of players from outside
AGENT_SCHEME: Final = "agent:"
LOOKAHEAD_FORM: Final = "agent:D"
MAX_LOOKAHEAD: Final = 20  # plies


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


def lookahead_of(name: str) -> int:
    """Return the plies D that the player `agent:D`, the agent in training itself, looks ahead; 0
    for other names. Raise `ConfigurationError` if there are too many.
    """
    found = re.fullmatch(rf"{AGENT_SCHEME}([0-9]+)", name)
    if found is None:
        return 0
    if name.startswith(f"{AGENT_SCHEME}0") or int(found[1]) > MAX_LOOKAHEAD:
        raise ConfigurationError(
            "opponent agent",
            got=repr(name),
            expected=f"agent:1 to agent:{MAX_LOOKAHEAD}, the agent that looks so many plies ahead",
            remedy=f"a run of that name is {AGENT_SCHEME}runs/{found[1]}",
        )
    return int(found[1])


def is_agent(name: str) -> bool:
    """Return whether the name is that of another agent as an opponent: `agent:RUN`, `agent:FILE`,
    `agent:RUN/snapshot:3`.
    """
    return name.startswith(AGENT_SCHEME) and not lookahead_of(name)
