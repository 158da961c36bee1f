from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sparring.errors import InputError
from sparring.games import spec_of
from sparring.replay import (
    PrioritizedSampler,
    RandomSymmetry,
    Replay,
    ReplayBuffer,
    UniformSampler,
    transition_dtype,
)
from sparring.replay.gather import Columns

SPEC = spec_of("tic_tac_toe")
DTYPE = transition_dtype(SPEC)


def numbered(first: int, count: int) -> NDArray[Any]:
    """Rows told apart by their version; the mover has marked the cell it now names as its action
    (which symmetries keep true).
    """
    rows = np.zeros(count, DTYPE)
    rows["version"] = np.arange(first, first + count)
    rows["action"] = rows["version"] % 9
    rows["observation"].reshape(count, 18)[np.arange(count), rows["action"]] = 1
    return rows


def assert_same(one: Columns, other: Columns) -> None:
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


class Recorder(UniformSampler):
    """A sampler that records its calls."""

    def __init__(self) -> None:
        self.inserted: list[tuple[int, int]] = []
        self.updated: list[tuple[list[int], list[float]]] = []
        self.sampled: list[tuple[int, int, float]] = []

    def on_insert(self, first: int, count: int) -> None:
        self.inserted.append((first, count))

    def sample(
        self, size: int, *, batch_size: int, rng: np.random.Generator, beta: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        self.sampled.append((size, batch_size, beta))
        return np.array([2, 0, 2]), np.array([0.5, 1.0, 0.25], np.float32)

    def update(self, indices: NDArray[np.int64], td_errors: NDArray[Any]) -> None:
        self.updated.append((indices.tolist(), td_errors.tolist()))


def test_the_sampler_receives_indices_and_the_learner_rows() -> None:
    sampler = Recorder()
    replay = Replay(ReplayBuffer(DTYPE, 4), sampler)
    assert (len(replay), replay.capacity, replay.dtype) == (0, 4, DTYPE)
    replay.extend(numbered(0, 3))
    replay.extend(numbered(3, 3))
    assert sampler.inserted == [(0, 3), (3, 3)]
    assert len(replay) == 4
    batch = replay.sample(3, rng=np.random.default_rng(0), beta=0.6)
    assert sampler.sampled == [(4, 3, 0.6)]
    assert batch.rows["version"].tolist() == [2, 4, 2]  # indices 2, 0, 2 hold rows 2, 4, 2
    assert batch.indices.tolist() == [2, 0, 2]
    assert batch.weights.tolist() == [0.5, 1.0, 0.25]
    replay.update(batch.indices, np.array([0.5, -2.0, 4.0], np.float32))
    assert sampler.updated == [([2, 0, 2], [0.5, -2.0, 4.0])]


def test_a_minibatch_is_a_copy() -> None:
    replay = Replay(ReplayBuffer(DTYPE, 4), Recorder(), RandomSymmetry(SPEC))
    replay.extend(numbered(0, 4))
    for _ in range(20):
        replay.sample(3, rng=np.random.default_rng(0), beta=1.0).rows["version"][:] = -1
    stored = replay.get_state()["buffer"]["rows"]
    assert stored["version"].tolist() == [0, 1, 2, 3]
    assert stored["action"].tolist() == [0, 1, 2, 3]


def test_errors_decide_what_is_replayed() -> None:
    """One transition with a hundred times the error of each of the others: it makes up half of what
    is drawn from a hundred and one.
    """
    replay = Replay(ReplayBuffer(DTYPE, 128), PrioritizedSampler(128, alpha=1.0, eps=1e-6))
    replay.extend(numbered(0, 101))
    errors = np.ones(101, np.float32)
    errors[17] = -100.0
    replay.update(np.arange(101), errors)
    batch = replay.sample(1000, rng=np.random.default_rng(0), beta=0.5)
    assert abs(int((batch.rows["version"] == 17).sum()) - 500) <= 2  # stratified
    assert batch.weights[batch.rows["version"] == 17] == pytest.approx(0.1)  # (1 / 100) ** 0.5
    assert batch.weights.max() == 1.0


def test_symmetries_are_applied_to_what_is_sampled() -> None:
    replay = Replay(ReplayBuffer(DTYPE, 9), UniformSampler(), RandomSymmetry(SPEC))
    replay.extend(numbered(0, 9))
    batch = replay.sample(500, rng=np.random.default_rng(0), beta=1.0)
    rows = batch.rows
    assert rows["observation"].reshape(500, 18)[np.arange(500), rows["action"]].all()
    action = rows["action"]
    assert set(action[rows["version"] == 0].tolist()) == {0, 2, 6, 8}
    assert set(action[rows["version"] == 4].tolist()) == {4}


def test_the_same_generator_gives_the_same_minibatch() -> None:
    replay = Replay(ReplayBuffer(DTYPE, 50), UniformSampler(), RandomSymmetry(SPEC))
    replay.extend(numbered(0, 50))
    batches = [replay.sample(40, rng=np.random.default_rng(seed), beta=1.0) for seed in (3, 3, 4)]
    assert_same(batches[0].rows, batches[1].rows)
    assert batches[0].indices.tolist() != batches[2].indices.tolist()


@pytest.mark.parametrize("prioritized", [False, True])
def test_a_restored_replay_goes_on(prioritized: bool) -> None:
    def make() -> Replay:
        return Replay(
            ReplayBuffer(DTYPE, 7),
            PrioritizedSampler(7, 0.7, 1e-3) if prioritized else UniformSampler(),
            RandomSymmetry(SPEC),
        )

    first, second = make(), make()
    first.extend(numbered(0, 10))
    first.update(np.array([1, 4]), np.array([3.0, 0.1], np.float32))
    second.extend(numbered(50, 3))
    second.set_state(first.get_state())
    generators = [np.random.default_rng(1), np.random.default_rng(1)]
    for step in range(4):
        one, other = (
            replay.sample(6, rng=rng, beta=0.4)
            for replay, rng in zip((first, second), generators, strict=True)
        )
        assert_same(one.rows, other.rows)
        assert one.weights.tolist() == other.weights.tolist()
        for replay in (first, second):
            replay.update(one.indices, np.linspace(-1, step, 6).astype(np.float32))
            replay.extend(numbered(20 + step, 1))


@pytest.mark.parametrize("prioritized", [False, True])
def test_buffers_are_sampled_into_again_and_again(prioritized: bool) -> None:
    """The same samples as in new arrays; and a minibatch in new arrays outlives the next ones."""
    replay = Replay(
        ReplayBuffer(DTYPE, 50),
        PrioritizedSampler(50, 0.7, 1e-3) if prioritized else UniformSampler(),
        RandomSymmetry(SPEC),
    )
    replay.extend(numbered(0, 50))
    replay.update(np.arange(50), np.linspace(0, 3, 50).astype(np.float32))
    rng, again = np.random.default_rng(3), np.random.default_rng(3)
    own = [replay.sample(20, rng=rng, beta=0.5) for _ in range(3)]
    buffer = replay.allocate(20)
    arrays = {name: column.ctypes.data for name, column in buffer.rows.items()}
    for expected in own:
        replay.sample_into(buffer, rng=again, beta=0.5)
        assert_same(buffer.rows, expected.rows)
        assert buffer.indices.tolist() == expected.indices.tolist()
        assert buffer.weights.tolist() == expected.weights.tolist()
    assert {name: column.ctypes.data for name, column in buffer.rows.items()} == arrays
    assert own[0].indices.tolist() != own[1].indices.tolist()


def test_an_empty_replay_and_rows_of_another_layout_are_refused() -> None:
    replay = Replay(ReplayBuffer(DTYPE, 7), UniformSampler())
    with pytest.raises(InputError, match="cannot sample from an empty replay buffer"):
        replay.sample(3, rng=np.random.default_rng(0), beta=1.0)
    with pytest.raises(InputError, match="another layout"):
        replay.extend(np.zeros(2, transition_dtype(spec_of("connect_four"))))
    assert len(replay) == 0


def test_a_state_may_be_read_into_the_memory_of_the_replay() -> None:
    """Rows and priorities are then those of a replay that copies them, bit for bit."""

    def make() -> Replay:
        return Replay(ReplayBuffer(DTYPE, 7), PrioritizedSampler(7, 0.7, 1e-3))

    first, copied, read = make(), make(), make()
    first.extend(numbered(0, 10))
    first.update(np.array([1, 4]), np.array([3.0, 0.1], np.float32))
    state = first.get_state()
    copied.set_state(state)
    memory = read.memory("/replay")
    for pointer, array in (
        ("/replay/buffer/rows", state["buffer"]["rows"]),
        ("/replay/sampler/priorities", state["sampler"]["priorities"]),
    ):
        there = memory[pointer][: array.nbytes]
        there[:] = np.frombuffer(array.tobytes(), np.uint8)
    assert memory.keys() == {"/replay/buffer/rows", "/replay/sampler/priorities"}
    rows = memory["/replay/buffer/rows"].view(DTYPE)[: len(first)]
    priorities = memory["/replay/sampler/priorities"].view(np.float64)[: len(first)]
    read.set_state(
        {
            "buffer": {**state["buffer"], "rows": rows},
            "sampler": {**state["sampler"], "priorities": priorities},
        }
    )
    for replay in (copied, read):
        one = first.sample(6, rng=np.random.default_rng(1), beta=0.4)
        other = replay.sample(6, rng=np.random.default_rng(1), beta=0.4)
        assert_same(one.rows, other.rows)
        assert one.weights.tolist() == other.weights.tolist()
