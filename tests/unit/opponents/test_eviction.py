from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparring.opponents.matchmaking import index_to_evict


@pytest.mark.parametrize(
    ("numbers", "leaves"),
    [
        # Ages 4 3 2 1, the untrained agent 5: gaps log 5/4, 4/3, 3/2, 2 = 0.223 0.288 0.405 0.693;
        # products 0.064 0.117 0.281.
        ([1, 2, 3, 4], 1),
        # Ages 4 3 2 1, the untrained agent 6: gaps 0.405 0.288 0.405 0.693; products 0.117 0.117
        # 0.281, the older of equals.
        ([2, 3, 4, 5], 2),
        # Ages 4 3 2 1, the untrained agent 7: gaps 0.560 0.288 0.405 0.693; products 0.161 0.117
        # 0.281.
        ([3, 4, 5, 6], 4),
        # Ages 8 4 2 1, the untrained agent 16: all gaps are log 2, the oldest of equals.
        ([8, 12, 14, 15], 8),
        # Ages 64 63 2 1, the untrained agent 100: gaps 0.446 0.016 3.450 0.693; products 0.007
        # 0.054 2.391.
        ([36, 37, 98, 99], 36),
        ([3, 7], 3),
    ],
)
def test_who_leaves(numbers: list[int], leaves: int) -> None:
    assert numbers[index_to_evict(numbers)] == leaves


@given(st.sets(st.integers(1, 10_000), min_size=2, max_size=12))
def test_the_remaining_gaps_are_as_even_as_can_be(numbers: set[int]) -> None:
    """The slow way: the sum of the squares of all gaps that are left, for each that might go."""
    pool = sorted(numbers)

    def unevenness(left: list[int]) -> float:
        ages = [math.log(pool[-1] + 1 - number) for number in (0, *left)]
        return math.fsum((a - b) ** 2 for a, b in pairwise(ages))

    gone = index_to_evict(pool)
    assert gone < len(pool) - 1, "the newest stays"
    best = min(unevenness([n for n in pool if n != other]) for other in pool[:-1])
    assert unevenness([n for i, n in enumerate(pool) if i != gone]) == pytest.approx(best, rel=1e-9)


def test_a_pool_of_ten_reaches_far_back_with_few() -> None:
    """After 1,000 snapshots: half of the ten are of the last twenty, and the oldest is from the
    first two thirds of the run.
    """
    pool: list[int] = []
    for number in range(1, 1_001):
        pool.append(number)
        if len(pool) > 10:
            del pool[index_to_evict(pool)]
    ages = [1_001 - number for number in reversed(pool)]
    assert ages[:3] == [1, 2, 3]
    assert ages[4] <= 20
    assert ages[-1] >= 334
    assert all(later <= 3.1 * earlier for earlier, later in pairwise(ages[1:])), ages
