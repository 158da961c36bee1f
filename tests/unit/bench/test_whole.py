from __future__ import annotations

from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from sparring.bench import whole
from sparring.bench.measure import Settings
from sparring.bench.sessions import Pace
from sparring.bench.whole import useful_threads


def pace(plies_per_s: float, *, updates: int = 10, waited: float = 0.0) -> Pace:
    return Pace(
        seconds=2.0,
        plies=int(2 * plies_per_s),
        episodes=60,
        updates=updates,
        played=1.0,
        waited=waited,
        workers=1,
        main_share=0.5,
    )


def test_cases_of_a_workload(monkeypatch: pytest.MonkeyPatch) -> None:
    """async has the higher median, but overlap the higher share of its own limit: in async's turns
    the cores were faster.
    """
    monkeypatch.setattr(whole, "available_cpus", lambda: 2)
    sessions: Any = dict.fromkeys(
        whole.MODES, SimpleNamespace(config=SimpleNamespace(num_workers=1, learner_threads=1))
    )
    paces = {
        "sync": [pace(50.0), pace(60.0), pace(40.0)],
        "overlap": [pace(80.0, waited=0.5), pace(78.0), pace(90.0)],
        "async": [pace(84.0), pace(85.0), pace(70.0)],
    }
    limits = {"sync": [100.0] * 3, "overlap": [100.0] * 3, "async": [120.0] * 3}
    cases = whole._workload_cases("ludo", sessions, paces, limits)
    assert list(cases) == [
        "ludo_sync",
        "ludo_overlap",
        "ludo_async",
        "ludo_best",
        "ludo_overlap_to_sync",
        "ludo_matches",
    ]
    assert (cases["ludo_best"].ratio, cases["ludo_best"].floor, cases["ludo_best"].also) == (
        0.8,
        0.75,
        {"mode": "overlap"},
    )
    assert cases["ludo_overlap_to_sync"].ratio == pytest.approx(1.6)  # of 1.6, 1.3 and 2.25
    assert cases["ludo_overlap"].also["learner_wait"] == 0.0
    assert cases["ludo_sync"].also["episodes_per_min"] == 1800.0
    assert (cases["ludo_matches"].limit, cases["ludo_matches"].reached) == (20_000.0, False)
    assert [name for name, one in cases.items() if one.floor is not None] == [
        "ludo_best",
        "ludo_overlap_to_sync",
        "ludo_matches",
    ]


def test_the_fastest_numbers_are_kept_and_the_others_are_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    speeds, closed = {(1, 1): 50.0, (2, 1): 70.0, (1, 2): 60.0}, []

    @contextmanager
    def open_session(options: Any) -> Any:
        hardware = options["num_workers"], options["learner_threads"]
        yield SimpleNamespace(
            hardware=hardware,
            warm_up=lambda seconds: None,
            slice=lambda seconds: pace(speeds[hardware]),
        )
        closed.append(hardware)

    monkeypatch.setattr(whole, "available_cpus", lambda: 2)
    monkeypatch.setattr(whole, "open_session", open_session)
    with ExitStack() as stack:
        chosen: Any = whole.fastest(Settings(), stack, "ludo", {"mode": "overlap"}, (1, 2))
        assert chosen.hardware == (2, 1)
        assert closed == [(1, 1), (1, 2)]
    assert closed == [(1, 1), (1, 2), (2, 1)]


@pytest.mark.parametrize(
    ("cpus", "mode", "threads", "tried"),
    [
        (2, "sync", (1, 2), [(2, 1), (2, 2)]),
        (2, "async", (1, 2), [(1, 1), (2, 1), (1, 2)]),
        (2, "overlap", (1,), [(1, 1), (2, 1)]),
        (1, "sync", (1,), [(1, 1)]),
        (1, "overlap", (1,), [(1, 1)]),
        (16, "sync", (1, 2), [(16, 1), (16, 2)]),
        (16, "overlap", (1, 2), [(15, 1), (16, 1), (15, 2)]),
    ],
)
def test_numbers_that_are_tried(
    cpus: int,
    mode: str,
    threads: tuple[int, ...],
    tried: list[tuple[int, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(whole, "available_cpus", lambda: cpus)
    assert [
        (one["num_workers"], one["learner_threads"]) for one in whole._candidates(mode, threads)
    ] == tried


def test_more_threads_are_tried_where_they_help_at_all() -> None:
    assert useful_threads({1: 100.0, 2: 111.0}) == (1, 2)
    assert useful_threads({1: 100.0, 2: 109.0}) == (1,)
    assert useful_threads({1: 100.0}) == (1,)


def test_equal_work_is_found_in_two_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker took 1 s for 1,000 plies, the learner 1.5 s for 3 updates of 256, and in the
    second trial 1.8 s.
    """
    paces, asked = [pace(500.0, updates=3, waited=0.5), pace(500.0, updates=3, waited=0.2)], []

    @contextmanager
    def open_session(options: Any) -> Any:
        assert options["mode"] == "overlap"
        asked.append(options["samples_per_insert"])
        yield SimpleNamespace(warm_up=lambda seconds: None, slice=lambda seconds: paces.pop(0))

    monkeypatch.setattr(whole, "open_session", open_session)
    assert whole._equal_share(Settings(), {"batch_size": 256}) == pytest.approx(256 * 0.001 / 0.6)
    assert asked == [1.0, pytest.approx(256 * 0.001 / 0.5)]
