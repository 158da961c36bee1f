from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sparring.errors import ConfigurationError, InputError, NumericalError
from sparring.replay import PrioritizedSampler, Sampler, UniformSampler
from sparring.replay.samplers import random_indices


def test_both_are_samplers() -> None:
    samplers: list[Sampler] = [UniformSampler(), PrioritizedSampler(4, 0.6, 1e-3)]
    for sampler in samplers:
        sampler.on_insert(0, 4)
        indices, weights = sampler.sample(4, batch_size=6, rng=np.random.default_rng(0), beta=0.4)
        assert indices.dtype == np.int64
        assert weights.dtype == np.float32
        assert indices.shape == weights.shape == (6,)
        with pytest.raises(InputError, match="empty replay buffer"):
            sampler.sample(0, batch_size=6, rng=np.random.default_rng(0), beta=0.4)


class PrioritizedMachine(RuleBasedStateMachine):
    """The model: a dictionary of p^alpha by index, the largest one ever, and running sums."""

    @initialize(
        capacity=st.integers(1, 21),
        alpha=st.sampled_from([0.0, 0.5, 1.0]),
        eps=st.sampled_from([1e-6, 0.1]),
    )
    def start(self, capacity: int, alpha: float, eps: float) -> None:
        self.arguments = (capacity, alpha, eps)
        self.sampler = PrioritizedSampler(*self.arguments)
        self.model: dict[int, float] = {}
        self.largest = 1.0
        self.inserted = 0

    @rule(count=st.integers(0, 30))
    def insert(self, count: int) -> None:
        capacity = self.arguments[0]
        places = [number % capacity for number in range(self.inserted, self.inserted + count)][
            -capacity:
        ]
        self.inserted += count
        self.sampler.on_insert(places[0] if places else 0, len(places))
        self.model.update(dict.fromkeys(places, self.largest))

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def update(self, data: st.DataObject) -> None:
        places = data.draw(st.lists(st.integers(0, len(self.model) - 1), max_size=12))
        errors = data.draw(
            st.lists(st.floats(-8, 8, width=32), min_size=len(places), max_size=len(places))
        )
        self.sampler.update(np.array(places, np.int64), np.array(errors, np.float32))
        _, alpha, eps = self.arguments
        for place, error in zip(places, errors, strict=True):
            self.model[place] = (abs(error) + eps) ** alpha
            self.largest = max(self.largest, self.model[place])

    @precondition(lambda self: self.model)
    @rule(
        batch_size=st.integers(1, 9),
        seed=st.integers(0, 2**32),
        beta=st.sampled_from([0.0, 0.4, 1.0]),
    )
    def sample(self, batch_size: int, seed: int, beta: float) -> None:
        size = len(self.model)
        indices, weights = self.sampler.sample(
            size, batch_size=batch_size, rng=np.random.default_rng(seed), beta=beta
        )
        edges = np.concatenate([[0.0], np.cumsum([self.model[place] for place in range(size)])])
        masses = (
            (np.arange(batch_size) + np.random.default_rng(seed).random(batch_size))
            * edges[-1]
            / batch_size
        )
        slack = 1e-9 * edges[-1]  # the tree and the running sums add up in different orders
        assert all(
            edges[i] - slack <= mass <= edges[i + 1] + slack
            for i, mass in zip(indices, masses, strict=True)
        )
        probabilities = np.array([self.model[i] for i in indices]) / edges[-1]
        expected = (size * probabilities) ** -beta
        np.testing.assert_allclose(weights, expected / expected.max(), rtol=1e-5)

    @rule(seed=st.integers(0, 2**32))
    def save_and_restore(self, seed: int) -> None:
        restored = PrioritizedSampler(*self.arguments)
        if self.model:  # over old rows
            restored.on_insert(0, self.arguments[0])
        restored.set_state(self.sampler.get_state())
        if self.model:
            both = [
                s.sample(len(self.model), batch_size=7, rng=np.random.default_rng(seed), beta=0.5)
                for s in (self.sampler, restored)
            ]
            assert both[0][0].tolist() == both[1][0].tolist()
            assert both[0][1].tolist() == both[1][1].tolist()
        self.sampler = restored

    @invariant()
    def holds_the_priorities(self) -> None:
        if not hasattr(self, "sampler"):
            return
        expected = [self.model.get(place, 0.0) for place in range(self.arguments[0])]
        np.testing.assert_allclose(self.sampler.priorities, expected, rtol=1e-12)


TestPrioritizedSampler = PrioritizedMachine.TestCase
TestPrioritizedSampler.settings = settings(max_examples=80, stateful_step_count=20, deadline=None)


class UniformMachine(RuleBasedStateMachine):
    """The model: places come from the generator alone, below the size, with weight 1, whatever was
    inserted or updated.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sampler = UniformSampler()

    @rule(places=st.lists(st.integers(0, 20), max_size=5))
    def insert_and_update(self, places: list[int]) -> None:
        self.sampler.on_insert(0, len(places))
        self.sampler.update(np.array(places, np.int64), np.full(len(places), 9.0, np.float32))

    @rule(size=st.integers(1, 50), batch_size=st.integers(1, 9), seed=st.integers(0, 2**32))
    def sample(self, size: int, batch_size: int, seed: int) -> None:
        indices, weights = self.sampler.sample(
            size, batch_size=batch_size, rng=np.random.default_rng(seed), beta=0.4
        )
        assert indices.tolist() == [
            int(uniform * size) for uniform in np.random.default_rng(seed).random(batch_size)
        ]
        assert weights.tolist() == [1.0] * batch_size

    @rule()
    def save_and_restore(self) -> None:
        state = self.sampler.get_state()
        self.sampler = UniformSampler()
        self.sampler.set_state(state)


TestUniformSampler = UniformMachine.TestCase
TestUniformSampler.settings = settings(max_examples=20, stateful_step_count=10, deadline=None)


def chi_square(counts: np.ndarray, probabilities: np.ndarray) -> float:
    expected = probabilities * counts.sum()
    return float(((counts - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("batch_size", [1, 32])
def test_prioritized_sampling_is_proportional(batch_size: int) -> None:
    sampler = PrioritizedSampler(13, 0.6, 1e-2)
    sampler.on_insert(0, 11)  # two rows stay empty
    errors = np.linspace(-2.0, 3.0, 11)
    sampler.update(np.arange(11), errors)
    rng = np.random.default_rng(11)
    drawn = [
        sampler.sample(11, batch_size=batch_size, rng=rng, beta=0.4)[0]
        for _ in range(32_000 // batch_size)
    ]
    counts = np.bincount(np.concatenate(drawn), minlength=13)
    assert counts[11:].tolist() == [0, 0]
    p = (np.abs(errors) + 1e-2) ** 0.6
    # 10 degrees of freedom: above 29.6 by chance once in a thousand seeds (stratified minibatches
    # stay far below).
    assert chi_square(counts[:11], p / p.sum()) < 29.6
    assert chi_square(counts[:11], np.full(11, 1 / 11)) > 1000  # the statistic can tell


@pytest.mark.parametrize("end", [1, 2, 3, 5, 17, 100, 2**20 - 1, 2**20, 2**40 + 1])
def test_numbers_below_an_end_never_reach_it(end: int) -> None:
    class Largest:
        def random(self, count: int) -> np.ndarray:
            return np.full(count, np.nextafter(1.0, 0.0))

    assert random_indices(end, 2, Largest()).tolist() == [end - 1] * 2  # type: ignore[arg-type]


def test_uniform_sampling_is_uniform() -> None:
    rng = np.random.default_rng(12)
    drawn = [UniformSampler().sample(11, batch_size=100, rng=rng, beta=0.4)[0] for _ in range(320)]
    assert chi_square(np.bincount(np.concatenate(drawn), minlength=11), np.full(11, 1 / 11)) < 29.6


def test_importance_weights_by_hand() -> None:
    # alpha 1, |error| + eps = 1, 2, 5; P = 1/8, 2/8, 5/8; with beta 1: (3 P)^-1 = 8/3, 4/3, 8/15;
    # divided by 8/3: 1, 1/2, 1/5.
    sampler = PrioritizedSampler(3, 1.0, 0.5)
    sampler.on_insert(0, 3)
    sampler.update(np.arange(3), np.array([0.5, -1.5, 4.5]))
    indices, weights = sampler.sample(3, batch_size=8, rng=np.random.default_rng(0), beta=1.0)
    assert indices.tolist() == [0, 1, 1, 2, 2, 2, 2, 2]  # eight strata of mass 1
    assert weights.tolist() == pytest.approx([1, 0.5, 0.5, 0.2, 0.2, 0.2, 0.2, 0.2])
    # beta 0.5: the square roots; beta 0: no correction.
    _, weights = sampler.sample(3, batch_size=8, rng=np.random.default_rng(0), beta=0.5)
    assert weights.tolist() == pytest.approx([1] + [0.5**0.5] * 2 + [0.2**0.5] * 5)
    _, weights = sampler.sample(3, batch_size=8, rng=np.random.default_rng(0), beta=0.0)
    assert weights.tolist() == [1.0] * 8


def test_weights_are_relative_to_the_largest_of_the_minibatch() -> None:
    # A minibatch of one has weight 1, whatever row it is.
    sampler = PrioritizedSampler(3, 1.0, 0.5)
    sampler.on_insert(0, 3)
    sampler.update(np.arange(3), np.array([0.5, -1.5, 4.5]))
    rng = np.random.default_rng(0)
    assert all(
        sampler.sample(3, batch_size=1, rng=rng, beta=1.0)[1].tolist() == [1.0] for _ in range(20)
    )


def test_alpha_shapes_the_priorities_and_new_rows_get_the_largest_seen() -> None:
    sampler = PrioritizedSampler(5, 0.5, 1.0)
    sampler.on_insert(0, 2)
    assert sampler.priorities.tolist() == [1.0, 1.0, 0.0, 0.0, 0.0]
    sampler.update(np.array([0]), np.array([-8.0]))  # (8 + 1) ** 0.5
    sampler.on_insert(2, 1)
    assert sampler.priorities.tolist() == [3.0, 1.0, 3.0, 0.0, 0.0]
    # The largest *seen*: it stays when the row that had it no longer does.
    sampler.update(np.array([0, 2]), np.array([0.0, 3.0]))
    sampler.on_insert(3, 1)
    sampler.on_insert(1, 1)
    assert sampler.priorities.tolist() == [1.0, 3.0, 2.0, 3.0, 0.0]


def test_of_equal_indices_the_last_error_wins() -> None:
    sampler = PrioritizedSampler(3, 1.0, 0.5)
    sampler.on_insert(0, 3)
    sampler.update(np.array([1, 0, 1, 0, 1]), np.array([9.0, 1.0, 7.0, 2.0, 3.0]))
    assert sampler.priorities.tolist() == [2.5, 3.5, 1.0]
    sampler.on_insert(2, 1)
    assert sampler.priorities[2] == 9.5  # seen, if only for a moment


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_an_error_that_is_not_finite_is_refused_and_nothing_changes(bad: float) -> None:
    sampler = PrioritizedSampler(3, 0.6, 1e-3)
    sampler.on_insert(0, 3)
    before = copy.deepcopy(sampler.get_state())
    with pytest.raises(NumericalError, match="1 of 3 TD errors"):
        sampler.update(np.arange(3), np.array([0.5, bad, 2.0]))
    after = sampler.get_state()
    assert before["priorities"].tolist() == after["priorities"].tolist()
    assert before["largest"] == after["largest"]


@pytest.mark.parametrize("place", [-1, 2, 3, 4])
def test_an_update_of_an_index_without_a_row_is_refused(place: int) -> None:
    sampler = PrioritizedSampler(3, 0.6, 1e-3)
    sampler.on_insert(0, 2)
    with pytest.raises(IndexError):
        sampler.update(np.array([0, place]), np.array([0.5, 0.5]))
    assert sampler.priorities.tolist() == [1.0, 1.0, 0.0]


def test_a_restored_sampler_goes_on_as_the_first_one_does() -> None:
    def play(sampler: PrioritizedSampler, seed: int) -> list[list[float]]:
        rng, seen = np.random.default_rng(seed), []
        for step in range(50):
            sampler.on_insert(step * 7 % 100, 7)
            indices, weights = sampler.sample(100, batch_size=16, rng=rng, beta=0.4)
            sampler.update(indices, rng.normal(size=16).astype(np.float32))
            seen.append([*indices.tolist(), *weights.tolist()])
        return seen

    first = PrioritizedSampler(100, 0.7, 1e-6)
    play(first, 1)
    state = copy.deepcopy(first.get_state())
    expected = play(first, 2)
    second = PrioritizedSampler(100, 0.7, 1e-6)
    second.set_state(state)
    assert play(second, 2) == expected
    third = PrioritizedSampler(100, 0.7, 1e-6)
    assert play(third, 2) != expected


@pytest.mark.parametrize(
    ("alpha", "eps"),
    [(-0.1, 1e-6), (1.1, 1e-6), (float("nan"), 1e-6), (0.6, 0.0), (0.6, -1.0), (0.6, float("inf"))],
)
def test_refuses_exponents_and_constants_that_could_lose_a_row(alpha: float, eps: float) -> None:
    with pytest.raises(ConfigurationError):
        PrioritizedSampler(3, alpha, eps)


def test_the_smallest_priority_is_still_found() -> None:
    sampler = PrioritizedSampler(2, 1.0, 1e-12)
    sampler.on_insert(1, 1)
    sampler.update(np.array([1]), np.array([0.0]))
    indices, weights = sampler.sample(1, batch_size=4, rng=np.random.default_rng(0), beta=1.0)
    assert indices.tolist() == [1] * 4
    assert weights.tolist() == [1.0] * 4


def test_refuses_the_state_of_a_larger_sampler() -> None:
    large = PrioritizedSampler(4, 0.6, 1e-3)
    large.on_insert(0, 4)
    with pytest.raises(InputError, match="at most 3"):
        PrioritizedSampler(3, 0.6, 1e-3).set_state(large.get_state())
