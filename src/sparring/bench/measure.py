"""Measurements in turns, and the cases that they give.

The sides of a comparison take turns, A B A B ..., in slices of about a second, so that all of them
see the same machine, however busy it is. The ratio of a case is the median over the turns of the
ratio within each turn: a disturbance of one turn affects both of its sides and cancels, while the
ratio of two medians would compare slices that were measured at different times.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Side = Callable[[], float]  # measures one slice and returns its rate
Figures = Mapping[str, Any]

# of a slice, between two readings of the clock, which take as long as some of the shortest steps
_BURST: Final = 0.05


@dataclass(frozen=True)
class Settings:
    """`seconds` is the length of a slice, `slices` their number for each side; `say` shows the
    current step, `note` prints a remark.
    """

    seconds: float = 1.0
    slices: int = 5
    say: Callable[[str], None] = lambda text: None
    note: Callable[[str], None] = lambda text: None

    def shorter(self, share: float) -> Settings:
        """The same with slices of this share of the length, for steps that take microseconds."""
        return dataclasses.replace(self, seconds=self.seconds * share)


@dataclass(frozen=True)
class Case:
    """One line of the report: medians over the slices, and the smallest and largest rate.

    `ratio` is `rate / limit`, or `limit / rate` where less is better (times, memory), so that it
    has to reach its `floor` in every case. `limit` and `ratio` are None where nothing bounds the
    case, `floor` where it only informs. `also` holds further figures: plain numbers and words.
    """

    rate: float
    unit: str
    spread: tuple[float, float]
    runs: int
    limit: float | None = None
    ratio: float | None = None
    floor: float | None = None
    also: Figures = field(default_factory=dict)

    @property
    def reached(self) -> bool:
        """Return whether the floor is reached, if there is one."""
        return self.floor is None or (self.ratio is not None and self.ratio >= self.floor)

    def to_json(self) -> dict[str, Any]:
        """The case as plain values, rounded to significant figures."""
        figures = {
            "rate": rounded(self.rate),
            "limit": None if self.limit is None else rounded(self.limit),
            "ratio": None if self.ratio is None else rounded(self.ratio),
            "floor": self.floor,
            "unit": self.unit,
            "spread": [rounded(bound) for bound in self.spread],
            "runs": self.runs,
        }
        return (
            {**figures, "also": {name: rounded(value) for name, value in self.also.items()}}
            if self.also
            else figures
        )


Cases = dict[str, Case]


def rounded(value: Any) -> Any:
    """A number with four significant figures, or all digits before the point; other values
    unchanged.
    """
    if not isinstance(value, float) or value == 0.0 or not math.isfinite(value):
        return value
    digits = 3 - math.floor(math.log10(abs(value)))
    return round(value, digits) if digits > 0 else round(value)


def repeated(
    step: Callable[[], int], seconds: float, clock: Callable[[], float] = time.thread_time
) -> Side:
    """The side that calls `step`, which returns the amount of work done, for `seconds`; rates are
    per second.

    By default seconds are of this thread's processor time, which other programs disturb less than
    the clock; a step that waits, or works on several threads, needs `time.perf_counter`. The first
    call, with its compilation and cold caches, is made here.
    """
    step()

    def side() -> float:
        done, calls, burst, begun = 0, 0, 1, clock()
        while True:
            for _ in range(burst):
                done += step()
            calls += burst
            spent = clock() - begun
            if spent >= seconds:
                return done / spent
            burst = max(1, min(calls, int(_BURST * seconds * calls / max(spent, 1e-9))))

    return side


def turns(sides: Mapping[str, Side], slices: int) -> dict[str, list[float]]:
    """The rates of all sides, in order of the turns; every side is measured once a turn, in the
    given order.
    """
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(slices):
        for name, side in sides.items():
            rates[name].append(side())
    return rates


def case(
    rates: Sequence[float],
    unit: str,
    *,
    limits: Sequence[float] | float | None = None,
    floor: float | None = None,
    less_is_better: bool = False,
    also: Figures | None = None,
) -> Case:
    """The case of one side's `rates`, by turn; `limits` are those of the same turns, or one number
    that was not measured.
    """
    bounds = [limits] * len(rates) if isinstance(limits, int | float) else limits
    ratio = None
    if bounds is not None:
        pairs = (
            zip(bounds, rates, strict=True) if less_is_better else zip(rates, bounds, strict=True)
        )
        # A cost within the noise can come out as 0 or less; that is within any limit.
        ratio = statistics.median(
            above / below if below > 0 else math.inf for above, below in pairs
        )
        ratio = min(ratio, 1e6)  # JSON has no infinity
    return Case(
        rate=statistics.median(rates),
        unit=unit,
        spread=(min(rates), max(rates)),
        runs=len(rates),
        limit=None if bounds is None else statistics.median(bounds),
        ratio=ratio,
        floor=floor,
        also=also or {},
    )


def compared(
    settings: Settings,
    work: Callable[[], int],
    bare: Callable[[], int],
    unit: str,
    *,
    floor: float | None = None,
) -> Case:
    """The case of one step of work and the bare one that bounds it, in turns on this thread."""
    sides = {"work": repeated(work, settings.seconds), "bare": repeated(bare, settings.seconds)}
    rates = turns(sides, settings.slices)
    return case(rates["work"], unit, limits=rates["bare"], floor=floor)
