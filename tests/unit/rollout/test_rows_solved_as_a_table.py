"""The transitions of random play, solved as a table, have the exact values of the game."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from collected_rows import collected
from numpy.typing import NDArray

Table = dict[bytes, NDArray[np.float64]]  # Q-values [A] by observation; NaN for unseen actions


def solved(rows: NDArray[Any], sweeps: int = 300) -> Table:
    """The fixed point of `Q(s, a) = mean of R + discount * sign * max Q(s', legal)`."""
    keys = [row["observation"].tobytes() for row in rows]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    state, action = np.array([numbers[key] for key in keys]), rows["action"]
    # A next state that no row starts from cannot occur: its value would be unknown.
    ends = rows["discount"] == 0
    following = np.array(
        [
            0 if end else numbers[row["next_observation"].tobytes()]
            for row, end in zip(rows, ends, strict=True)
        ]
    )
    count = np.zeros((len(numbers), rows["mask"].shape[1]))
    np.add.at(count, (state, action), 1)
    q = np.where(count > 0, 0.0, np.nan)
    for _ in range(sweeps):
        values = np.nanmax(q, axis=1)[following]
        targets = rows["R"] + np.where(ends, 0.0, rows["discount"] * rows["sign"] * values)
        sums = np.zeros_like(count)
        np.add.at(sums, (state, action), targets)
        q = np.divide(sums, count, out=np.full_like(count, np.nan), where=count > 0)
    return {key: q[number] for key, number in numbers.items()}


def test_extra_turns_keep_the_sign() -> None:
    gamma = 0.9
    rows = collected("exact_games:ExtraTurns", "zero_sum", gamma=gamma, matches=1_500)
    table = solved(rows)
    value = {0: 0.0}
    for pile in range(1, 12):
        exact = {
            taken: 1.0
            if pile == taken
            else gamma * value[pile - taken] * (1 if (pile - taken) % 3 == 0 else -1)
            for taken in (1, 2, 3)
            if taken <= pile
        }
        value[pile] = max(exact.values())
        q = table[np.eye(12, dtype=np.int8)[pile].tobytes()]
        assert [q[taken - 1] for taken in exact] == pytest.approx(list(exact.values()), abs=1e-4)
    assert set(rows["sign"].tolist()) == {1, -1}


@pytest.mark.parametrize("game", ["Echo", "LateEcho"])
def test_pay_during_the_others_ply_belongs_to_the_decision_before(game: str) -> None:
    rows = collected(f"exact_games:{game}", "own_turn", gamma=0.0, matches=100)
    right = rows["action"] == (rows["observation"].argmax(1) + 3) % 10
    np.testing.assert_array_equal(rows["R"], right)


def test_each_of_three_seats_has_its_own_values() -> None:
    table = solved(collected("exact_games:PaidBySeat", "own_turn", gamma=1.0, matches=1_500))
    actions = np.arange(4)
    for seat in range(3):
        for first in range(4):
            second = np.array([*np.eye(3)[seat], 1, first], np.float32)
            assert table[second.tobytes()] == pytest.approx((seat + 1) * (first - actions))
        start = np.array([*np.eye(3)[seat], 0, 0], np.float32)
        assert table[start.tobytes()] == pytest.approx((seat + 1) * actions)


def test_a_seat_that_is_out_has_its_last_reward() -> None:
    table = solved(collected("exact_games:Knockout", "own_turn", gamma=1.0, matches=1_000))
    starts = [
        (seat, stays)
        for seat in range(3)
        for stays in ([1, 1, 1], [0, 1, 1], [1, 0, 1], [0, 0, 1])
        if all(stays[seat:])
    ]
    for seat, stays in starts:
        start = np.array([*np.eye(3)[seat], 0, *stays], np.float32)
        assert table[start.tobytes()] == pytest.approx([1.0, -1.0]), (seat, stays)


def test_a_match_without_an_end_has_its_infinite_value() -> None:
    """1 / (1 - 0.9), as the cut bootstraps; as an end it would be at most 6.5."""
    rows = collected("exact_games:Salary", "own_turn", gamma=0.9, matches=100)
    for q in solved(rows).values():
        assert q == pytest.approx([10.0, 10.0], abs=1e-4)
