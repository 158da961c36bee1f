"""The one tree of errors that Sparring raises on purpose.

Every message is one line: "what: got, expected; remedy". `exit_status` is that of the command line:
2 for input that the caller can correct, 1 for anything that went wrong while running.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from signal import SIGINT
from typing import Any


class SparringError(Exception):
    """Base class of every error that Sparring raises on purpose."""

    exit_status = 1


class InputError(SparringError, ValueError):
    """Wrong input of the caller: nothing was started and nothing written."""

    exit_status = 2

    def __init__(
        self, what: str, *, got: object = None, expected: str = "", remedy: str = ""
    ) -> None:
        parts = [what]
        if got is not None:
            parts.append(f"got {got if isinstance(got, str) else repr(got)}")
        if expected:
            parts.append(f"expected {expected}")
        self.problem = ": ".join([parts[0], ", ".join(parts[1:])]) if parts[1:] else parts[0]
        self.remedy = remedy
        super().__init__(f"{self.problem}; {remedy}" if remedy else self.problem)


class ConfigurationError(InputError):
    """A setting is unknown, out of its range, or at odds with another."""


class UserCodeError(ConfigurationError):
    """A module of a user cannot be imported, or an object of a user's class cannot be made: the
    cause is what their code raised.
    """


class FileFormatError(InputError):
    """A file is missing, damaged, or not what its name promises."""


class StorageError(SparringError, OSError):
    """A file or directory could not be saved; the one it would have replaced is still there."""

    def __init__(self, line: str, cause: OSError | None = None) -> None:
        super().__init__(line)
        self.strerror = None if cause is None else cause.strerror


class GameError(SparringError):
    """A game broke the contract of the batched protocol."""


class GameFault(GameError):
    """A game raised an exception, or gave NaN or a value of a wrong form; `record` is the match
    (`games/faults.py`).
    """

    def __init__(self, message: str, record: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.record = dict(record)

    def __reduce__(self) -> tuple[type[GameFault], tuple[str, dict[str, Any]]]:
        return type(self), (str(self), self.record)


class IllegalAction(GameError, ValueError):
    """An action was played that the mask of the position does not allow."""


class NumericalError(SparringError, ArithmeticError):
    """A loss, gradient or weight is not finite; the spoilt weights were neither published nor
    saved.
    """


class OutOfMemory(SparringError):
    """The memory of the learner's device has run out; what was saved until then remains."""


class WorkerError(SparringError):
    """A worker failed repeatedly; the message ends with the cause."""


class RankError(SparringError):
    """One of several learners (ranks) ended or does not answer; the message says of what."""


class CallbackError(SparringError):
    """A callback or an evaluation function of the user raised an exception; the run is saved."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, or another `signal` that ends a command or a training; a plain KeyboardInterrupt in
    a training is one of a game.
    """

    def __init__(self, line: str = "", signal: int = SIGINT) -> None:
        super().__init__(*([line] if line else []))
        self.signal = signal


def shown(value: object) -> str:
    """A value as messages show it: its `repr` in one short line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def counted(number: int, noun: str) -> str:
    """A number of things in words: "1 worker", "2 workers"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def nearest(name: str, names: Iterable[str]) -> str:
    """The remedy for a misspelt name: "did you mean 'x'?", or "" when none is near."""
    near = near_name(name, names)
    return f"did you mean {near!r}?" if near else ""


def near_name(name: str, names: Iterable[str], synonyms: Mapping[str, str] | None = None) -> str:
    """The nearest of `names`, or the name that an exact synonym stands for; "" if none is near."""
    if synonyms and name in synonyms:
        return synonyms[name]
    return next(iter(difflib.get_close_matches(name, list(names), n=1, cutoff=0.65)), "")
