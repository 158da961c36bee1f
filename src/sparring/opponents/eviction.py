"""Who leaves a full pool."""

from __future__ import annotations

import math
from collections.abc import Sequence


def leaver(numbers: Sequence[int]) -> int:
    """The index of the snapshot that leaves, so that ages stay spread evenly on a logarithmic scale: many recent ones, few old ones.

    `numbers` are those of the snapshots, ascending, the newest included, which never leaves. Snapshot k was taken after k intervals; its
    age is counted in intervals up to the next one, so the newest has age 1, and the untrained agent, number 0, closes the scale.

    On log(age) a pool cuts the line between the newest and the untrained agent into gaps, whose sum is given. They are most even where
    the sum of their squares is least; to take one snapshot out makes one gap of the two beside it, a and b, and adds
    (a + b)^2 - a^2 - b^2 = 2 a b. So the one with the smallest product of the gaps beside it leaves, the older of equals.
    """
    following = numbers[-1] + 1
    places = [math.log(following - number) for number in (0, *numbers)]
    products = [(places[i - 1] - places[i]) * (places[i] - places[i + 1]) for i in range(1, len(numbers))]
    least = min(products)
    return next(i for i, product in enumerate(products) if product <= least * (1.0 + 1e-9))  # equals differ by rounding
