"""Parts of workers that run freely: their order, their rows until they are released, and parts of
workers that die.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from child_processes import wait_until
from trial_workers import (
    SELF,
    assert_part,
    assert_same_batch,
    assert_same_rows,
    command,
    expected,
    inline_workers,
    process_of,
    process_workers,
    rows_of,
    vector,
)

from sparring.runtime import Batch, ProcessWorkers, Workers

LONG = 300  # matches: far more transitions than a ring of a few matches holds


def finished(workers: ProcessWorkers) -> list[int]:
    """The number of finished parts of each worker."""
    workers.poll()
    return [len(handle.finished) for handle in workers._handles]


def received(workers: Workers, count: int) -> Iterator[Batch]:
    """So many parts, each released before the next."""
    for _ in range(count):
        batch = workers.finish_any()
        yield batch
        batch.release()


# Which comes first.


@pytest.mark.parametrize("workers_of", [process_workers, inline_workers])
def test_the_part_of_the_earliest_round_comes_first(workers_of: Any) -> None:
    """Whichever worker played it; all second parts are ready as well."""
    with workers_of(3) as workers:
        for number, worker in enumerate((2, 0, 1, 1, 2, 0)):
            workers.start(worker, command(number))
        if isinstance(workers, ProcessWorkers):
            wait_until(lambda: finished(workers) == [2, 2, 2])
        got = [(batch.round, *batch.in_use) for batch in received(workers, 6)]
    assert got == [(0, 2), (1, 0), (2, 1), (3, 1), (4, 2), (5, 0)]


def test_a_slow_worker_does_not_delay_the_others() -> None:
    with process_workers() as workers:
        os.kill(process_of(0).pid, signal.SIGSTOP)
        workers.start(0, command(0))
        for number in (1, 2):
            workers.start(1, command(number))
        assert [batch.round for batch in received(workers, 2)] == [1, 2]
        os.kill(process_of(0).pid, signal.SIGCONT)
        assert [batch.round for batch in received(workers, 1)] == [0]


def test_parts_are_those_of_inline() -> None:
    orders = [
        command(0),
        command(1, plan=SELF),
        command(2, version=1),
        command(3, version=1, epsilon=0.9),
    ]
    with process_workers() as workers, inline_workers() as inline:
        for both in (workers, inline):
            for number, order in enumerate(orders):
                both.start(number % 2, order)
        wait_until(lambda: finished(workers) == [2, 2])
        for batch, wanted in zip(received(workers, 4), received(inline, 4), strict=True):
            assert_same_batch(batch, wanted)
            assert len(batch.results) > 0


def test_commands_may_name_any_version_that_is_published() -> None:
    with process_workers(1, num_versions=4) as workers, inline_workers(1, num_versions=4) as inline:
        played = []
        for both in (workers, inline):
            for version in range(4, 7):
                both.weights.publish(version, vector(version))
        for number, version in enumerate((5, 3, 6, 4)):
            for both in (workers, inline):
                both.start(0, command(number, version=version, epsilon=0.0))
            batch = workers.finish_any()
            assert_same_batch(batch, inline.finish_any())
            played.append(int(rows_of(batch)["version"].max()))
            batch.release()
    assert played == [5, 5, 6, 6], "the last decisions of matches that an earlier part began"


def test_there_is_a_warning_of_a_hung_worker_while_another_always_has_parts_ready(
    notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with process_workers(notify=notes.append) as workers:
        for worker in (0, 1):
            workers.start(worker, command(worker))
        for batch in received(workers, 2):
            assert batch.results.size
        # only now: to start may take longer
        monkeypatch.setattr("sparring.runtime.watch.WARN_AFTER", 0.3)
        os.kill(process_of(0).pid, signal.SIGSTOP)
        workers.start(0, command(2))
        number = 3
        while not notes:
            workers.start(1, command(number))
            wait_until(lambda: finished(workers)[1] == 1)
            assert [batch.round for batch in received(workers, 1)] == [number]
            number += 1
        os.kill(process_of(0).pid, signal.SIGCONT)
        assert [batch.round for batch in received(workers, 1)] == [2]
    assert notes[0].startswith("worker 0 has made no ply for 0 s")


# Rows until they are released.


def test_rows_are_read_in_the_ring_and_freed_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Twenty parts go through a ring that holds one or two of them, and no row is ever copied."""
    monkeypatch.setattr(
        "sparring.runtime.handle.copies", lambda blocks: pytest.fail("rows were copied")
    )
    orders = [command(number) for number in range(20)]
    wanted = expected([0] * 20, orders)
    with process_workers(1) as workers:
        for number in range(20):
            workers.start(0, orders[number])
            batch = workers.finish_any()
            assert all(
                np.shares_memory(block, workers._handles[0].ring._rows) for block in batch.blocks
            )
            assert_part(batch, [wanted[number]])
            batch.release()
    assert sum(len(rows) for rows, _ in wanted) > 5 * 280, "the ring was filled several times"


def test_a_batch_that_is_kept_needs_no_ring() -> None:
    orders = [command(number) for number in range(4)]
    wanted = expected([0] * 4, orders)
    with process_workers(1) as workers:
        kept = []
        for order in orders:
            workers.start(0, order)
            kept.append(workers.finish_any().kept())
            assert not any(
                np.shares_memory(block, workers._handles[0].ring._rows) for block in kept[-1].blocks
            )
            assert int(workers._handles[0].ring._consumed[0]) == sum(
                batch.transitions for batch in kept
            ), "they are freed in the ring"
        for batch, part in zip(kept, wanted, strict=True):
            assert_part(batch, [part])
            assert_part(Batch.from_state(batch.get_state()), [part])


def start_first(workers: ProcessWorkers, order: Any) -> None:
    """Until it is finished, with all its rows in the ring."""
    workers.start(0, order)
    wait_until(lambda: finished(workers) == [1])
    [part] = workers._handles[0].finished
    assert part.begin < part.end
    assert part.copied == []


def wait_for_a_full_ring(workers: ProcessWorkers) -> None:
    """Until rows of the part in flight had to leave it."""
    wait_until(lambda: bool(workers.poll() or workers._handles[0].copied))


def assert_left_the_ring(workers: ProcessWorkers) -> None:
    [part] = workers._handles[0].finished
    assert part.begin == part.end
    assert part.copied


def assert_two(workers: ProcessWorkers, incarnations: Sequence[int], orders: Sequence[Any]) -> None:
    for batch, part in zip(received(workers, 2), expected(incarnations, orders), strict=True):
        assert_part(batch, [part])


def test_a_finished_part_stays_as_it_is_while_its_worker_fills_the_ring() -> None:
    """It is received after the ring was filled many times."""
    orders = [command(0, episodes=5), command(1, episodes=LONG)]
    with process_workers(1, episodes=5) as workers:
        start_first(workers, orders[0])
        workers.start(0, orders[1])
        wait_until(lambda: finished(workers) == [2])
        assert_two(workers, [0, 0], orders)


def test_a_part_that_lies_partly_in_copies_and_partly_in_the_ring() -> None:
    """The first part leaves the ring; the second lies partly in copies, partly in the ring, where
    it is not overwritten.
    """
    orders = [command(0, episodes=5), command(1, episodes=LONG), command(2, episodes=5)]
    wanted = expected([0] * 3, orders)
    with process_workers(1, episodes=5) as workers:
        start_first(workers, orders[0])
        workers.start(0, orders[1])
        wait_for_a_full_ring(workers)
        assert_left_the_ring(workers)
        for batch in received(workers, 1):
            assert_part(batch, [wanted[0]])
        workers.start(0, orders[2])
        wait_until(lambda: finished(workers) == [2])
        for batch, part in zip(received(workers, 2), wanted[1:], strict=True):
            assert_part(batch, [part])


def test_rows_that_were_copied_out_of_the_ring_outlive_the_next_parts() -> None:
    orders = [command(0, episodes=5), command(1, episodes=LONG)]
    with process_workers(1, episodes=5) as workers:
        start_first(workers, orders[0])
        workers.start(0, orders[1])
        wait_for_a_full_ring(workers)
        first = workers.finish_any()
        before = rows_of(first)
        first.release()
        workers.finish_any().release()
        assert_same_rows(rows_of(first), before)


# A worker that dies.


def test_a_finished_part_outlives_its_worker_and_the_ring_of_its_successor() -> None:
    """Its rows lie in the ring of the dead worker, while the successor fills its own many times."""
    orders = [command(0, episodes=5), command(1, episodes=LONG)]
    with process_workers(1, episodes=5) as workers:
        start_first(workers, orders[0])
        process_of(0).kill()
        process_of(0).join()
        workers.start(0, orders[1])
        wait_for_a_full_ring(workers)
        assert workers.replaced == 1
        assert_left_the_ring(workers)
        wait_until(lambda: finished(workers) == [2])
        assert_two(workers, [0, 1], orders)


def test_a_finished_part_that_had_left_the_ring_of_a_worker_that_dies() -> None:
    orders = [command(0, episodes=5), command(1, episodes=LONG)]
    with process_workers(1, episodes=5) as workers:
        start_first(workers, orders[0])
        workers.start(0, orders[1])
        wait_for_a_full_ring(workers)
        assert_left_the_ring(workers)
        process_of(0).kill()
        assert_two(workers, [0, 1], orders)
        assert workers.replaced == 1


def test_a_finished_part_in_the_ring_of_a_worker_that_dies(notes: list[str]) -> None:
    """It is not played again; the successor has a ring of its own, and the old one is no longer
    used.
    """
    orders = [command(number) for number in range(4)]
    with process_workers(1, notify=notes.append) as workers:
        start_first(workers, orders[0])
        process_of(0).kill()
        wait_until(lambda: bool(workers.poll() or notes))
        parts = expected([0, 1, 1, 1], orders)
        workers.start(0, orders[1])
        for number in range(4):
            assert workers.replaced == 1
            for batch in received(workers, 1):
                assert_part(batch, [parts[number]])
            if number < 2:
                workers.start(0, orders[number + 2])


def test_the_parts_of_a_dead_worker_are_played_again_by_its_successor(notes: list[str]) -> None:
    """Both that it had, in their order, and no others."""
    orders = {0: [command(0), command(2)], 1: [command(1), command(3, plan=SELF)]}
    with process_workers(notify=notes.append) as workers:
        process_of(1).kill()
        process_of(1).join()
        for number in range(4):
            workers.start(number % 2, orders[number % 2][number // 2])
        parts = {0: expected([0, 0], orders[0], worker=0), 1: expected([1, 1], orders[1], worker=1)}
        for batch in received(workers, 4):
            [worker] = batch.in_use
            assert_part(batch, [parts[worker].pop(0)], first=worker)
    assert parts == {0: [], 1: []}
    assert notes == ["worker 1 failed and is replaced: ended by signal 9"]


@pytest.mark.usefixtures("tiny_ring")
def test_killed_in_the_middle_of_a_part_while_the_other_worker_goes_on(notes: list[str]) -> None:
    long = command(0, episodes=LONG)
    others = [command(number) for number in (1, 2, 3)]
    with process_workers(notify=notes.append) as workers:
        workers.start(0, long)
        wait_until(lambda: bool(workers.poll() or workers._handles[0].copied))
        process_of(0).kill()
        got: dict[int, Batch] = {}
        for order in others:
            workers.start(1, order)
            wait_until(lambda: finished(workers)[1] == 1)
            batch = workers.finish_any().kept()
            got[batch.round] = batch
        while len(got) < 4:
            batch = workers.finish_any().kept()
            got[batch.round] = batch
    assert_part(got[0], expected([1], [long]))
    for number, part in zip((1, 2, 3), expected([0] * 3, others, worker=1), strict=True):
        assert_part(got[number], [part], first=1)
    assert notes == ["worker 0 failed and is replaced: ended by signal 9"]
