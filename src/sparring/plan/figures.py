"""The figures that a plan rests on: speeds of one worker, of updates, of the main process.

They are measured (`plan/measure.py`), or read from the JSON of an earlier `sparring plan` or of a
`sparring bench`.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from sparring.config.schema import TrainConfig
from sparring.errors import FileFormatError
from sparring.games import spec_of
from sparring.storage.atomic import without_waiting

CPU: Final = "cpu"
CUDA: Final = "cuda"
_MAX_JSON: Final = 10_000_000  # bytes
_AGAIN: Final = "make one with `sparring plan GAME --json` on the machine that it is to describe"


@dataclass(frozen=True)
class UpdateTime:
    """Seconds of an update of `batch` transitions: while all other CPUs play, and `alone`.
    `cores` are busy with it, on average.
    """

    device: str
    threads: int
    batch: int
    seconds: float
    alone: float
    cores: float = 1.0


@dataclass(frozen=True)
class Figures:
    """Figures of a game and its network on one machine of `cpus` CPUs.

    A core is slower when the others work, too: the speed of a worker is given while all CPUs are
    busy, and `alone`. Times are in seconds: `start` a worker's for a part of a round besides play,
    `part` the main process's for one besides its rows, `row` for a transition, `publish` for new
    weights, `evaluation` for one at the preset's number of matches, `checkpoint` for one of a full
    replay. `match_spread` is the standard deviation of the plies of a match beside their mean.
    """

    game: str
    source: str  # where they come from, in words
    network: str
    cpus: int
    plies_per_s: float  # of a worker, while all CPUs are busy
    plies_per_s_alone: float
    plies_per_match: float
    rows_per_match: float
    match_spread: float
    start: float
    part: float
    row: float
    publish: float
    evaluation: float
    checkpoint: float
    row_bytes: int
    replay_bytes: int
    weights: int
    max_plies: int
    updates: tuple[UpdateTime, ...]

    def slowdown(self, load: float, alone: float, busy: float) -> float:
        """Seconds of what takes `alone` on an idle machine and `busy` on a full one, at a load of
        0..1, itself included: on the line between.
        """
        if self.cpus == 1:
            return busy
        least = 1.0 / self.cpus
        share = min(max((load - least) / (1.0 - least), 0.0), 1.0)
        return alone + share * (busy - alone)

    def update_seconds(
        self, device: str, threads: int, batch: int, load: float = 1.0
    ) -> float | None:
        """Seconds of an update: measured, or on the line through the two nearest measured batch
        sizes; None if there is no measurement of this device and number of threads.

        One measurement alone is taken to be proportional to the batch on a CPU, constant on a GPU.
        """
        known = sorted(
            (
                abs(math.log(one.batch / batch)),
                one.batch,
                self.slowdown(load, one.alone, one.seconds),
            )
            for one in self.updates
            if (one.device, one.threads) == (device, threads)
        )
        if not known:
            return None
        _, near, seconds = known[0]
        if near == batch:
            return seconds
        if len(known) == 1:
            return seconds * batch / near if device == CPU else seconds
        _, other, others = known[1]
        slope = (others - seconds) / (other - near)
        return max(seconds + slope * (batch - near), min(seconds, others) * min(1.0, batch / near))

    def update_cores(self, device: str, threads: int) -> float:
        """Mean number of cores that an update keeps busy."""
        found = [
            one.cores for one in self.updates if (one.device, one.threads) == (device, threads)
        ]
        return sum(found) / len(found) if found else 1.0

    def threads(self) -> tuple[int, ...]:
        """Numbers of a CPU learner's threads that were measured."""
        return tuple(sorted({one.threads for one in self.updates if one.device == CPU}))

    def to_json(self) -> dict[str, Any]:
        """The figures as plain values, of which `from_json` makes equal ones."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any], origin: str) -> Self:
        """Raise `FileFormatError` for a figure that is missing, unknown or no number above 0."""
        names = {field.name for field in dataclasses.fields(cls)}
        if names != values.keys():
            wrong = ", ".join(sorted(names ^ values.keys()))
            raise FileFormatError(f"{origin}: figures missing or unknown: {wrong}", remedy=_AGAIN)
        updates = tuple(_update_time(one, origin) for one in values["updates"])
        if all(one.device != CPU for one in updates):
            raise FileFormatError(
                f"{origin}: updates", got=values["updates"], expected="some on a CPU", remedy=_AGAIN
            )
        figures = cls(**{**values, "updates": updates})
        for name, kind in (("str", str), ("float", float), ("int", int)):
            for field in dataclasses.fields(cls):
                if field.type == name:
                    _check(origin, field.name, getattr(figures, field.name), kind)
        return figures


def _update_time(values: Any, origin: str) -> UpdateTime:
    try:
        one = UpdateTime(**values)
    except TypeError:
        raise FileFormatError(f"{origin}: updates", got=values, remedy=_AGAIN) from None
    for name in ("threads", "batch"):
        _check(origin, f"updates: {name}", getattr(one, name), int, least=1e-9)
    for name in ("seconds", "alone", "cores"):
        _check(origin, f"updates: {name}", getattr(one, name), float, least=1e-9)
    return one


_MAY_BE_ZERO: Final = (
    "match_spread", "start", "part", "row", "publish", "evaluation", "checkpoint",
)  # fmt: skip


def _check(origin: str, name: str, value: Any, kind: type, least: float | None = None) -> None:
    if kind is str:
        if not isinstance(value, str):
            raise FileFormatError(f"{origin}: {name}", got=value, expected="text", remedy=_AGAIN)
        return
    least = least or (0.0 if name in _MAY_BE_ZERO else 1e-9)
    is_number = isinstance(value, int if kind is int else int | float)
    if not is_number or isinstance(value, bool) or not least <= value < math.inf:
        expected = "a number above 0" if least else "a number of at least 0"
        raise FileFormatError(f"{origin}: {name}", got=value, expected=expected, remedy=_AGAIN)


def read_report(path: Path) -> dict[str, Any]:
    """Read the JSON object that `sparring plan --json` or `sparring bench --json` printed.

    Raises `FileFormatError` if the file is not one.
    """
    try:
        with open(path, "rb", opener=without_waiting) as file:
            data = file.read(_MAX_JSON + 1)
        report = json.loads(data)
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise FileFormatError(
            f"{path} is not JSON",
            expected="the output of `sparring plan --json` or `sparring bench --json`",
        ) from None
    if not isinstance(report, dict) or not ("figures" in report or "machine" in report):
        raise FileFormatError(
            f"{path} holds no figures",
            expected="the output of `sparring plan --json` or `sparring bench --json`",
        )
    return report


def figures_of(report: Mapping[str, Any], origin: str, config: TrainConfig) -> Figures:
    """The figures in a report of `sparring plan` or `sparring bench`.

    Raises `FileFormatError` if they are of another game, or incomplete.
    """
    if "figures" in report:
        values = report["figures"]
        if not isinstance(values, dict):
            raise FileFormatError(f"{origin}: figures", got=values, remedy=_AGAIN)
        figures = Figures.from_json(values, origin)
    else:
        from sparring.plan.benchmark import figures_of_benchmark

        figures = figures_of_benchmark(report, origin, config)
    name = spec_of(config.game).name
    if figures.game != name:
        raise FileFormatError(f"{origin} is of another game", got=figures.game, expected=name)
    return figures
