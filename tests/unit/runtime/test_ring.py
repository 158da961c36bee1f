"""The ring against a list: whatever is written is seen, once, in order and in place, for every size
and rhythm.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest
from child_processes import HANG
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sparring.runtime.shared_memory import Ring

DTYPE = np.dtype([("number", np.int64), ("flag", np.int8), ("pair", np.float32, (2,))], align=True)


def ring_pair(capacity: int) -> tuple[Ring, Ring]:
    """The writer's and the reader's view of one memory."""
    memory = np.zeros(Ring.bytes_needed(DTYPE, capacity), np.uint8)
    return Ring(memory, DTYPE, capacity), Ring(memory, DTYPE, capacity)


def rows(first: int, count: int) -> NDArray[Any]:
    made = np.zeros(count, DTYPE)
    made["number"] = np.arange(first, first + count)
    made["flag"] = made["number"] % 100
    made["pair"] = made["number"][:, None] + [0.25, 0.5]
    return made


def assert_rows(pieces: list[NDArray[Any]], first: int, count: int) -> None:
    joined = np.concatenate([np.empty(0, DTYPE), *pieces])
    wanted = rows(first, count)
    for name in DTYPE.names:
        np.testing.assert_array_equal(joined[name], wanted[name])


def never_full(written: int) -> None:
    raise AssertionError(f"the ring was full when {written} rows were written")


def wait_for(told: list[int], number: int) -> None:
    """Until the writer has said that it waits for room; then whatever it may do wrong while it
    waits gets the time to happen.
    """
    deadline = time.monotonic() + HANG
    while told[-1:] != [number]:
        assert time.monotonic() < deadline, f"told of {told}, not of {number}"
        time.sleep(0.001)
    time.sleep(0.02)


@given(
    capacity=st.integers(1, 40),
    sizes=st.lists(st.integers(0, 100), max_size=12),
    kept=st.lists(st.integers(0, 40), min_size=1, max_size=5),
)
def test_all_rows_are_read_once_and_in_order(
    capacity: int, sizes: list[int], kept: list[int]
) -> None:
    """Of what is there, the reader keeps some rows where they are each time, as one does who has
    not yet finished with them.
    """
    writer, reader = ring_pair(capacity)
    seen, freed, looks = 0, 0, 0

    def look(written: int) -> None:
        nonlocal seen, freed, looks
        assert written - freed <= capacity, "the writer has overwritten rows that were not free"
        pieces = reader.rows(seen, written)
        assert len(pieces) <= 2
        assert_rows(pieces, seen, written - seen)
        assert_rows(reader.rows(freed, seen), freed, seen - freed)  # as they were
        seen, looks = written, looks + 1
        freed = max(
            freed, written - min(kept[looks % len(kept)], capacity - 1)
        )  # a full ring must get some room
        reader.free(freed)

    def is_full(written: int) -> None:
        assert written - freed == capacity
        look(written)

    total = 0
    for size in sizes:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                "sparring.runtime.shared_memory._FULL_NAP", 0.0
            )  # there is room again as soon as it was told
            writer.write(rows(total, size), is_full)
        total += size
        assert writer.written == total
        if size % 2:  # the end of a round
            look(total)
    look(total)
    assert reader.rows(total, total) == []


def test_wraps_around_in_two_pieces() -> None:
    writer, reader = ring_pair(5)
    writer.write(rows(0, 3), never_full)
    reader.free(3)
    writer.write(rows(3, 4), never_full)
    pieces = reader.rows(3, 7)
    assert [len(piece) for piece in pieces] == [2, 2]
    assert_rows(pieces, 3, 4)
    assert [len(piece) for piece in reader.rows(3, 5)] == [2], "up to the edge"
    assert [len(piece) for piece in reader.rows(5, 7)] == [2], "from the edge"


def test_a_full_ring_is_read_completely_wherever_it_begins() -> None:
    for before in range(6):
        writer, reader = ring_pair(5)
        writer.write(rows(0, before), lambda written, free=reader.free: free(written))
        reader.free(before)
        writer.write(rows(before, 5), never_full)
        pieces = reader.rows(before, before + 5)
        assert len(pieces) == (1 if before % 5 == 0 else 2)
        assert_rows(pieces, before, 5)


def test_rows_stay_in_the_ring_until_they_are_freed() -> None:
    writer, reader = ring_pair(4)
    writer.write(rows(0, 3), never_full)
    [piece] = reader.rows(0, 3)
    reader.free(1)
    writer.write(rows(50, 2), never_full)
    assert_rows([piece[1:]], 1, 2)
    assert piece[0] == rows(51, 1)[0], "its room was given back"


def test_rows_that_were_freed_stay_free() -> None:
    """A part is freed after one that came later: only its own end counts."""
    writer, reader = ring_pair(4)
    writer.write(rows(0, 4), never_full)
    reader.free(4)
    reader.free(2)
    writer.write(rows(4, 4), never_full)
    assert_rows(reader.rows(4, 8), 4, 4)


def test_a_full_ring_is_reported_once_and_its_writer_waits() -> None:
    writer, reader = ring_pair(4)
    told: list[int] = []
    thread = threading.Thread(target=writer.write, args=(rows(0, 10), told.append), daemon=True)
    thread.start()
    for full_at, free in ((4, 1), (5, 4), (8, 8)):
        wait_for(told, full_at)
        assert thread.is_alive()
        assert_rows(reader.rows(full_at - 4, full_at), full_at - 4, 4)
        reader.free(free)
    thread.join(HANG)
    assert not thread.is_alive()
    assert told == [4, 5, 8]
    assert_rows(reader.rows(8, 10), 8, 2)


def test_a_writer_in_another_thread() -> None:
    writer, reader = ring_pair(7)
    newest = [0]
    total = 5_000

    def write() -> None:
        sizes = np.random.default_rng(1)
        done = 0
        while done < total:
            size = min(int(sizes.integers(1, 20)), total - done)
            writer.write(rows(done, size), lambda written: newest.__setitem__(0, written))
            done += size
            newest[0] = done

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    received: list[NDArray[Any]] = []
    seen = 0
    deadline = time.monotonic() + HANG
    while seen < total and time.monotonic() < deadline:
        end = newest[0]
        received += [piece.copy() for piece in reader.rows(seen, end)]
        reader.free(end)
        seen = end
        time.sleep(0)
    thread.join(HANG)
    assert_rows(received, 0, total)
