"""The times of checkpoints, with a clock that is set by hand."""

from __future__ import annotations

from sparring.training.loop import Saves


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_first_checkpoint_comes_soon_and_later_ones_by_the_clock() -> None:
    """Ten minutes: the first after 30 s, the next ten minutes after it, without any update."""
    clock = Clock()
    saves = Saves(5_000, 600.0, clock)
    due = []
    for second in range(0, 2_000, 10):
        clock.now = float(second)
        if saves.due(0):
            due.append(second)
            saves.saved(0)
    assert due == [30, 630, 1230, 1830]


def test_updates_make_a_checkpoint_due_before_the_time_is_over() -> None:
    saves = Saves(100, 600.0, Clock())
    assert [updates for updates in (0, 99, 100, 250) if saves.due(updates)] == [100, 250]
    saves.saved(250)
    assert not saves.due(299)
    assert saves.due(300)


def test_a_resumed_run_waits_for_the_whole_time() -> None:
    clock = Clock()
    saves = Saves(100, 600.0, clock)
    saves.saved(50)
    clock.now = 599.0
    assert not saves.due(50)
    clock.now = 600.0
    assert saves.due(50)
