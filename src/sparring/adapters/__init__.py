"""Games of other libraries behind the batched protocol, named by their scheme:
`openspiel:go(board_size=5)`, `pettingzoo:classic/chess-v6`.

Each module offers `make(name, num_slots)`, and is imported only when a game of its library is asked
for. Both turn one match of their library into a `Match`, which `LoopedGame` carries.
"""

from __future__ import annotations

import importlib
from typing import Any

from sparring.errors import ConfigurationError
from sparring.games.names import GameName

# What the adapters share: the library that may be missing, games that do not fit, and arguments
# that are ours, not the library's.


def imported(module: str, extra: str) -> Any:
    """The library's module; `ConfigurationError` naming our extra where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        remedy = f"pip install 'sparring[{extra}]'"
        raise ConfigurationError(
            f"{extra} games need a library that is not here", got=str(error), remedy=remedy
        ) from None


def misfit(name: GameName, got: str, expected: str, remedy: str = "") -> ConfigurationError:
    """The error for a game that the batched protocol cannot carry."""
    return ConfigurationError(
        f"{name} cannot be played here", got=got, expected=expected, remedy=remedy
    )


def take_flag(name: GameName, arguments: dict[str, Any], key: str, default: bool) -> bool:
    """Our own argument `key` of a game, taken out of `arguments`."""
    value = arguments.pop(key, default)
    if not isinstance(value, bool):
        raise ConfigurationError(
            f"{key} of {name.scheme}:{name.target}", got=value, expected="True or False"
        )
    return value


def take_max_plies(name: GameName, arguments: dict[str, Any], default: int) -> int:
    """After how many decisions matches are cut: our own argument `max_plies`, taken out of
    `arguments`.
    """
    value = arguments.pop("max_plies", default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(
            f"max_plies of {name.scheme}:{name.target}",
            got=value,
            expected="a whole number, at least 1",
        )
    return value
