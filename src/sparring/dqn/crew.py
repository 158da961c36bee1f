"""Threads that work on parts of a minibatch side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Part = TypeVar("Part")
Result = TypeVar("Result")


class Crew:
    """`size` threads, the caller's among them; the others end when the crew is forgotten.

    torch would share out each single operation, and have all threads wait for one another dozens of times an update: nothing is left of
    the gain, and much less than nothing where anything else wants a CPU. Whole parts meet once an update. Torch lets go of Python's lock
    while it computes.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._others = ThreadPoolExecutor(size - 1, thread_name_prefix="learner") if size > 1 else None

    def map(self, work: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
        """`work` done on each of `parts`, `size` of them at most, in their order."""
        if self._others is None:
            return [work(part) for part in parts]
        others = [self._others.submit(work, part) for part in parts[1:]]
        return [work(parts[0]), *(other.result() for other in others)]
