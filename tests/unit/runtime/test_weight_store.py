"""A few slots for versions: the newest of them can be read, in whatever view, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from sparring.runtime.weights import WeightStore

SIZE = 33


def stores(num_snapshots: int = 3, num_versions: int = 2) -> tuple[WeightStore, WeightStore]:
    """The main process's and a worker's view of one memory."""
    memory = np.zeros(WeightStore.bytes_needed(SIZE, num_snapshots, num_versions), np.uint8)
    return WeightStore(memory, SIZE, num_snapshots, num_versions), WeightStore(
        memory, SIZE, num_snapshots, num_versions
    )


def weights(number: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.arange(SIZE, dtype=np.float32) + np.float32(1000 * number)


# Eight numbers of versions fill the first cache line of the header, nine begin another.
@pytest.mark.parametrize("num_versions", [1, 2, 5, 8, 9, 20])
def test_as_many_of_the_newest_versions_can_be_read_as_there_are_slots(num_versions: int) -> None:
    main, worker = stores(num_versions=num_versions)
    for slot in range(3):
        main.snapshots[slot] = weights(100 + slot)
    for version in range(3 * num_versions):
        main.publish(version, weights(version))
        for readable in range(max(0, version + 1 - num_versions), version + 1):
            np.testing.assert_array_equal(worker.published(readable), weights(readable))
        if version >= num_versions:
            with pytest.raises(
                AssertionError, match=f"version {version - num_versions} is not published"
            ):
                worker.published(version - num_versions)
    for slot in range(3):
        np.testing.assert_array_equal(worker.snapshot(slot), weights(100 + slot))


@pytest.mark.parametrize("version", [1, 2, 3, 6, 7])
def test_other_versions_are_refused(version: int) -> None:
    main, worker = stores()
    for published in (4, 5):
        main.publish(published, weights(published))
    with pytest.raises(AssertionError, match=f"version {version} is not published"):
        worker.published(version)


def test_versions_are_read_in_place() -> None:
    """Nothing but the slot that is taken changes under a reader."""
    main, worker = stores(num_versions=3)
    for version in range(3):
        main.publish(version, weights(version))
    held = [worker.published(version) for version in range(3)]
    main.publish(3, weights(3))
    for vector, number in zip(held, (3, 1, 2), strict=True):
        np.testing.assert_array_equal(vector, weights(number))


def test_what_was_published_is_a_copy() -> None:
    main, worker = stores()
    vector = weights(3)
    main.publish(3, vector)
    vector[:] = 0
    np.testing.assert_array_equal(worker.published(3), weights(3))


def test_snapshots_lie_beside_the_versions() -> None:
    main, worker = stores()
    for slot in range(3):
        main.snapshots[slot] = weights(10 + slot)
    main.publish(0, weights(0))
    main.publish(1, weights(1))
    for slot in range(3):
        np.testing.assert_array_equal(worker.snapshot(slot), weights(10 + slot))
    np.testing.assert_array_equal(worker.published(0), weights(0))
    np.testing.assert_array_equal(worker.published(1), weights(1))


def test_without_snapshots() -> None:
    main, worker = stores(0)
    main.publish(0, weights(0))
    np.testing.assert_array_equal(worker.published(0), weights(0))
    assert main.snapshots.shape == (0, SIZE)
    with pytest.raises(IndexError):
        worker.snapshot(0)
