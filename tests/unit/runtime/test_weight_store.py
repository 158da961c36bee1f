"""Two slots for versions: the newest two can be read, in whatever view, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from sparring.runtime.weights import WeightStore

SIZE = 33


def stores(num_snapshots: int = 3) -> tuple[WeightStore, WeightStore]:
    """The main process's and a worker's view of one memory."""
    memory = np.zeros(WeightStore.bytes_needed(SIZE, num_snapshots), np.uint8)
    return WeightStore(memory, SIZE, num_snapshots), WeightStore(memory, SIZE, num_snapshots)


def weights(number: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.arange(SIZE, dtype=np.float32) + np.float32(1000 * number)


def test_the_newest_two_versions_can_be_read() -> None:
    main, worker = stores()
    main.publish(0, weights(0))
    for version in range(1, 9):
        main.publish(version, weights(version))
        np.testing.assert_array_equal(worker.published(version), weights(version))
        np.testing.assert_array_equal(worker.published(version - 1), weights(version - 1))


@pytest.mark.parametrize("version", [1, 2, 3, 6, 7])
def test_other_versions_are_refused(version: int) -> None:
    main, worker = stores()
    for published in (4, 5):
        main.publish(published, weights(published))
    with pytest.raises(AssertionError, match=f"version {version} is not published"):
        worker.published(version)


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
