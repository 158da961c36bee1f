"""Games of other libraries behind the batched protocol, named by their scheme:
`openspiel:go(board_size=5)`, `pettingzoo:classic/chess-v6`.

Each module offers `make(name, num_slots)` and is imported only for a game of its library. Both wrap
one match of their library as a `Match`, which `LoopedGame` batches.
"""

from __future__ import annotations

import importlib
from typing import Any

from sparring.errors import ConfigurationError
from sparring.games.names import GameName


def imported(module: str, extra: str) -> Any:
    """The library's module; `ConfigurationError` naming our extra if it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        remedy = f"pip install 'sparring[{extra}]'"
        raise ConfigurationError(
            f"{extra} games need a library that is not installed", got=str(error), remedy=remedy
        ) from None


def misfit(name: GameName, got: str, expected: str, remedy: str = "") -> ConfigurationError:
    """Error for a game that does not fit the batched protocol."""
    return ConfigurationError(f"{name} is not supported", got=got, expected=expected, remedy=remedy)


def take_flag(name: GameName, arguments: dict[str, Any], key: str, default: bool) -> bool:
    """Our own argument `key` of a game, removed from `arguments`."""
    value = arguments.pop(key, default)
    if not isinstance(value, bool):
        raise ConfigurationError(
            f"{key} of {name.scheme}:{name.target}", got=value, expected="True or False"
        )
    return value


def take_max_plies(name: GameName, arguments: dict[str, Any], default: int) -> int:
    """Our own argument `max_plies`, removed from `arguments`: matches are cut after so many
    decisions.
    """
    value = arguments.pop("max_plies", default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(
            f"max_plies of {name.scheme}:{name.target}",
            got=value,
            expected="an integer, at least 1",
        )
    return value
