from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from numpy.typing import NDArray

from sparring.errors import InputError
from sparring.games.spec import GameSpec
from sparring.replay import ReplayBuffer, transition_dtype

SPEC = GameSpec(
    name="toy",
    num_players=2,
    num_actions=3,
    observation_shape=(2, 5),
    observation_dtype="int8",
    max_plies=10,
)
DTYPE = transition_dtype(SPEC)


def make_rows(first: int, count: int) -> NDArray[Any]:
    """Rows that differ in every field, named by consecutive numbers."""
    rows = np.zeros(count, DTYPE)
    number = np.arange(first, first + count)
    rows["observation"] = (number[:, None, None] + np.arange(10).reshape(2, 5)) % 100
    rows["next_observation"] = rows["observation"] + 1
    rows["mask"] = (number[:, None] >> np.arange(3)) & 1
    rows["next_mask"] = ~rows["mask"]
    rows["action"] = number % 3
    rows["R"] = number / 4
    rows["discount"] = 1 / (1 + number)
    rows["sign"] = 1 - 2 * (number % 2)
    rows["version"] = number
    return rows


def assert_equal_rows(got: NDArray[Any], expected: NDArray[Any]) -> None:
    for name in DTYPE.names or ():
        assert got[name].tolist() == expected[name].tolist(), name


class BufferMachine(RuleBasedStateMachine):
    """The model: the list of all rows ever inserted, of which number i lies at i % capacity."""

    @initialize(capacity=st.integers(1, 17))
    def start(self, capacity: int) -> None:
        self.capacity = capacity
        self.buffer = ReplayBuffer(DTYPE, capacity)
        self.all = make_rows(0, 0)

    @rule(count=st.integers(0, 40))
    def extend(self, count: int) -> None:
        rows = make_rows(len(self.all), count)
        first, kept = self.buffer.extend(rows)
        rows["version"] = -1  # the buffer has its own copy
        numbers = range(
            max(len(self.all), len(self.all) + count - self.capacity), len(self.all) + count
        )
        assert [(first + i) % self.capacity for i in range(kept)] == [
            number % self.capacity for number in numbers
        ]
        self.all = make_rows(0, len(self.all) + count)

    @rule()
    def save_and_restore(self) -> None:
        state = self.buffer.get_state()
        self.buffer = ReplayBuffer(DTYPE, self.capacity)
        self.buffer.set_state(state)

    @rule()
    def save_and_read_into_place(self) -> None:
        """As a checkpoint does: rows are written from where they lie, and read back there."""
        state = self.buffer.get_state()
        assert np.shares_memory(state["rows"], self.buffer.rows) or not len(self.buffer)
        stored = state["rows"].tobytes()
        restored = ReplayBuffer(DTYPE, self.capacity)
        restored.memory[: len(stored)] = np.frombuffer(stored, np.uint8)
        read = restored.memory[: len(stored)].view(DTYPE)
        restored.set_state({"rows": read, "inserted": state["inserted"]})
        self.buffer = restored

    @rule()
    def restore_over_what_is_there(self) -> None:
        state = copy.deepcopy(self.buffer.get_state())
        self.buffer.extend(make_rows(5000, 2 * self.capacity))
        self.buffer.set_state(state)

    def expected_rows(self) -> NDArray[Any]:
        rows = np.zeros(min(len(self.all), self.capacity), DTYPE)
        for number, row in enumerate(self.all):
            rows[number % self.capacity] = row
        return rows

    @invariant()
    def holds_the_newest_rows(self) -> None:
        if not hasattr(self, "buffer"):
            return
        assert self.buffer.inserted == len(self.all)
        assert len(self.buffer) == min(len(self.all), self.capacity)
        assert_equal_rows(self.buffer.rows, self.expected_rows())
        assert_equal_rows(self.buffer.storage[: len(self.buffer)], self.expected_rows())
        assert len(self.buffer.storage) == self.capacity


TestReplayBuffer = BufferMachine.TestCase
TestReplayBuffer.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)


def test_wrap_around_by_hand() -> None:
    buffer = ReplayBuffer(DTYPE, 5)
    assert buffer.extend(make_rows(0, 3)) == (0, 3)
    assert buffer.extend(make_rows(3, 4)) == (3, 4)
    assert buffer.rows["version"].tolist() == [5, 6, 2, 3, 4]
    # Rows 7 to 18, of which 14 to 18 are kept.
    assert buffer.extend(make_rows(7, 12)) == (4, 5)
    assert buffer.rows["version"].tolist() == [15, 16, 17, 18, 14]
    assert buffer.inserted == 19


def test_takes_rows_of_a_strided_or_read_only_array() -> None:
    rows = make_rows(0, 8)[::2]
    rows.flags.writeable = False
    buffer = ReplayBuffer(DTYPE, 8)
    buffer.extend(rows)
    assert buffer.rows["version"].tolist() == [0, 2, 4, 6]


def test_rows_cannot_be_written_through_the_view() -> None:
    buffer = ReplayBuffer(DTYPE, 5)
    buffer.extend(make_rows(0, 3))
    with pytest.raises(ValueError, match="read-only"):
        buffer.rows["R"][0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        buffer.storage["R"][0] = 1.0
    buffer.extend(make_rows(3, 1))
    assert len(buffer) == 4


def test_refuses_rows_of_another_layout() -> None:
    buffer = ReplayBuffer(DTYPE, 5)
    other = np.zeros(
        2,
        transition_dtype(
            GameSpec(
                name="other",
                num_players=2,
                num_actions=4,
                observation_shape=(2, 5),
                observation_dtype="int8",
                max_plies=10,
            )
        ),
    )
    with pytest.raises(InputError, match="another layout"):
        buffer.extend(other)


def test_refuses_a_state_of_another_capacity() -> None:
    buffer = ReplayBuffer(DTYPE, 5)
    buffer.extend(make_rows(0, 9))
    with pytest.raises(InputError, match="buffer_size"):
        ReplayBuffer(DTYPE, 6).set_state(buffer.get_state())


def test_refuses_a_capacity_of_nothing() -> None:
    with pytest.raises(InputError, match="at least 1"):
        ReplayBuffer(DTYPE, 0)


@pytest.mark.parametrize("capacity", [10**15, 2**63])
def test_a_capacity_that_no_memory_holds_is_one_line(capacity: int) -> None:
    with pytest.raises(InputError, match=r"not enough memory .* lower buffer_size"):
        ReplayBuffer(DTYPE, capacity)
