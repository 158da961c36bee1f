from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sparring.dqn.targets import (
    masked_argmax,
    masked_max,
    td_errors,
    td_targets,
    weighted_huber,
    weighted_square,
)

INF, NAN = math.inf, math.nan
NOTHING = [INF, -INF, NAN, 3e38, -3e38]  # what a masked entry may hold without anyone noticing


def backpropagate(loss: Tensor) -> None:
    torch.autograd.backward([loss])


def test_masked_max_by_hand() -> None:
    q = torch.tensor([[1.0, 5.0, -2.0], [1.0, 5.0, -2.0], [-3.0, -1.0, -2.0], [7.0, 8.0, 9.0]])
    mask = torch.tensor(
        [[True, True, True], [True, False, True], [True, False, True], [False, False, False]]
    )
    assert masked_max(q, mask).tolist() == [5.0, 1.0, -2.0, 0.0]
    assert masked_argmax(q, mask)[:3].tolist() == [1, 0, 2]


@pytest.mark.parametrize("junk", NOTHING)
def test_masked_entries_have_no_effect_whatever_they_hold(junk: float) -> None:
    q = torch.tensor([[junk, 0.25, -0.5], [-0.75, junk, junk], [junk, junk, junk]])
    mask = torch.tensor([[False, True, True], [True, False, False], [False, False, False]])
    assert masked_max(q, mask).tolist() == [0.25, -0.75, 0.0]
    assert masked_argmax(q, mask)[:2].tolist() == [1, 0]


@pytest.mark.parametrize("junk", NOTHING)
def test_masked_entries_have_no_effect_on_the_gradient(junk: float) -> None:
    q = torch.tensor([[junk, 0.25, -0.5], [junk, junk, junk]], requires_grad=True)
    mask = torch.tensor([[False, True, True], [False, False, False]])
    backpropagate(masked_max(q, mask).sum())
    assert q.grad is not None
    assert q.grad.tolist() == [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]


def test_a_legal_value_beats_a_masked_one_however_low_it_is() -> None:
    q = torch.tensor([[0.0, -3e38, 0.0]], dtype=torch.float32)
    mask = torch.tensor([[False, True, False]])
    assert masked_argmax(q, mask).tolist() == [1]
    assert masked_max(q, mask).tolist() == pytest.approx([-3e38])


def test_a_legal_nan_is_not_hidden() -> None:
    q = torch.tensor([[NAN, 1.0]])
    assert torch.isnan(masked_max(q, torch.tensor([[True, True]])))


def test_equal_values_give_the_first_legal_action() -> None:
    q = torch.tensor([[2.0, 2.0, 2.0]])
    assert masked_argmax(q, torch.tensor([[False, True, True]])).tolist() == [1]


def _targets(
    q_target: list[list[float]],
    q_online: list[list[float]] | None,
    mask: list[list[int]],
    R: list[float],
    discount: list[float] | None = None,
    sign: list[int] | None = None,
    returns: tuple[float, float] | None = None,
) -> Tensor:
    return td_targets(
        torch.tensor(q_target),
        None if q_online is None else torch.tensor(q_online),
        torch.tensor(mask, dtype=torch.bool),
        torch.tensor(R),
        torch.tensor(discount or [1.0] * len(R)),
        torch.tensor(sign or [1] * len(R), dtype=torch.int8),
        returns,
    )


def test_plain_takes_the_best_value_of_the_target_network() -> None:
    # 0.5 + 0.9 * 2 = 2.3; action 2 is illegal in the second row: 0.5 + 0.9 * 1 = 1.4
    target = _targets(
        [[1.0, 2.0, 0.0], [1.0, 0.0, 9.0]],
        None,
        [[1, 1, 1], [1, 1, 0]],
        R=[0.5, 0.5],
        discount=[0.9, 0.9],
    )
    assert target.tolist() == pytest.approx([2.3, 1.4])


def test_double_lets_the_online_network_choose_and_the_target_network_judge() -> None:
    # Online prefers action 0 (4 > 3), worth 1 to the target network, though that one would prefer
    # action 1 (worth 2).
    target = _targets([[1.0, 2.0, 5.0]], [[4.0, 3.0, 0.0]], [[1, 1, 1]], R=[0.5], discount=[0.9])
    assert target.tolist() == pytest.approx([0.5 + 0.9 * 1.0])
    # Its favourite is illegal: the next best is action 1.
    target = _targets([[1.0, 2.0, 5.0]], [[4.0, 3.0, 0.0]], [[0, 1, 1]], R=[0.5], discount=[0.9])
    assert target.tolist() == pytest.approx([0.5 + 0.9 * 2.0])


@pytest.mark.parametrize("junk", NOTHING)
@pytest.mark.parametrize("double", [False, True])
def test_junk_at_illegal_next_actions_does_not_reach_the_target(junk: float, double: bool) -> None:
    q_target = [[junk, 0.5], [junk, junk]]
    q_online = [[junk, -1.0], [junk, junk]] if double else None
    target = _targets(q_target, q_online, [[0, 1], [0, 0]], R=[0.0, -1.0], discount=[0.5, 0.5])
    assert target.tolist() == [0.25, -1.0]


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("junk", NOTHING)
def test_terminated_counts_the_reward_alone_whatever_the_networks_say(
    junk: float, double: bool
) -> None:
    q = [[junk, junk]]
    assert _targets(q, q if double else None, [[1, 1]], R=[1.0], discount=[0.0]).tolist() == [1.0]


def test_sign_turns_the_opponents_value_around() -> None:
    # The seat that moves next wins 0.8: bad for the opponent of the seat of t (-1), good for that
    # seat itself after an extra turn (+1).
    target = _targets(
        [[0.8, -0.3]] * 2,
        [[1.0, 0.0]] * 2,
        [[1, 1]] * 2,
        R=[0.1, 0.1],
        discount=[0.5, 0.5],
        sign=[-1, 1],
    )
    assert target.tolist() == pytest.approx([0.1 - 0.4, 0.1 + 0.4])


def test_n_step_discounts_by_the_steps_bridged() -> None:
    # gamma 0.9, three steps paid 1, 0, 2: R = 1 + 0.81 * 2 = 2.62; target = 2.62 + 0.729 * 10
    target = _targets([[10.0, 0.0]], None, [[1, 1]], R=[2.62], discount=[0.9**3])
    assert target.tolist() == pytest.approx([9.91])


def test_targets_are_clipped_to_the_returns_after_the_sum() -> None:
    q = [[1.5], [-1.5], [0.5], [1.5]]
    target = _targets(q, None, [[1]] * 4, R=[0.5, -0.5, 0.0, -1.0], returns=(-1.0, 1.0))
    assert target.tolist() == [1.0, -1.0, 0.5, 0.5]


def test_without_a_range_nothing_is_clipped() -> None:
    assert _targets([[100.0]], None, [[1]], R=[50.0]).tolist() == [150.0]


def test_targets_of_half_precision_networks_are_float32() -> None:
    q = torch.tensor([[0.5, 1.0]], dtype=torch.bfloat16)
    one = torch.ones(1)
    target = td_targets(
        q, q, torch.tensor([[True, True]]), 0.1 * one, 0.9 * one, one.to(torch.int8), (-1.0, 1.0)
    )
    assert target.dtype == torch.float32
    assert target.tolist() == [1.0]


def test_weighted_square_by_hand() -> None:
    # (1 * 0.25 + 0.5 * 9) / 2 / 2, whose derivatives are weight * error / 2
    errors = torch.tensor([0.5, -3.0], requires_grad=True)
    loss = weighted_square(errors, torch.tensor([1.0, 0.5]))
    backpropagate(loss)
    assert loss.item() == pytest.approx(1.1875)
    assert errors.grad is not None
    assert errors.grad.tolist() == pytest.approx([0.25, -0.75])


def test_weighted_huber_by_hand() -> None:
    # huber: 0.5 * 0.25 = 0.125; 0.5; 2 - 0.5 = 1.5; 3 - 0.5 = 2.5
    errors = torch.tensor([0.5, 1.0, -2.0, 3.0])
    assert weighted_huber(errors, torch.ones(4)).item() == pytest.approx(
        (0.125 + 0.5 + 1.5 + 2.5) / 4
    )
    # Over the batch, not over the sum of the weights.
    weights = torch.tensor([1.0, 0.5, 0.25, 0.1])
    assert weighted_huber(errors, weights).item() == pytest.approx(
        (0.125 + 0.25 + 0.375 + 0.25) / 4
    )


def test_the_gradient_is_the_clipped_weighted_error_of_the_taken_actions() -> None:
    q = torch.tensor([[0.0, 0.5], [0.25, 0.0], [0.0, 0.0]], requires_grad=True)
    errors = td_errors(
        q, torch.tensor([1, 0, 1], dtype=torch.int32), torch.tensor([1.0, -2.75, 0.25])
    )
    assert errors.tolist() == [0.5, -3.0, 0.25]
    backpropagate(weighted_huber(errors, torch.tensor([1.0, 0.5, 1.0])))
    assert q.grad is not None
    # -weight * clip(error, -1, 1) / B
    torch.testing.assert_close(q.grad, torch.tensor([[0.0, -0.5], [0.5, 0.0], [0.0, -0.25]]) / 3)


def test_no_gradient_flows_through_the_target() -> None:
    q_online = torch.tensor([[0.0, 0.5]], requires_grad=True)
    next_online = torch.tensor([[1.0, 2.0]], requires_grad=True)
    next_target = torch.tensor([[3.0, 4.0]], requires_grad=True)
    legal, one = torch.tensor([[True, True]]), torch.ones(1)
    assert not td_targets(next_target, next_online, legal, one, one, one).requires_grad
    assert not td_targets(next_target, None, legal, one, one, one).requires_grad
    leaky = next_target.amax(dim=1)
    backpropagate(weighted_huber(td_errors(q_online, torch.tensor([0]), leaky), one))
    assert q_online.grad is not None
    assert q_online.grad.tolist() == [[-1.0, 0.0]]
    assert next_target.grad is None


def test_against_a_slow_reading_of_the_formula() -> None:
    generator = torch.Generator().manual_seed(5)
    B, A = 200, 4
    q_target, q_online = (torch.randn(B, A, generator=generator) for _ in range(2))
    mask = torch.rand(B, A, generator=generator) < 0.5
    R, discount = torch.randn(B, generator=generator), torch.rand(B, generator=generator)
    sign = torch.randint(0, 2, (B,), generator=generator) * 2 - 1
    for online in (q_online, None):
        expected = []
        for i in range(B):
            legal = [a for a in range(A) if mask[i, a]]
            chooser = (q_target if online is None else online)[i]
            value = 0.0
            if legal:
                best = max(float(chooser[a]) for a in legal)
                value = float(next(q_target[i, a] for a in legal if float(chooser[a]) == best))
            expected.append(
                min(1.5, max(-1.5, float(R[i]) + float(discount[i]) * int(sign[i]) * value))
            )
        got = td_targets(q_target, online, mask, R, discount, sign.to(torch.int8), (-1.5, 1.5))
        assert got.tolist() == pytest.approx(expected, abs=1e-6)
