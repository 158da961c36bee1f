from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sparring.replay.cuda_samplers import DeviceSumTree

CPU = torch.device("cpu")
DEVICES = [CPU, *([torch.device("cuda")] if torch.cuda.is_available() else [])]


def make(capacity: int, device: torch.device = CPU) -> DeviceSumTree:
    return DeviceSumTree(capacity, device)


def set_(tree: DeviceSumTree, indices: list[int], values: list[float]) -> None:
    device = tree.values.device
    tree.set(
        torch.tensor(indices, dtype=torch.int64, device=device),
        torch.tensor(values, dtype=torch.float64, device=device),
    )


def find(tree: DeviceSumTree, masses: list[float]) -> list[int]:
    return tree.find(torch.tensor(masses, dtype=torch.float64, device=tree.values.device)).tolist()


class WholeNumbersMachine(RuleBasedStateMachine):
    """The model: a list and its running sums. Sums of whole numbers are exact, so tree and model
    must agree on every place found.
    """

    @initialize(capacity=st.one_of(st.integers(1, 40), st.sampled_from([1023, 1024, 1025, 1100])))
    def start(self, capacity: int) -> None:
        self.tree = make(capacity)
        self.model = [0] * capacity

    @rule(data=st.data())
    def set(self, data: st.DataObject) -> None:
        indices = data.draw(st.lists(st.integers(0, len(self.model) - 1), min_size=1, max_size=30))
        values = data.draw(
            st.lists(st.integers(0, 9), min_size=len(indices), max_size=len(indices))
        )
        set_(self.tree, indices, [float(value) for value in values])
        for index, value in zip(indices, values, strict=True):
            self.model[index] = value

    @rule(data=st.data(), value=st.integers(0, 9))
    def fill(self, data: st.DataObject, value: int) -> None:
        first = data.draw(st.integers(0, len(self.model) - 1))
        count = data.draw(st.integers(0, len(self.model)))
        self.tree.fill(first, count, torch.tensor(float(value), dtype=torch.float64))
        for place in range(first, first + count):
            self.model[place % len(self.model)] = value

    @rule(data=st.data())
    def load(self, data: st.DataObject) -> None:
        values = data.draw(st.lists(st.integers(0, 9), max_size=min(50, len(self.model))))
        self.tree.load(torch.tensor(values, dtype=torch.float64))
        self.model = values + [0] * (len(self.model) - len(values))

    @precondition(lambda self: sum(self.model) > 0)
    @rule(data=st.data())
    def find(self, data: st.DataObject) -> None:
        masses = data.draw(st.lists(st.integers(0, sum(self.model) - 1), min_size=1, max_size=9))
        assert (
            find(self.tree, [float(mass) for mass in masses])
            == np.searchsorted(np.cumsum(self.model), masses, side="right").tolist()
        )

    @invariant()
    def holds_the_values(self) -> None:
        if hasattr(self, "tree"):
            assert self.tree.values.tolist() == self.model
            assert self.tree.total.item() == sum(self.model)


TestDeviceSumTree = WholeNumbersMachine.TestCase
TestDeviceSumTree.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)


@settings(max_examples=100, deadline=None)
@given(
    values=st.lists(
        st.one_of(st.just(0.0), st.floats(1e-30, 1e30)), min_size=1, max_size=80
    ).filter(any),
    share=st.floats(0, 1, exclude_max=True),
    count=st.integers(1, 9),
)
def test_an_empty_leaf_is_never_found(values: list[float], share: float, count: int) -> None:
    tree = make(len(values))
    set_(tree, list(range(len(values))), values)
    masses = (torch.arange(count) + share) * (tree.total / count)
    assert all(values[place] > 0 for place in tree.find(masses).tolist())


@pytest.mark.parametrize("device", DEVICES, ids=str)
def test_the_edges_of_the_total_belong_to_filled_leaves(device: torch.device) -> None:
    # 0.1 cannot be written in binary: sums of it round, and the last mass can pass the sum of the
    # filled part.
    for filled in range(1, 60):
        tree = make(2000, device)
        set_(tree, list(range(1020, 1020 + filled)), [0.1] * filled)
        total = tree.total.item()
        found = find(
            tree,
            [
                0.0,
                total / 7,
                total * 6.999999999999999 / 7,
                np.nextafter(total, 0.0),
                total,
                total * 1.1,
            ],
        )
        assert min(found) >= 1020
        assert max(found) < 1020 + filled


@pytest.mark.parametrize("device", DEVICES, ids=str)
@pytest.mark.parametrize("capacity", [37, 1024, 2500])
def test_equal_leaves_equal_bits(capacity: int, device: torch.device) -> None:
    """However they came about: set many at a time or few, filled or loaded. Else a resumed run
    would go another way.
    """
    rng = np.random.default_rng(3)
    tree = make(capacity, device)
    for step in range(300):
        places = rng.integers(0, capacity, [1, 3, 16, 100][step % 4])
        set_(tree, places.tolist(), (10.0 ** rng.uniform(-12, 12, len(places))).tolist())
        value = torch.tensor(10.0 ** rng.uniform(-12, 12), dtype=torch.float64, device=device)
        tree.fill(int(places[0]), int(rng.integers(0, 5)), value)
    loaded, at_once = make(capacity, device), make(capacity, device)
    loaded.load(tree.values.clone())
    set_(at_once, list(range(capacity)), tree.values.tolist())
    for other in (loaded, at_once):
        assert all(
            torch.equal(one, two) for one, two in zip(tree._levels, other._levels, strict=True)
        )


@pytest.mark.parametrize("device", DEVICES, ids=str)
def test_of_equal_indices_the_last_wins(device: torch.device) -> None:
    tree = make(50, device)
    rng = np.random.default_rng(0)
    for _ in range(20):
        indices, values = rng.integers(0, 50, 300).tolist(), rng.random(300).tolist()
        set_(tree, indices, values)
        expected = dict(zip(indices, values, strict=True))
        assert all(tree.values[index].item() == value for index, value in expected.items())
