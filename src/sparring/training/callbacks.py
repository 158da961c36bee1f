"""Code of users that a run calls: callbacks, which hear what it does and may stop it, and an
evaluation function.

    class Stopper:
        def on_evaluation(self, event: EvaluationEvent) -> bool:
            return event.score < 0.6          # False stops the run, with a checkpoint

A callback has any of the methods that the events below name.
The main process calls them, at the end of each round and once more at the end of the run: first all
callbacks with the first event, in the order in which they were given, then all with the next one.
Events of one round come in the order snapshot, evaluation, report, checkpoint, round.

Counts and figures of an event are the same in every run of the same configuration and seed, except
`minutes`, reports, which come by the clock, and all of `async`. What a callback does has no
influence on what is learned, unless it stops the run.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from sparring.dqn.agent import DQNAgent
from sparring.errors import CallbackError, ConfigurationError, near_name, shown
from sparring.user_code import import_named, is_importable_name, place_of, text_of


@dataclass(frozen=True, kw_only=True)
class Event:
    """State of a run at an event; counts are those of the whole run, resumed sessions included."""

    method: ClassVar[str]

    run: Path
    """Directory of the run."""
    rounds: int
    matches: int
    plies: int
    updates: int
    progress: float
    """Share of the run that is done, 0 to 1."""
    minutes: float
    """Minutes of training so far."""
    figures: Mapping[str, float]
    """Figures under the tags of TensorBoard; empty where the event has none."""


@dataclass(frozen=True, kw_only=True)
class SnapshotEvent(Event):
    """A snapshot of the agent joined the pool."""

    method = "on_snapshot"
    name: str


@dataclass(frozen=True, kw_only=True)
class EvaluationEvent(Event):
    """The agent was evaluated. `best` is the file of the best agent so far, `is_best` says that it
    is this one.
    """

    method = "on_evaluation"
    score: float
    is_best: bool
    best: Path


@dataclass(frozen=True, kw_only=True)
class ReportEvent(Event):
    """A report was made, every `log_interval` seconds: the figures of `metrics.jsonl`."""

    method = "on_report"


@dataclass(frozen=True, kw_only=True)
class CheckpointEvent(Event):
    """A checkpoint was saved, and the file of the agent as it is now, `last`."""

    method = "on_checkpoint"
    checkpoint: Path
    last: Path


@dataclass(frozen=True, kw_only=True)
class RoundEvent(Event):
    """A round was played and learned; the figures are those of this round."""

    method = "on_round"


@dataclass(frozen=True, kw_only=True)
class EndEvent(Event):
    """The run is over, or stopped. `reason` says why it ended early: "" at its full length;
    `failed`: it is an error.

    The last call, also after an error; not after a second Ctrl-C, which stops at once.
    """

    method = "on_end"
    reason: str
    failed: bool


METHODS: Final = tuple(
    kind.method
    for kind in (
        SnapshotEvent, EvaluationEvent, ReportEvent, CheckpointEvent, RoundEvent, EndEvent,
    )
)  # fmt: skip


class Callbacks:
    """The callbacks of one call of `train` or `resume`.

    `stopped` says which one stopped the run, "" if none did.
    """

    def __init__(self, callbacks: object = ()) -> None:
        """Take one callback or several; ConfigurationError for what cannot be one."""
        self._callbacks: Sequence[object] = _as_callbacks(callbacks)
        self._events: list[Event] = []
        self.stopped = ""

    def want(self, kind: type[Event]) -> bool:
        """Return whether a callback has the method of this kind of event."""
        return any(hasattr(callback, kind.method) for callback in self._callbacks)

    def add(self, event: Event) -> None:
        """Keep an event until `call`."""
        self._events.append(event)

    def call(self) -> None:
        """Call the callbacks with the events since the last call.

        Raises `CallbackError` from the first exception; the events that are left are dropped.
        """
        events, self._events = self._events, []
        for event in events:
            for name, method in self._methods(event):
                answer = call_user(name, lambda: method(event))  # noqa: B023
                if isinstance(answer, bool | np.bool_) and not answer:
                    self.stopped = self.stopped or f"{name} returned False"

    def end(self, event: EndEvent, warn: Callable[[str], None]) -> None:
        """Call `on_end`. Its exceptions are warnings, as there is nothing left to stop."""
        for name, method in self._methods(event):
            try:
                call_user(name, lambda: method(event))  # noqa: B023
            except CallbackError as error:
                warn(str(error))

    def _methods(self, event: Event) -> Iterable[tuple[str, Callable[[Event], object]]]:
        """Names and methods that are called with an event."""
        for callback in self._callbacks:
            if method := getattr(callback, event.method, None):
                yield f"{type(callback).__name__}.{event.method}", method


class EvaluationFunction:
    """The setting `evaluate_with`: a function of the user that gives an agent a score."""

    def __init__(self, name: str, given: Callable[..., Any] | None = None) -> None:
        """Import the function `name`, unless it is `given`. ConfigurationError if it cannot be
        imported or does not take an agent.
        """
        if given is None and not is_importable_name(name):
            raise ConfigurationError(
                "evaluate_with cannot be imported",
                got=repr(name),
                expected="module:function, a function at the top of a module",
                remedy="in Python pass the function itself: train(..., evaluate_with=...), "
                "resume(..., evaluate_with=...)",
            )
        self._name = name
        self._function = given or import_named(name, what="evaluation function")
        try:
            inspect.signature(self._function).bind(object())
        except TypeError as error:
            raise ConfigurationError(
                f"evaluate_with {name} does not fit: {error}", remedy="the call is function(agent)"
            ) from None
        except ValueError:  # a function in C without a signature
            pass

    def __call__(self, agent: DQNAgent) -> float:
        """Return the score of an agent, which is a copy. CallbackError if there is none."""
        score = call_user(self._name, lambda: self._function(agent))
        try:
            if math.isfinite(number := float(score)) and not isinstance(score, str):
                return number
        except (TypeError, ValueError):
            pass
        raise CallbackError(f"{self._name}: got {shown(score)}, expected a finite number")


def call_user(name: str, call: Callable[[], Any]) -> Any:
    """Return `call()`; an exception becomes a `CallbackError` with its place in the user's code."""
    try:
        return call()
    except (Exception, SystemExit) as error:
        reason = " ".join(text_of(error).split())
        raise CallbackError(
            f"{name} raised {type(error).__name__}{place_of(error)}: {reason:.200}"
        ) from error


def _as_callbacks(given: object) -> Sequence[object]:
    callbacks = list(given) if isinstance(given, list | tuple) else [given]
    for callback in callbacks:
        _check(callback)
    return callbacks


def _check(callback: object) -> None:
    """Raise `ConfigurationError` for an object that would never be called, or not as meant."""
    name = callback.__name__ if isinstance(callback, type) else type(callback).__name__
    if isinstance(callback, type):
        raise ConfigurationError(
            "a callback", got=f"the class {name}", expected="an object", remedy=f"pass {name}()"
        )
    own = [entry for entry in dir(callback) if entry.startswith("on_") and entry not in METHODS]
    for entry in own:
        if near := near_name(entry, METHODS):
            raise ConfigurationError(
                f"callback {name} has a method that is never called",
                got=entry,
                expected=f"one of {', '.join(METHODS)}",
                remedy=f"did you mean {near!r}?",
            )
    found = [entry for entry in METHODS if hasattr(callback, entry)]
    if not found:
        raise ConfigurationError(
            "a callback",
            got=f"a value of {name}",
            expected=f"an object with one of the methods {', '.join(METHODS)}",
        )
    for entry in found:
        if not callable(getattr(callback, entry)):
            raise ConfigurationError(
                f"{entry} of callback {name}",
                got=f"a value of {type(getattr(callback, entry)).__name__}",
                expected="a method that takes the event",
            )
