"""Files of game faults: one match with which a game went wrong, kept so that it can be played
again.

A file is data: reading one runs nothing and imports nothing. Whoever plays the match again names
the game.
"""

from __future__ import annotations

import json
import os
import shlex
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from sparring.errors import FileFormatError, GameError, GameFault, IllegalAction
from sparring.games.spec import BatchedGame
from sparring.storage.atomic import write_file

FORMAT: Final = 1
_TEXTS: Final = {
    "game": 1000,
    "during": 100,
    "cause": 10_000,
    "traceback": 100_000,
    "message": 10_000,
}  # longest, in characters
_LARGEST_FILE: Final = 64 << 20  # bytes
_TRYING: Final = (
    "copy",
    "win_or_block",
)  # during which moves are only tried, whether or not it is known which
_REMEDY: Final = "give a file that a run wrote to its folder faults"


class Position(NamedTuple):
    """Position of a match: the board, the seat to move, and the action that was played then (None
    after the last action).
    """

    plies: int
    seat: int
    text: str
    action: str | None


def save_fault(folder: Path, fault: GameFault) -> Path:
    """Write the fault to a new file `<n>.json` in `folder`, which is made if needed; one process at
    a time.
    """
    taken = [int(path.stem) for path in folder.glob("*.json") if path.stem.isdecimal()]
    path = folder / f"{max(taken, default=0) + 1}.json"
    content = {"format": FORMAT, "message": str(fault), **fault.record}
    texts = {name: _printable(str(content[name]))[-longest:] for name, longest in _TEXTS.items()}
    write_file(path, json.dumps({**content, **texts}, indent=1, sort_keys=True).encode())
    return path


def read_fault(path: Path) -> dict[str, Any]:
    """The record in a file, its `message` with it; `FileFormatError` unless every part of it is
    what it should be.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise _unfit(path, "it is too large")
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read: {error.strerror}; {_REMEDY}") from None
    except (ValueError, RecursionError):
        raise _unfit(path, "it is no JSON") from None
    if (
        not isinstance(content, dict)
        or not _is_number(content.get("format"), FORMAT + 1)
        or content["format"] != FORMAT
    ):
        raise _unfit(path, f"it is not of format {FORMAT}")
    if content.keys() - {"tried"} != {"format", "key", "actions", *_TEXTS}:
        raise _unfit(path, "it has other fields")
    for name, longest in _TEXTS.items():
        text = content[name]
        if not isinstance(text, str) or len(text) > longest or text != _printable(text):
            raise _unfit(path, f"{name} is no text that can be shown")
    if not _is_number(content["key"], 2**64) or not all(
        _are_actions(content.get(name, [])) for name in ("actions", "tried")
    ):
        raise _unfit(path, "key and actions are no whole numbers")
    del content["format"]
    return content


def play_again(game: BatchedGame, record: Mapping[str, Any]) -> Iterator[Position]:
    """Play the match of a record in slot 0 of `game`; each position is given before the action on
    it is played.

    Where the game went wrong with moves that were only tried, they are tried again on the last
    position, which is given before. Raises `GameFault` where the game goes wrong again, and
    `GameError` where the record is not of this game or its rules have changed.
    """
    actions = record["actions"]
    game.reset(np.zeros(1, np.int64), np.array([record["key"]], np.uint64))
    for action in actions:
        legal = (
            0 <= action < game.spec.num_actions and game.mask[0, action] and not game.truncated[0]
        )
        yield Position(
            int(game.plies[0]),
            int(game.seat[0]),
            game.text(0),
            game.action_text(0, action) if legal else str(action),
        )
        played = np.full(game.num_slots, -1, np.int64)
        played[0] = action
        try:
            game.step(played)
        except IllegalAction as error:
            raise GameError(
                f"the record does not fit {game.spec.name}: {error}; its rules have changed, or it is another game's"
            ) from None
    yield Position(int(game.plies[0]), int(game.seat[0]), game.text(0), None)
    if is_of_trial(record):
        game.win_or_block(np.zeros(1, np.int64))


def is_of_trial(record: Mapping[str, Any]) -> bool:
    """Return whether the game went wrong on a copy of the match, with moves that were tried after
    `actions`; `tried` if it is known which.
    """
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


# Game faults: where in somebody's rules it happened, the one line that says so, and the record that
# plays the match again.


_OURS = {
    str(Path(__file__).parent / name)
    for name in ("python/game.py", "compiled/game.py", "compiled/driver.py", "user_games.py")
}
_LONGEST_TEXT = 300  # characters of an exception's text that go into the line
_LONGEST_TRACEBACK = 20_000  # characters that a record keeps, the last ones


class BrokenContractError(Exception):
    """Rules gave something that the contract does not allow; `Blame.fault` makes a `GameFault` of
    it.
    """

    def __init__(self, got: str, expected: str, remedy: str) -> None:
        super().__init__(f"got {one_line(got)}, expected {expected}")
        self.remedy = remedy


@dataclass(frozen=True)
class Blame:
    """The match in which something went wrong: `actions` since its start, the last one being
    played; `during` which of the methods.

    Where it happened on a copy, `tried` are the actions that were played there after `actions`.
    """

    game: str  # canonical name
    key: int
    actions: Iterable[int]
    during: str
    method: (
        object  # the function of that name, as far as it is known: its file is where the rules are
    )
    tried: Sequence[int] = ()

    def fault(self, error: Exception, seen: Exception | None = None) -> GameFault:
        """The fault made of what the rules raised, or of what they gave; `seen` is the same error
        where it can be seen whence it came.
        """
        seen = seen or error
        if isinstance(error, BrokenContractError):
            what, cause, trace = f"breaks the contract of games in {self.during}", str(error), ""
            remedy = error.remedy
        else:
            kind, text = (
                type(error).__name__,
                one_line(str(error)) or _source_line(seen, self.method),
            )
            what, cause = f"raised {kind} in {self.during}", f"{kind}: {text}" if text else kind
            trace = "".join(traceback.format_exception(seen))[-_LONGEST_TRACEBACK:]
            remedy = "mend it"
            if not self.game.startswith("__main__:"):  # by this name no other program finds it
                remedy += f", then try it out: sparring check-game {shlex.quote(self.game)}"
        reason = cause if not trace else cause.partition(": ")[2]
        line = f"game {self.game} {what}{_place(seen, self.method)}" + (
            f": {reason}" if reason else ""
        )
        record = {
            "game": self.game,
            "key": self.key,
            "actions": [int(action) for action in self.actions],
            "during": self.during,
        }
        if self.tried:
            record["tried"] = [int(action) for action in self.tried]
        return GameFault(f"{line}; {remedy}", {**record, "cause": cause, "traceback": trace})


def one_line(text: str) -> str:
    """`text` without line breaks, and cut where it is too long to read."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_TEXT else f"{line[: _LONGEST_TEXT - 3]}..."


def _place(error: Exception, method: object) -> str:
    """` (file, line n)` of the innermost frame in the rules' own folder, else of the method;
    nothing where neither is known.
    """
    frame = _innermost(error, method)
    if frame is not None:
        return f" ({os.path.basename(frame.filename)}, line {frame.lineno})"
    code = getattr(method, "__code__", None)
    return (
        f" ({os.path.basename(code.co_filename)}, line {code.co_firstlineno})"
        if code is not None
        else ""
    )


def _innermost(error: Exception, method: object) -> traceback.FrameSummary | None:
    code = getattr(method, "__code__", None)
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename not in _OURS
    ]
    at_home = [
        frame
        for frame in frames
        if code is not None and _folder(frame.filename) == _folder(code.co_filename)
    ]
    found = at_home or frames
    return found[-1] if found and not isinstance(error, BrokenContractError) else None


def _folder(path: str) -> str:
    return os.path.dirname(path)


def _source_line(error: Exception, method: object) -> str:
    """Source line at which an exception without a text was raised, such as `assert pot > 0`."""
    frame = _innermost(error, method)
    return one_line(frame.line or "") if frame is not None else ""
