"""Shared memory reaches a process that is being started, has no name, and is gone when nobody maps
it.
"""

from __future__ import annotations

import errno
import gc
import multiprocessing
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sparring.errors import SparringError
from sparring.runtime.shared_memory import SharedBlock

# Elsewhere a SharedBlock is a RawArray, which has no descriptor and no map in /proc; the last test
# here covers it on all systems.
linux_only = pytest.mark.skipif(
    sys.platform != "linux",
    reason="SharedBlock is an anonymous file, seen through /proc, on Linux alone",
)


def double(block: SharedBlock) -> None:
    block.memory[:] *= 2
    block.memory[0] = len(mapped()) if sys.platform == "linux" else 1


def mapped() -> list[str]:
    """The lines of this process's memory map that are ours."""
    return [
        line
        for line in Path("/proc/self/maps").read_text().splitlines()
        if "memfd:sparring" in line
    ]


@pytest.fixture
def clean() -> Iterator[None]:
    gc.collect()
    before = len(os.listdir("/proc/self/fd")), len(mapped())
    yield
    gc.collect()
    assert (len(os.listdir("/proc/self/fd")), len(mapped())) == before, (
        "descriptors or memory are left over"
    )


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_a_process_works_on_the_same_memory(start_method: str) -> None:
    block = SharedBlock(10_000)
    assert not block.memory.any()
    block.memory[:] = np.arange(10_000) % 100
    process = multiprocessing.get_context(start_method).Process(target=double, args=(block,))  # type: ignore[attr-defined]
    process.start()
    block.close()
    process.join()
    assert process.exitcode == 0
    assert block.memory[0] == 1, "it is mapped once in the child"
    np.testing.assert_array_equal(block.memory[1:], 2 * (np.arange(1, 10_000) % 100))
    process.close()


@linux_only
def test_has_no_name() -> None:
    names = set(os.listdir("/dev/shm"))
    block = SharedBlock(4096)
    assert not {name for name in set(os.listdir("/dev/shm")) - names if "sparring" in name}
    assert all(line.endswith("(deleted)") for line in mapped())
    block.close()


@linux_only
@pytest.mark.usefixtures("clean")
def test_is_freed_with_its_last_view() -> None:
    before = len(mapped())
    block = SharedBlock(1 << 20)
    view = block.memory[10:20]
    assert len(mapped()) == before + 1
    block.close()
    block.close()
    del block
    view[:] = 7
    assert view.sum() == 70, "the memory outlives its descriptor"
    assert len(mapped()) == before + 1


@linux_only
@pytest.mark.usefixtures("clean")
def test_too_little_memory_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(
        SparringError,
        match=r"^no shared memory: got No space left on device, expected 3 MiB; use fewer workers$",
    ):
        SharedBlock(3 * 2**20)


@linux_only
def test_all_pages_are_reserved_at_once() -> None:
    block = SharedBlock(5_000_000)
    assert os.fstat(block._handle).st_blocks * 512 >= 5_000_000
    block.close()


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_without_anonymous_files_a_raw_array_serves(
    start_method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    block = SharedBlock(1_000)
    block.memory[:] = 21
    process = multiprocessing.get_context(start_method).Process(target=double, args=(block,))  # type: ignore[attr-defined]
    process.start()
    process.join()
    assert process.exitcode == 0
    assert (block.memory[1:] == 42).all()
    process.close()
    block.close()
