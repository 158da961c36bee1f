"""The description in an agent file: game, network, encoding; written, and read with what it may
import.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any

from sparring.dqn.networks import FACTORIES, NetworkSpec, PolicySpec
from sparring.errors import ConfigurationError, FileFormatError
from sparring.games import GameSpec, canonical, is_built_in, is_own, name_of
from sparring.user_code import name_of as factory_name


def describe(spec: PolicySpec) -> dict[str, Any]:
    """Return the description of an agent, as plain JSON."""
    network = {"factory": spec.network.factory, "arguments": dict(spec.network.arguments)}
    game = spec.game_spec
    description = {"game": spec.game, "network": network, "encoding": encoding_of(game)}
    return description | ({"afterstates": game.afterstates} if spec.afterstates else {})


def described(
    path: str | PathLike[str],
    description: Mapping[str, Any],
    *,
    game: str | object | None,
    network: str | Callable[..., Any] | None,
) -> PolicySpec:
    """Return the network that the file at `path` describes; `game` and `network` are those that the
    caller allows to be imported.

    Raises `FileFormatError` if the description is damaged, is of others than these, or differs from
    the installed game.
    """
    try:
        name, encoding = description["game"], description["encoding"]
        factory, arguments = (
            description["network"]["factory"],
            description["network"]["arguments"],
        )
        spec = PolicySpec(
            _game_to_play(path, name, game),
            NetworkSpec(_network_to_build(path, factory, network), arguments),
            afterstates=bool(description.get("afterstates", False)),
        )
    except (KeyError, TypeError):
        raise FileFormatError(
            f"{path} does not describe an agent; was it written by another version?"
        ) from None
    known = spec.game_spec
    if encoding != encoding_of(known):
        raise FileFormatError(
            f"{path} has another encoding of {name} than the game here", got=f"{encoding}"
        )
    if spec.afterstates and description["afterstates"] != known.afterstates:
        raise FileFormatError(
            f"{path} values positions after moves, which {name} shows in another way here",
            got=repr(description["afterstates"]),
            expected=repr(known.afterstates),
        )
    return spec


def encoding_of(spec: GameSpec) -> dict[str, Any]:
    """Facts that a network depends on, as plain JSON."""
    return {
        "shape": list(spec.observation_shape),
        "dtype": spec.observation_dtype,
        "actions": spec.num_actions,
    }


def _game_to_play(path: str | PathLike[str], named: object, given: str | object | None) -> str:
    """The game to play: `given` by the caller, else `named` by the file, if built in."""
    if not isinstance(named, str):
        raise TypeError("the name of a game must be text")
    if given is not None:
        wanted = canonical(name_of(given))
        # A user's class may have moved; its encoding is compared.
        if wanted != named and not (is_own(wanted) and is_own(named)):
            raise FileFormatError(
                f"{path} is an agent of another game", got=repr(named), expected=wanted
            )
        return wanted
    try:
        if is_built_in(named):
            return canonical(named)
    except ConfigurationError as error:
        raise FileFormatError(f"{path} is for a game that is not available: {error}") from None
    remedy = f"pass game={named!r} (--game {shlex.quote(named)}) to allow importing it"
    raise FileFormatError(
        f"{path} is an agent of a game that does not come with Sparring",
        got=repr(named),
        remedy=remedy,
    )


def _network_to_build(
    path: str | PathLike[str], named: str, given: str | Callable[..., Any] | None
) -> str:
    """The network's factory: `given` by the caller, or else `named` by the agent file, if built
    in.
    """
    wanted = (
        given if given is None or isinstance(given, str) else factory_name(given, what="network")
    )
    if named in FACTORIES or wanted in FACTORIES:
        if wanted not in (None, named):
            raise FileFormatError(
                f"{path} is an agent with another network", got=repr(named), expected=wanted
            )
        return named
    if wanted is None:
        remedy = "pass network=..., its factory or 'module:factory', to allow importing it"
        raise FileFormatError(
            f"{path} is an agent with a network that does not come with Sparring",
            got=repr(named),
            remedy=remedy,
        )
    return wanted
