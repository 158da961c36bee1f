"""The simulation against closed forms, and what has to hold whatever the numbers are."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparring.plan.clock import Clock, Link, Process, Queue
from sparring.plan.simulation import Pause, Run, simulate, variation


def run(**changes: Any) -> Run:
    """One worker whose part takes 1 s, and 10 updates of 0.05 s a round, on cores enough."""
    plain: dict[str, Any] = {
        "mode": "overlap",
        "workers": 1,
        "cores": 1e6,
        "play": 1.0,
        "updates": 10.0,
        "update": 0.05,
    }
    return Run(**{**plain, **changes})


def rate(rounds: int = 20, **changes: Any) -> float:
    return simulate(run(**changes), rounds).parts_per_s


def test_sync_plays_and_then_learns() -> None:
    found = simulate(run(mode="sync"), 20)
    assert found.parts_per_s == pytest.approx(1 / 1.5)
    assert found.updates_per_s == pytest.approx(10 / 1.5)
    assert found.playing == pytest.approx(1 / 1.5)
    assert found.main["update"] == pytest.approx(0.5 / 1.5)


@pytest.mark.parametrize("mode", ["overlap", "async"])
@pytest.mark.parametrize(("update", "seconds"), [(0.05, 1.0), (0.3, 3.0)])
def test_otherwise_the_slower_of_play_and_learning_decides(
    mode: str, update: float, seconds: float
) -> None:
    assert rate(mode=mode, update=update) == pytest.approx(1 / seconds)


def test_what_the_main_process_does_adds_up() -> None:
    costs = {"update": 0.1, "receive": 0.4, "publish": 0.2}
    found = simulate(run(**costs), 20)
    assert found.parts_per_s == pytest.approx(1 / 1.6)
    assert found.main == pytest.approx(
        {"update": 1 / 1.6, "receive": 0.4 / 1.6, "publish": 0.2 / 1.6, "pause": 0.0}
    )


def test_sync_waits_for_the_parts_of_all_workers_to_be_received() -> None:
    assert rate(mode="sync", workers=5, receive=0.1) == pytest.approx(5 / (1.0 + 0.5 + 0.5))


@pytest.mark.parametrize("mode", ["overlap", "async"])
def test_too_few_cores_are_shared(mode: str) -> None:
    """A round is 2 s of play and 0.5 s of learning with two threads, on two cores."""
    found = rate(mode=mode, workers=2, cores=2, threads=2)
    assert found == pytest.approx(2 / ((2.0 + 2 * 0.5) / 2), rel=0.02)


def test_cores_that_nobody_needs_change_nothing() -> None:
    assert rate(workers=3, cores=4) == rate(workers=3, cores=400)


@pytest.mark.parametrize("mode", ["sync", "overlap", "async"])
def test_a_saturated_link_carries_what_it_can(mode: str) -> None:
    found = simulate(run(mode=mode, workers=50, part_bytes=1e6, link_bytes_per_s=1e7), 10)
    assert found.parts_per_s <= 10.0 * (1 + 1e-9)
    if mode != "sync":
        assert found.parts_per_s == pytest.approx(10.0, rel=0.02)
        assert found.link == pytest.approx(1.0, rel=0.02)


def test_new_weights_pass_the_link_before_the_next_round_is_played() -> None:
    found = rate(mode="sync", weight_bytes=3e6, part_bytes=1e6, link_bytes_per_s=1e7)
    assert found == pytest.approx(1 / (1.0 + 0.1 + 0.5 + 0.3))


def test_a_round_ends_with_its_longest_part_but_in_async() -> None:
    spread = {"workers": 40, "spread": 0.2, "update": 0.001}
    means = {mode: rate(mode=mode, **spread) / 40 for mode in ("sync", "overlap", "async")}
    assert means["sync"] < means["overlap"] < means["async"]
    assert means["async"] == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize(("mode", "seconds"), [("sync", 1.5 + 0.4), ("overlap", 1.0 + 0.4)])
def test_a_checkpoint_waits_for_the_round_in_flight(mode: str, seconds: float) -> None:
    """In `overlap` the next round is played out first, which takes what learning left of it."""
    pause = Pause(0.4, updates=10, settles=True)
    assert rate(mode=mode, pauses=(pause,)) == pytest.approx(1 / seconds)


def test_pauses_come_after_updates_or_seconds() -> None:
    by_updates = simulate(run(pauses=(Pause(6.0, updates=20),)), 40)
    assert by_updates.main["pause"] == pytest.approx(6.0 / 7.0, rel=0.1)
    by_seconds = simulate(run(pauses=(Pause(1.0, seconds=9.5),)), 400)
    assert by_seconds.main["pause"] == pytest.approx(1.0 / 10.5, rel=0.1)


def test_overlap_hides_a_short_pause_behind_play() -> None:
    assert rate(pauses=(Pause(0.4, updates=10),)) == pytest.approx(1.0)


@pytest.mark.parametrize("mode", ["sync", "overlap", "async"])
def test_ten_thousand_workers_need_no_deep_stack(mode: str) -> None:
    free = {"play": 1.0, "updates": 0.0, "receive": 0.0}
    assert rate(rounds=1, mode=mode, workers=10_000, **free) == pytest.approx(10_000)


def test_equal_inputs_give_equal_outcomes() -> None:
    one = run(workers=7, cores=5, spread=0.3, part_bytes=10, link_bytes_per_s=100)
    assert simulate(one, 30) == simulate(dataclasses.replace(one), 30)


def test_variations_have_the_mean_and_the_spread_that_is_asked_for() -> None:
    found = [variation(worker, part, 0.2) for worker in range(50) for part in range(50)]
    mean = sum(found) / len(found)
    assert mean == pytest.approx(1.0, abs=0.005)
    assert sum((one - mean) ** 2 for one in found) / len(found) == pytest.approx(0.04, rel=0.05)
    assert min(variation(w, 0, 5.0) for w in range(50)) == 0.1


RUNS = st.builds(
    run,
    mode=st.sampled_from(["sync", "overlap"]),
    workers=st.integers(1, 6),
    cores=st.floats(7.0, 20.0),
    play=st.floats(0.1, 2.0),
    updates=st.floats(0.0, 30.0),
    update=st.floats(0.001, 0.1),
    receive=st.floats(0.0, 0.2),
    spread=st.floats(0.0, 0.3),
    part_bytes=st.floats(0.0, 100.0),
    link_bytes_per_s=st.floats(100.0, 1000.0),
)


@settings(deadline=None, max_examples=40)
@given(RUNS, st.floats(1.0, 3.0), st.sampled_from(["play", "update", "receive", "part_bytes"]))
def test_nothing_that_takes_longer_makes_a_run_faster(one: Run, times: float, what: str) -> None:
    slower = dataclasses.replace(one, **{what: times * getattr(one, what)})
    assert simulate(slower, 8).parts_per_s <= simulate(one, 8).parts_per_s * 1.02


@settings(deadline=None, max_examples=40)
@given(RUNS, st.integers(1, 6))
def test_further_workers_never_cost_updates(one: Run, more: int) -> None:
    """With as many updates for each part as before, the learner has at least as much to do."""
    workers = one.workers + more
    larger = dataclasses.replace(
        one, workers=workers, updates=one.updates * workers / one.workers, spread=0.0, cores=30.0
    )
    smaller = dataclasses.replace(one, spread=0.0, cores=30.0)
    assert simulate(larger, 8).parts_per_s >= simulate(smaller, 8).parts_per_s * 0.98


def test_jobs_share_cores_by_their_threads() -> None:
    """Jobs of 1 s with one thread and with two, on two cores: each runs at 2/3 of its speed until
    the shorter one is done.
    """
    clock, ends = Clock(2.0), {}

    def job(name: str, seconds: float, threads: float) -> Process:
        yield clock.work(seconds, threads)
        ends[name] = clock.now

    clock.start(job("short", 1.0, 1.0))
    clock.start(job("long", 2.0, 2.0))
    clock.run(lambda: False)
    assert ends == pytest.approx({"short": 1.5, "long": 2.5})


def test_a_link_carries_one_message_after_the_other() -> None:
    clock, ends = Clock(1.0), []
    link = Link(clock, 10.0)

    def send(size: float) -> Process:
        yield link.send(size)
        ends.append(clock.now)

    clock.start(send(20.0))
    clock.start(send(10.0))
    clock.run(lambda: False)
    assert ends == [2.0, 3.0]
    assert link.busy == 3.0


def test_a_queue_serves_in_order_of_asking() -> None:
    clock, queue, served = Clock(1.0), Queue(), []

    def take(name: str, wanted: int) -> Process:
        yield queue.take(wanted)
        served.append(name)

    clock.start(take("two", 2))
    clock.start(take("one", 1))
    queue.put()
    assert served == []
    queue.put()
    assert served == ["two"]
    queue.put()
    assert served == ["two", "one"]
