from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sparring.errors import InputError
from sparring.replay.samplers import SumTree


class WholeNumbersMachine(RuleBasedStateMachine):
    """The model: a list and its running sums. Sums of whole numbers are exact, so tree and model
    must agree on every place found.
    """

    @initialize(capacity=st.integers(1, 21))
    def start(self, capacity: int) -> None:
        self.tree = SumTree(capacity)
        self.model = [0] * capacity

    @rule(data=st.data())
    def set(self, data: st.DataObject) -> None:
        indices = data.draw(st.lists(st.integers(0, len(self.model) - 1), max_size=30))
        values = data.draw(
            st.lists(st.integers(0, 9), min_size=len(indices), max_size=len(indices))
        )
        self.tree.set(np.array(indices, np.int64), np.array(values, np.float64))
        for index, value in zip(indices, values, strict=True):
            self.model[index] = value

    @rule(data=st.data(), value=st.integers(0, 9))
    def fill(self, data: st.DataObject, value: int) -> None:
        first = data.draw(st.integers(0, len(self.model) - 1))
        count = data.draw(st.integers(0, len(self.model)))
        self.tree.fill(first, count, float(value))
        for place in range(first, first + count):
            self.model[place % len(self.model)] = value

    @precondition(lambda self: sum(self.model) > 0)
    @rule(
        eighths=st.lists(st.integers(0, 7), min_size=1, max_size=8).filter(
            lambda drawn: len(drawn) in (1, 2, 4, 8)
        )
    )
    def find(self, eighths: list[int]) -> None:
        found = self.tree.find_stratified(np.array(eighths) / 8)
        total = sum(self.model)
        expected = []
        for stratum, eighth in enumerate(eighths):
            mass = (
                (stratum + eighth / 8) * total / len(eighths)
            )  # exact: the number of strata is a power of two
            running = 0
            for place, value in enumerate(self.model):
                running += value
                if mass < running:
                    expected.append(place)
                    break
        assert found.tolist() == expected

    @invariant()
    def holds_the_values(self) -> None:
        if hasattr(self, "tree"):
            assert self.tree.values.tolist() == self.model
            assert self.tree.total == sum(self.model)


TestSumTree = WholeNumbersMachine.TestCase
TestSumTree.settings = settings(max_examples=80, stateful_step_count=20, deadline=None)


@settings(max_examples=100, deadline=None)
@given(
    values=st.lists(
        st.one_of(st.just(0.0), st.floats(1e-30, 1e30)), min_size=1, max_size=40
    ).filter(any),
    share=st.floats(0, 1, exclude_max=True),
    count=st.integers(1, 9),
)
def test_an_empty_leaf_is_never_found(values: list[float], share: float, count: int) -> None:
    tree = SumTree(len(values))
    tree.set(np.arange(len(values)), np.array(values))
    found = tree.find_stratified(np.full(count, share))
    assert all(values[place] > 0 for place in found)


@pytest.mark.parametrize("share", [0.0, np.nextafter(1.0, 0.0)])
def test_the_edges_of_the_total_belong_to_filled_leaves(share: float) -> None:
    # 0.1 cannot be written in binary: sums of it round, and the mass of the last stratum can pass
    # the sum of the filled part.
    for filled in range(1, 60):
        tree = SumTree(100)
        tree.set(np.arange(20, 20 + filled), np.full(filled, 0.1))
        found = tree.find_stratified(np.full(7, share))
        assert found.min() >= 20
        assert found.max() < 20 + filled


@pytest.mark.parametrize("capacity", [37, 64])
def test_no_error_builds_up_over_many_updates(capacity: int) -> None:
    rng = np.random.default_rng(3)
    tree = SumTree(capacity)
    for _ in range(5000):
        places = rng.integers(0, capacity, 16)
        tree.set(places, 10.0 ** rng.uniform(-12, 12, 16))
        tree.fill(int(places[0]), int(places[1]), 10.0 ** rng.uniform(-12, 12))
    fresh = SumTree(capacity)
    fresh.set(np.arange(capacity), tree.values.copy())
    assert tree._nodes.tobytes() == fresh._nodes.tobytes()
    tree.set(np.arange(capacity), np.zeros(capacity))
    tree.set(np.array([5]), np.array([1e-12]))
    assert tree.total == 1e-12


def test_every_stratum_gives_one_index() -> None:
    # 100 equal values, 10 strata of 10 each: one index out of every ten.
    tree = SumTree(100)
    tree.set(np.arange(100), np.ones(100))
    found = tree.find_stratified(np.random.default_rng(0).random(10))
    assert (found // 10).tolist() == list(range(10))


@pytest.mark.parametrize("index", [-1, 5, 7, 8, 2**40])
def test_indices_outside_are_refused_and_nothing_changes(index: int) -> None:
    tree = SumTree(5)
    tree.set(np.arange(5), np.ones(5))
    with pytest.raises(IndexError, match="expected 0 to 4"):
        tree.set(np.array([0, index]), np.array([7.0, 7.0]))
    assert tree.values.tolist() == [1.0] * 5
    assert tree.total == 5.0


def test_refuses_invalid_arguments() -> None:
    with pytest.raises(InputError, match="at least 1"):
        SumTree(0)
    tree = SumTree(3)
    with pytest.raises(InputError, match="cannot sample yet"):
        tree.find_stratified(np.zeros(1))
    with pytest.raises(InputError, match="expected 2"):
        tree.set(np.array([0, 1]), np.array([1.0]))
