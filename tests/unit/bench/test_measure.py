from __future__ import annotations

import json
import math
from collections.abc import Callable

import pytest

from sparring.bench.measure import Case, Settings, case, compared, repeated, rounded, turns


class Clock:
    """Time that passes only when somebody works."""

    def __init__(self) -> None:
        self.now = 0.0
        self.looks = 0

    def __call__(self) -> float:
        self.looks += 1
        return self.now

    def work(self, seconds: float, done: int = 1) -> Callable[[], int]:
        def step() -> int:
            self.now += seconds
            return done

        return step


def test_sides_take_turns() -> None:
    order: list[str] = []

    def side(name: str) -> Callable[[], float]:
        def measured() -> float:
            order.append(name)
            return float(len(order))

        return measured

    rates = turns({"a": side("a"), "b": side("b")}, 3)
    assert order == ["a", "b", "a", "b", "a", "b"]
    assert rates == {"a": [1.0, 3.0, 5.0], "b": [2.0, 4.0, 6.0]}


def test_a_ratio_is_the_median_over_turns_and_not_the_ratio_of_medians() -> None:
    """In the second turn the whole machine was half as fast, in the third only the limit was."""
    one = case([80.0, 40.0, 90.0], "plies/s", limits=[100.0, 50.0, 60.0], floor=0.8)
    assert (one.rate, one.limit, one.spread, one.runs) == (80.0, 60.0, (40.0, 90.0), 3)
    assert one.ratio == 0.8  # of 0.8, 0.8 and 1.5; the medians would say 80 / 60
    assert one.reached


def test_where_less_is_better_the_ratio_is_turned_over() -> None:
    one = case([30.0, 20.0, 50.0], "us", limits=40.0, floor=1.0, less_is_better=True)
    assert (one.rate, one.limit, one.ratio) == (30.0, 40.0, 40.0 / 30.0)
    assert one.reached
    assert not case([41.0], "us", limits=40.0, floor=1.0, less_is_better=True).reached


def test_a_cost_that_is_lost_in_the_noise_is_within_any_limit() -> None:
    one = case([-1.0, 0.0, 0.5], "us", limits=40.0, floor=1.0, less_is_better=True)
    assert one.reached
    assert json.dumps(one.to_json(), allow_nan=False)


def test_a_case_without_a_limit_only_informs() -> None:
    one = case([3.0, 1.0, 2.0], "plies/s")
    assert (one.limit, one.ratio, one.floor) == (None, None, None)
    assert one.reached


def test_turns_without_a_partner_are_a_mistake() -> None:
    with pytest.raises(ValueError):
        case([1.0, 2.0], "plies/s", limits=[1.0])


def test_json() -> None:
    one = Case(
        123456.7,
        "plies/s",
        (1.23456, 200000.0),
        5,
        limit=0.000123456,
        ratio=0.98765,
        floor=0.9,
        also={"mode": "sync", "wait": 0.1239},
    )
    assert one.to_json() == {
        "rate": 123457, "limit": 0.0001235, "ratio": 0.9877, "floor": 0.9,
        "unit": "plies/s", "spread": [1.235, 200000], "runs": 5,
        "also": {"mode": "sync", "wait": 0.1239},
    }  # fmt: skip
    assert set(case([1.0], "s").to_json()) == {
        "rate",
        "limit",
        "ratio",
        "floor",
        "unit",
        "spread",
        "runs",
    }


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (12345.6, 12346),
        (1234.4, 1234),
        (999.96, 1000.0),
        (0.5, 0.5),
        (0.0, 0.0),
        (-1.23456, -1.235),
        (7, 7),
        ("a", "a"),
    ],
)
def test_rounded(value: object, kept: object) -> None:
    assert rounded(value) == kept


def test_a_slice_lasts_as_long_as_it_should_whatever_a_step_takes() -> None:
    for seconds, done in ((0.0001, 3), (0.01, 3), (0.3, 3), (7.0, 3)):
        clock = Clock()
        side = repeated(clock.work(seconds, done), 1.0, clock)
        begun = clock.now
        assert side() == pytest.approx(done / seconds)
        assert 1.0 <= clock.now - begun <= max(1.06, 1.0 + seconds)


def test_short_steps_are_not_measured_by_looking_at_the_clock() -> None:
    clock = Clock()
    side = repeated(clock.work(1e-6), 1.0, clock)
    clock.looks = 0
    side()
    assert clock.looks < 60  # for a million steps


def test_the_first_step_is_made_before_anything_is_measured() -> None:
    clock, delays = Clock(), [50.0]

    def step() -> int:
        clock.now += delays.pop() if delays else 0.1
        return 1

    assert repeated(step, 1.0, clock)() == pytest.approx(10.0)


def test_compared() -> None:
    """The real clock: work of twice the steps is about half as fast, and what counts is that both
    were measured as often.
    """

    def bare() -> int:
        return sum(range(2000)) and 1

    one = compared(
        Settings(seconds=0.001, slices=3), lambda: bare() and bare(), bare, "steps/s", floor=0.0
    )
    assert one.runs == 3
    assert one.ratio is not None
    assert math.isfinite(one.ratio)


def test_shorter_slices() -> None:
    said: list[str] = []
    settings = Settings(2.0, 5, say=said.append).shorter(0.25)
    settings.say("x")
    assert (settings.seconds, settings.slices, said) == (0.5, 5, ["x"])
