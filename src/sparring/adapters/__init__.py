"""Games of other libraries behind the batched protocol, named by their scheme:
`openspiel:go(board_size=5)`, `pettingzoo:classic/chess-v6`, `gymnasium:CartPole-v1`.

The module of each library offers `make(name, num_slots)` and is imported only for a game of it. All
wrap one match of their library as a `Match`, which `LoopedGame` batches.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from sparring import user_code
from sparring.errors import ConfigurationError
from sparring.games import spec
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


def registered_target(name: GameName) -> str:
    """The game's name in its library. Of `module:name` the module is imported first, to register
    it.
    """
    module, _, target = name.target.rpartition(":")
    if module == "__main__":
        raise ConfigurationError(
            f"worker processes cannot import {name}",
            got="a module __main__",
            expected="a module that can be imported",
            remedy="put what registers the game in a module",
        )
    if module:
        user_code.import_module(module, needed_for=str(name))
    return target


def misfit(name: GameName, got: str, expected: str, remedy: str = "") -> ConfigurationError:
    """Error for a game that does not fit the batched protocol."""
    return ConfigurationError(f"{name} is not supported", got=got, expected=expected, remedy=remedy)


def refuse_window(name: GameName, render_mode: object) -> None:
    """Refuse to open a window for each match, which hangs, without a screen even beyond Ctrl-C."""
    if render_mode == "human":
        raise misfit(name, "render_mode=human", "no window", "leave render_mode out")


def rendered(env: Any) -> str:
    """The position of an environment as text. The mode is changed only for this call: some
    environments render each step in the mode that they were made with.
    """
    mode, env.render_mode = env.render_mode, "ansi"
    try:
        return str(env.render())
    finally:
        env.render_mode = mode


def check_size(
    name: GameName, num_actions: int, observation_shape: Sequence[int], dtype: np.dtype[Any]
) -> None:
    """Refuse a game that is empty, or too large for the memory, before its matches are made."""
    entries = math.prod(observation_shape)
    if min([num_actions, *observation_shape]) < 1:
        got = f"{num_actions} actions and observations of {list(observation_shape)}"
        raise misfit(name, got, "at least 1 of each", "choose another size")
    spec.check_size(str(name), entries * dtype.itemsize, num_actions)


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
