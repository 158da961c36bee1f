"""Runs that are stopped at a chosen point, as Ctrl-C would stop them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from signal import SIGINT
from typing import Any, Self

from trial_runs import trial

from sparring.storage.run_directory import RunDirectory
from sparring.training import TrainResult, resume, train

NEVER = 10**9


class StopAfter:
    """Stands in for `Interrupts`: requests a stop once the loop has asked `looks` times, which it
    does before each round and each update.
    """

    looks = NEVER

    def __init__(self, say: Callable[[str], None]) -> None:
        StopAfter.looked = 0

    @property
    def requested(self) -> bool:
        StopAfter.looked += 1
        return StopAfter.looked > StopAfter.looks

    @property
    def signal(self) -> int:
        return SIGINT if StopAfter.looked > StopAfter.looks else 0

    def begun(self) -> None:
        """A stop is never at once here."""

    def cutting_off(self) -> AbstractContextManager[None]:
        return nullcontext()

    def on_request(self, call: Callable[[], None]) -> None:
        """Nobody is waited for in a hurry."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def train_until(looks: int, runs_dir: Path, name: str, **changes: Any) -> TrainResult:
    StopAfter.looks = looks
    return train(trial(runs_dir, name=name, **{"backend": "inline", **changes}), console=False)


def resume_until(looks: int, runs_dir: Path, name: str, **overrides: Any) -> TrainResult:
    StopAfter.looks = looks
    return resume(name, runs_dir=str(runs_dir), overrides=overrides, console=False)


def saved(result: TrainResult) -> dict[str, Any]:
    with RunDirectory.open(result.run.parent, result.run.name) as run:
        return run.load_checkpoint()


def figures(result: TrainResult) -> tuple[str, int, int, int]:
    return result.sha256, result.updates, result.plies, result.episodes
