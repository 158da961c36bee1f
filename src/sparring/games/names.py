"""Names of games as people type them: `connect_four`, `ludo(num_players=4)`,
`my_game:MyGame(sides=8)`, `openspiel:go(board_size=5)`.

A name is `[scheme:]target[(argument=value, ...)]`. The target of another library's scheme may be
`module:name`: that module registers the game. Worker processes, configurations and agent files
get nothing else of a game.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sparring.errors import ConfigurationError

_NAME = re.compile(
    r"(?:(?P<scheme>[A-Za-z_][\w.]*):)?(?P<target>(?:(?<=:)[A-Za-z_][\w.]*:)?[A-Za-z_][\w./-]*|(?<=:)\d[\w./-]*)(?:\((?P<arguments>.*)\))?"
)

_INTEGER = re.compile(r"[+-]?\d+")
_DECIMAL = re.compile(r"[+-]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][+-]?\d+)?")
_QUOTED = re.compile(r"""(?P<quote>['"])(?P<word>[A-Za-z_][\w./:-]*)(?P=quote)""")
_WORDS = {"True": True, "False": False, "None": None, "true": True, "false": False}
_MAX_LENGTH = 500  # characters: names also come from files


@dataclass(frozen=True)
class GameName:
    """Parts of a name; `scheme` is "" for built-in games, an adapter, `compiled`, or the module of
    a class.
    """

    scheme: str
    target: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        prefix = f"{self.scheme}:" if self.scheme else ""
        inside = ",".join(
            f"{name}={_text(value)}" for name, value in sorted(self.arguments.items())
        )
        return f"{prefix}{self.target}" + (f"({inside})" if inside else "")

    @property
    def label(self) -> str:
        """The target in letters that file names allow: `go`, `connect_four-v3`, `MyGame`."""
        return re.sub(r"[^A-Za-z0-9_-]+", "_", re.split("[/:]", self.target)[-1])


def parse(name: str) -> GameName:
    """Return the parts of a name; raise `ConfigurationError` if it is invalid.

    Players of users have names of the same form.
    """
    fits = isinstance(name, str) and len(name) <= _MAX_LENGTH
    match = _NAME.fullmatch(name.strip()) if fits else None
    if match is None:
        expected = "a name such as connect_four, ludo(num_players=4) or my_game:MyGame"
        raise ConfigurationError(
            "invalid game name",
            got=f"{name!r:.80}",
            expected=expected,
            remedy="see sparring games",
        )
    return GameName(
        match["scheme"] or "", match["target"], _arguments(name, match["arguments"] or "")
    )


def _arguments(name: str, text: str) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    for part in _split(text):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not key.isidentifier() or key in arguments:
            raise _no_argument(name, "name=value, each name once, separated by commas")
        arguments[key] = read = _value(value)
        if isinstance(read, str) and (not read or set(read) & set("'\"")):
            raise _no_argument(name, f"a value of {key} that is not empty and has no quotes inside")
    return arguments


def _no_argument(name: str, expected: str) -> ConfigurationError:
    return ConfigurationError(
        "the arguments of a game or player", got=repr(name), expected=expected
    )


def _split(text: str) -> list[str]:
    """Split at the commas outside brackets: an argument may itself be a game with arguments."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts if text.strip() else []


def _value(text: str) -> Any:
    """Read a number, True, False or None as in Python, `true` and `false` as in OpenSpiel; anything
    else is text, with or without quotes.
    """
    quoted = _QUOTED.fullmatch(text)
    if quoted and quoted["word"] not in _WORDS:  # else it would be read as a value the next time
        return quoted["word"]
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
