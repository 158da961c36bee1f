"""Game faults: where in somebody's rules it happened, the one line that says so, and the record that plays the match again."""

from __future__ import annotations

import os
import shlex
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sparring.errors import GameFault

_OURS = {str(Path(__file__).with_name(name)) for name in ("looped.py", "compiled.py", "driver.py", "guarded_batch.py")}
_LONGEST_TEXT = 300  # characters of an exception's text that go into the line
_LONGEST_TRACEBACK = 20_000  # characters that a record keeps, the last ones


class BrokenContractError(Exception):
    """Rules gave something that the contract does not allow; `Blame.fault` makes a `GameFault` of it."""

    def __init__(self, got: str, expected: str, remedy: str) -> None:
        super().__init__(f"got {one_line(got)}, expected {expected}")
        self.remedy = remedy


@dataclass(frozen=True)
class Blame:
    """The match in which something went wrong: `actions` since its start, the last one being played; `during` which of the methods.

    Where it happened on a copy, `tried` are the actions that were played there after `actions`.
    """

    game: str  # canonical name
    key: int
    actions: Iterable[int]
    during: str
    method: object  # the function of that name, as far as it is known: its file is where the rules are
    tried: Sequence[int] = ()

    def fault(self, error: Exception, seen: Exception | None = None) -> GameFault:
        """The fault made of what the rules raised, or of what they gave; `seen` is the same error where it can be seen whence it came."""
        seen = seen or error
        if isinstance(error, BrokenContractError):
            what, cause, trace = f"breaks the contract of games in {self.during}", str(error), ""
            remedy = error.remedy
        else:
            kind, text = type(error).__name__, one_line(str(error)) or _source_line(seen, self.method)
            what, cause = f"raised {kind} in {self.during}", f"{kind}: {text}" if text else kind
            trace = "".join(traceback.format_exception(seen))[-_LONGEST_TRACEBACK:]
            remedy = "mend it"
            if not self.game.startswith("__main__:"):  # by this name no other program finds it
                remedy += f", then try it out: sparring check-game {shlex.quote(self.game)}"
        reason = cause if not trace else cause.partition(": ")[2]
        line = f"game {self.game} {what}{_place(seen, self.method)}" + (f": {reason}" if reason else "")
        record = {"game": self.game, "key": self.key, "actions": [int(action) for action in self.actions], "during": self.during}
        if self.tried:
            record["tried"] = [int(action) for action in self.tried]
        return GameFault(f"{line}; {remedy}", {**record, "cause": cause, "traceback": trace})


def one_line(text: str) -> str:
    """`text` without line breaks, and cut where it is too long to read."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_TEXT else f"{line[: _LONGEST_TEXT - 3]}..."


def _place(error: Exception, method: object) -> str:
    """` (file, line n)` of the innermost frame in the rules' own folder, else of the method; nothing where neither is known."""
    frame = _innermost(error, method)
    if frame is not None:
        return f" ({os.path.basename(frame.filename)}, line {frame.lineno})"
    code = getattr(method, "__code__", None)
    return f" ({os.path.basename(code.co_filename)}, line {code.co_firstlineno})" if code is not None else ""


def _innermost(error: Exception, method: object) -> traceback.FrameSummary | None:
    code = getattr(method, "__code__", None)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename not in _OURS]
    at_home = [frame for frame in frames if code is not None and _folder(frame.filename) == _folder(code.co_filename)]
    found = at_home or frames
    return found[-1] if found and not isinstance(error, BrokenContractError) else None


def _folder(path: str) -> str:
    return os.path.dirname(path)


def _source_line(error: Exception, method: object) -> str:
    """What stands where an exception without a text was raised, as `assert pot > 0`."""
    frame = _innermost(error, method)
    return one_line(frame.line or "") if frame is not None else ""
