"""Findings of `sparring doctor`: one line each, with its remedy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sparring.errors import InputError

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """One result of a check; a "problem" stands in the way of the run."""

    level: Level
    topic: str
    text: str
    remedy: str = ""

    @property
    def line(self) -> str:
        """Text and remedy."""
        return f"{self.text}; {self.remedy}" if self.remedy else self.text


def ok(topic: str, text: str) -> Finding:
    """A finding with which all is well."""
    return Finding("ok", topic, text)


def warning(topic: str, text: str, remedy: str = "") -> Finding:
    """A finding that does not stand in the way of the run."""
    return Finding("warning", topic, text, remedy)


def problem(topic: str, text: str, remedy: str = "") -> Finding:
    """A finding that stands in the way of the run."""
    return Finding("problem", topic, text, remedy)


def refusal(topic: str, error: InputError) -> Finding:
    """The line with which `sparring train` would refuse."""
    return Finding("problem", topic, error.problem, error.remedy)


def checked(topic: str, text: str, check: Callable[[], object]) -> Finding:
    """`text`, or the line with which `check`, a check of `sparring train`, refuses."""
    try:
        check()
    except InputError as error:
        return refusal(topic, error)
    return ok(topic, text)
