"""The ring against a list: whatever is written is read, once, in order, for every size and rhythm."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sparring.runtime.ring import Ring

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


@given(capacity=st.integers(1, 40), sizes=st.lists(st.integers(0, 100), max_size=12), rhythm=st.lists(st.booleans(), min_size=1))
def test_everything_written_is_read_once_and_in_order(capacity: int, sizes: list[int], rhythm: list[bool]) -> None:
    writer, reader = ring_pair(capacity)
    announced: list[int] = []
    received: list[NDArray[Any]] = []

    def announce(written: int) -> None:
        announced.append(written)
        unread = written - sum(map(len, received))
        assert unread <= capacity, "the writer has overwritten rows that were not read"
        if unread == capacity or rhythm[len(announced) % len(rhythm)]:  # a full ring must be read, or the writer waits for ever
            received.extend(reader.read(written))

    total = 0
    for size in sizes:
        writer.write(rows(total, size), announce)
        total += size
        assert (announced[-1] if announced else 0) == total, "whatever was written is announced"
    received += reader.read(total)
    assert_rows(received, 0, total)
    assert reader.read(total) == [], "nothing is read twice"


def test_wraps_around_in_two_pieces() -> None:
    writer, reader = ring_pair(5)
    announced: list[int] = []
    writer.write(rows(0, 3), announced.append)
    assert_rows(reader.read(3), 0, 3)
    writer.write(rows(3, 4), announced.append)
    assert announced == [3, 5, 7]
    pieces = reader.read(7)
    assert [len(piece) for piece in pieces] == [2, 2]
    assert_rows(pieces, 3, 4)


def test_what_was_read_is_a_copy() -> None:
    writer, reader = ring_pair(2)
    writer.write(rows(0, 2), lambda written: None)
    pieces = reader.read(2)
    writer.write(rows(50, 2), lambda written: None)
    assert_rows(pieces, 0, 2)


def test_a_full_ring_makes_the_writer_wait() -> None:
    writer, reader = ring_pair(4)
    announced: list[int] = []
    thread = threading.Thread(target=writer.write, args=(rows(0, 10), announced.append), daemon=True)
    thread.start()
    received: list[NDArray[Any]] = []
    for full_at in (4, 8):
        deadline = time.monotonic() + 5.0
        while announced[-1:] != [full_at] and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.02)
        assert announced[-1] == full_at
        assert thread.is_alive()
        received += reader.read(full_at)
    thread.join(5.0)
    assert not thread.is_alive()
    received += reader.read(10)
    assert_rows(received, 0, 10)


def test_writer_in_another_thread() -> None:
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

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    received: list[NDArray[Any]] = []
    deadline = time.monotonic() + 30.0
    while sum(map(len, received)) < total and time.monotonic() < deadline:
        received += reader.read(newest[0])
        time.sleep(0)
    thread.join(5.0)
    assert_rows(received, 0, total)
