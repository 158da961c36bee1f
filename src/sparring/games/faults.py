"""Files of game faults: one match with which a game went wrong, kept so that it can be played again.

A file is data: reading one runs nothing and imports nothing. Whoever plays the match again names the game.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from sparring.atomic import write_file
from sparring.errors import FileFormatError, GameError, GameFault, IllegalAction
from sparring.games.spec import BatchedGame

FORMAT: Final = 1
_TEXTS: Final = {"game": 1000, "during": 100, "cause": 10_000, "traceback": 100_000, "message": 10_000}  # longest, in characters
_LARGEST_FILE: Final = 64 << 20  # bytes
_TRYING: Final = ("copy", "win_or_block")  # during which moves are only tried, whether or not it is known which
_REMEDY: Final = "give a file that a run wrote to its folder faults"


class Position(NamedTuple):
    """Where a match stood: what the board showed, who was to move, and what was played then (None after the last action)."""

    plies: int
    seat: int
    text: str
    action: str | None


def save_fault(folder: Path, fault: GameFault) -> Path:
    """Write the fault to a new file `<n>.json` in `folder`, which is made if needed; one process at a time."""
    taken = [int(path.stem) for path in folder.glob("*.json") if path.stem.isdecimal()]
    path = folder / f"{max(taken, default=0) + 1}.json"
    content = {"format": FORMAT, "message": str(fault), **fault.record}
    texts = {name: _printable(str(content[name]))[-longest:] for name, longest in _TEXTS.items()}
    write_file(path, json.dumps({**content, **texts}, indent=1, sort_keys=True).encode())
    return path


def read_fault(path: Path) -> dict[str, Any]:
    """The record in a file, its `message` with it; `FileFormatError` unless every part of it is what it should be."""
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise _unfit(path, "it is too large")
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read: {error.strerror}; {_REMEDY}") from None
    except (ValueError, RecursionError):
        raise _unfit(path, "it is no JSON") from None
    if not isinstance(content, dict) or not _is_number(content.get("format"), FORMAT + 1) or content["format"] != FORMAT:
        raise _unfit(path, f"it is not of format {FORMAT}")
    if content.keys() - {"tried"} != {"format", "key", "actions", *_TEXTS}:
        raise _unfit(path, "it has other fields")
    for name, longest in _TEXTS.items():
        text = content[name]
        if not isinstance(text, str) or len(text) > longest or text != _printable(text):
            raise _unfit(path, f"{name} is no text that can be shown")
    if not _is_number(content["key"], 2**64) or not all(_are_actions(content.get(name, [])) for name in ("actions", "tried")):
        raise _unfit(path, "key and actions are no whole numbers")
    del content["format"]
    return content


def play_again(game: BatchedGame, record: Mapping[str, Any]) -> Iterator[Position]:
    """Play the match of a record in slot 0 of `game`; each position is given before the action on it is played.

    Where the game went wrong with moves that were only tried, they are tried again on the last position, which is given before.
    Raises `GameFault` where the game goes wrong again, and `GameError` where the record is not of this game or its rules have changed.
    """
    actions = record["actions"]
    game.reset(np.zeros(1, np.int64), np.array([record["key"]], np.uint64))
    for action in actions:
        legal = 0 <= action < game.spec.num_actions and game.mask[0, action] and not game.truncated[0]
        yield Position(int(game.plies[0]), int(game.seat[0]), game.text(0), game.action_text(0, action) if legal else str(action))
        played = np.full(game.num_slots, -1, np.int64)
        played[0] = action
        try:
            game.step(played)
        except IllegalAction as error:
            raise GameError(f"the record does not fit {game.spec.name}: {error}; its rules have changed, or it is another game's") from None
    yield Position(int(game.plies[0]), int(game.seat[0]), game.text(0), None)
    if is_of_trial(record):
        game.win_or_block(np.zeros(1, np.int64))


def is_of_trial(record: Mapping[str, Any]) -> bool:
    """Whether the game went wrong on a copy of the match, with moves that were tried after `actions`; `tried` if it is known which."""
    return bool(record.get("tried")) or record["during"] in _TRYING


def _are_actions(values: object) -> bool:
    return isinstance(values, list) and all(_is_number(value, 2**31) for value in values)


def _is_number(value: object, end: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < end


def _printable(text: str) -> str:
    """`text` without what would act on a terminal instead of being shown there."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "?" for letter in text)


def _unfit(path: Path, why: str) -> FileFormatError:
    return FileFormatError(f"{path} is no record of a game fault: {why}; {_REMEDY}")
