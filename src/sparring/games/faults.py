"""Faults of games and of users' players: the line at fault, and the record and file that replay
the match.

A file is data: reading one runs nothing and imports nothing. The caller who replays the match names
the game.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shlex
import signal
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from sparring.errors import FileFormatError, GameError, GameFault, IllegalAction, Interrupted
from sparring.games.spec import BatchedGame
from sparring.storage.atomic import without_waiting, write_file
from sparring.user_code import text_of

FORMAT: Final = 1
# Maximum length of each text, in characters.
_TEXTS: Final = {
    "game": 1000,
    "during": 100,
    "cause": 10_000,
    "traceback": 100_000,
    "message": 10_000,
}
_LENGTHS: Final = {**_TEXTS, "player": _TEXTS["game"]}  # with a text that only some have
_MAX_FILE: Final = 64 << 20  # bytes
_TRYING: Final = ("copy", "win_or_block")  # methods that only try moves
_REMEDY: Final = "give a file that a run wrote to its folder faults"


class Position(NamedTuple):
    """A position of a match: board, seat to move, and the next action (None after the last one)."""

    plies: int
    seat: int
    text: str
    action: str | None


def save_fault(folder: Path, fault: GameFault) -> Path:
    """Write the fault to a new file `<n>.json` in `folder`, which is created if needed."""
    path = _claimed(folder)
    content = {"format": FORMAT, "message": str(fault), **fault.record}
    texts = {
        name: _printable(str(content[name]))[-longest:]
        for name, longest in _LENGTHS.items()
        if name in content
    }
    write_file(path, json.dumps({**content, **texts}, indent=1, sort_keys=True).encode())
    return path


def _claimed(folder: Path) -> Path:
    """Make an empty file with the next number; of two processes each gets one of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    taken = [int(path.stem) for path in folder.glob("*.json") if path.stem.isdecimal()]
    for number in itertools.count(max(taken, default=0) + 1):
        with contextlib.suppress(FileExistsError):
            (folder / f"{number}.json").touch(exist_ok=False)
            break
    return folder / f"{number}.json"


def read_fault(path: Path) -> dict[str, Any]:
    """Read the record in a file, with its `message`; raise `FileFormatError` if any part of it is
    invalid.
    """
    try:
        if path.stat().st_size > _MAX_FILE:
            raise _unfit(path, "it is too large")
        with open(path, "rb", opener=without_waiting) as file:
            content = json.loads(file.read(_MAX_FILE))
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read: {error.strerror}; {_REMEDY}") from None
    except (ValueError, RecursionError):
        raise _unfit(path, "it is not JSON") from None
    if (
        not isinstance(content, dict)
        or not _is_number(content.get("format"), FORMAT + 1)
        or content["format"] != FORMAT
    ):
        raise _unfit(path, f"it is not of format {FORMAT}")
    if content.keys() - {"tried", "player"} != {"format", "key", "actions", *_TEXTS}:
        raise _unfit(path, "it has other fields")
    for name, longest in _LENGTHS.items():
        text = content.get(name, "")
        if not isinstance(text, str) or len(text) > longest or text != _printable(text):
            raise _unfit(path, f"{name} is not printable text")
    if not _is_number(content["key"], 2**64) or not all(
        _are_actions(content.get(name, [])) for name in ("actions", "tried")
    ):
        raise _unfit(path, "key and actions are not integers")
    del content["format"]
    return content


def play_again(game: BatchedGame, record: Mapping[str, Any]) -> Iterator[Position]:
    """Replay the match of a record in slot 0 of `game`; yield each position before its action is
    played.

    If the game failed with moves that were only tried, they are tried again on the last position,
    after it was yielded. Raises `GameFault` if the game fails again, and `GameError` if the record
    is not of this game or its rules have changed.
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
            what = f"the record does not fit {game.spec.name}: {error}"
            remedy = "its rules have changed, or the record is another game's"
            raise GameError(f"{what}; {remedy}") from None
    yield Position(int(game.plies[0]), int(game.seat[0]), game.text(0), None)
    if is_of_trial(record):
        game.win_or_block(np.zeros(1, np.int64))


def is_of_trial(record: Mapping[str, Any]) -> bool:
    """Return whether the game failed on a copy of the match, with moves tried after `actions`:
    those in `tried`, if they are known.
    """
    return bool(record.get("tried")) or record["during"] in _TRYING


def _are_actions(values: object) -> bool:
    return isinstance(values, list) and all(_is_number(value, 2**31) for value in values)


def _is_number(value: object, end: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < end


def _printable(text: str) -> str:
    """Return `text` without control characters, which would act on a terminal."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "?" for letter in text)


def _unfit(path: Path, why: str) -> FileFormatError:
    return FileFormatError(f"{path} is not a game fault file: {why}; {_REMEDY}")


_OUR_FILES = {
    str(Path(__file__).parents[1] / name)
    for name in (
        "games/python/game.py",
        "games/compiled/game.py",
        "games/compiled/driver.py",
        "games/user_games.py",
        "opponents/user_players.py",
    )
}
_MAX_TEXT = 300  # characters of an exception's text in the line
_MAX_TRACEBACK = 20_000  # characters in a record, the last ones


class BrokenContractError(Exception):
    """A value of the rules that the contract does not allow; `Blame.fault` makes a `GameFault` of
    it.
    """

    def __init__(self, got: str, expected: str, remedy: str) -> None:
        super().__init__(f"got {one_line(got)}, expected {expected}")
        self.remedy = remedy


@dataclass(frozen=True)
class Blame:
    """The match in which a game failed: `actions` since its start, with the one being played;
    `during` is the method. On a copy of the match, `tried` are the actions played after `actions`.

    If a user's `player` failed and not the game, `actions` led to the position that it was asked
    in.
    """

    game: str  # canonical name
    key: int
    actions: Iterable[int]
    during: str
    method: object  # the function of that name, if known: its file is that of the rules
    tried: Sequence[int] = ()
    player: str = ""

    def fault(self, error: BaseException, seen: BaseException | None = None) -> GameFault:
        """Make the fault of an exception of the rules, or of a `BrokenContractError`; `seen` is the
        same error with a traceback into the rules. Raises the error itself if it is a Ctrl-C.
        """
        if is_ctrl_c(error):
            raise error
        seen = seen or error
        if isinstance(error, BrokenContractError):
            kind = "players" if self.player else "games"
            what, cause, trace = f"breaks the contract of {kind} in {self.during}", str(error), ""
            remedy = error.remedy
        else:
            kind, text = (
                type(error).__name__,
                one_line(text_of(error)) or _source_line(seen, self.method),
            )
            what, cause = f"raised {kind} in {self.during}", f"{kind}: {text}" if text else kind
            trace = "".join(traceback.format_exception(seen))[-_MAX_TRACEBACK:]
            remedy = "fix it"
            if not self.player and not self.game.startswith("__main__:"):  # which is ours only
                remedy += f", then try it out: sparring check-game {shlex.quote(self.game)}"
        reason = cause if not trace else cause.partition(": ")[2]
        who = f"player {self.player}" if self.player else f"game {self.game}"
        line = f"{who} {what}{_place(seen, self.method)}" + (f": {reason}" if reason else "")
        record = {
            "game": self.game,
            "key": self.key,
            "actions": [int(action) for action in self.actions],
            "during": self.during,
        }
        if self.tried:
            record["tried"] = [int(action) for action in self.tried]
        if self.player:
            record["player"] = self.player
        return GameFault(f"{line}; {remedy}", {**record, "cause": cause, "traceback": trace})


def is_ctrl_c(error: BaseException) -> bool:
    """Return whether an exception is that of Ctrl-C and not of a game: in workers, where SIGINT
    raises none, and during a training, where it raises `Interrupted`, a plain `KeyboardInterrupt`
    is the game's.
    """
    by_signal = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return isinstance(error, Interrupted) or (isinstance(error, KeyboardInterrupt) and by_signal)


def one_line(text: str) -> str:
    """Return `text` without line breaks, and shortened if it is long."""
    line = " ".join(text.split())
    return line if len(line) <= _MAX_TEXT else f"{line[: _MAX_TEXT - 3]}..."


def _place(error: BaseException, method: object) -> str:
    """Return ` (file, line n)` of the innermost frame in the rules' own folder, else of the method;
    "" if neither is known.
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


def _innermost(error: BaseException, method: object) -> traceback.FrameSummary | None:
    code = getattr(method, "__code__", None)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename not in _OUR_FILES
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


def _source_line(error: BaseException, method: object) -> str:
    """Return the source line of an exception without a text, such as `assert pot > 0`."""
    frame = _innermost(error, method)
    return one_line(frame.line or "") if frame is not None else ""
