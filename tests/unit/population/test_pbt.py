"""Population-based training: who takes over whose learner, and the settings from then on."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from sparring.population.pbt import exploit, explore

RNG = np.random.default_rng


def scores(*values: float) -> dict[str, float]:
    return {f"member-{number}": value for number, value in enumerate(values)}


def test_the_lowest_fifth_takes_over_from_the_highest_fifth() -> None:
    ten = scores(*(number / 10 for number in range(10)))
    chosen = Counter(exploit(ten, "member-0", RNG(seed)) for seed in range(100))
    assert chosen.keys() == {"member-8", "member-9"}
    assert min(chosen.values()) > 25
    assert exploit(ten, "member-1", RNG(0)) in ("member-8", "member-9")
    assert [exploit(ten, f"member-{number}", RNG(0)) for number in range(2, 10)] == [None] * 8


@pytest.mark.parametrize("agents", [2, 3, 4])
def test_of_few_members_the_weakest_takes_over_from_the_best(agents: int) -> None:
    few = scores(*(number / 10 for number in range(agents)))
    best = f"member-{agents - 1}"
    expected = [best, *[None] * (agents - 1)]
    assert [exploit(few, name, RNG(0)) for name in few] == expected


def test_equals_take_over_nothing() -> None:
    assert [exploit(scores(0.5, 0.5), name, RNG(0)) for name in scores(0, 0)] == [None, None]


def test_settings_are_multiplied_by_one_of_two_factors_each() -> None:
    found = [explore({"learning_rate": 0.01, "samples_per_insert": 4.0}, RNG(s)) for s in range(50)]
    pairs = {(each["learning_rate"], each["samples_per_insert"]) for each in found}
    assert pairs == {(0.008, 3.2), (0.008, 4.8), (0.012, 3.2), (0.012, 4.8)}


def test_settings_stay_in_their_range() -> None:
    assert {explore({"learning_rate": 1.0}, RNG(s))["learning_rate"] for s in range(20)} == {
        0.8,
        1.0,
    }
