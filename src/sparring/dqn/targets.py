"""The mathematics of one DQN update, as pure functions of tensors.

B is the size of the minibatch, A the number of actions. For the transition from step t to step t + n:

    target = clip(R + discount * sign * Q_target(s', a*), returns)
    a* = argmax_a Q_target(s', a)      Mnih et al., "Human-level control through deep reinforcement learning" (Nature, 2015)
    a* = argmax_a Q_online(s', a)      van Hasselt et al., "Deep reinforcement learning with double Q-learning" (AAAI 2016)
    loss = mean_i w_i * huber(target_i - Q_online(s_i, a_i))

Deviations from both papers:
- maximum and argmax run over the legal next actions; both papers' games allow all actions always;
- `sign` is -1 where the next state belongs to the opponent of a zero-sum game (negamax), else +1;
- R sums n >= 1 steps and discount is gamma^n; the moves in between are not corrected for being off-policy;
- targets are clipped to the range of returns that the game declares, in place of clipping the rewards;
- the loss is weighted by importance (Schaul et al., 2016); the weights are all 1 with uniform sampling.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import huber_loss

HUBER_DELTA: Final = 1.0


def masked_max(q: Tensor, mask: Tensor) -> Tensor:
    """`max_a q[i, a]` over the actions with `mask[i, a]`, [B]; 0 in rows without any.

    q is [B, A] floating, mask [B, A] bool. A value that is masked out is excluded, never multiplied: it may be infinite or NaN.
    """
    best = _legal_only(q, mask).amax(dim=1)
    return torch.where(mask.any(dim=1), best, torch.zeros_like(best))


def masked_argmax(q: Tensor, mask: Tensor) -> Tensor:
    """`argmax_a q[i, a]` over the actions with `mask[i, a]`, [B] int64, the first one of equals; 0, of no meaning, in rows without any."""
    return _legal_only(q, mask).argmax(dim=1)


def td_targets(
    q_next_target: Tensor,
    q_next_online: Tensor | None,
    next_mask: Tensor,
    R: Tensor,
    discount: Tensor,
    sign: Tensor,
    returns: tuple[float, float] | None = None,
) -> Tensor:
    """`R + discount * sign * Q_target(s', a*)`, [B], without gradient; clipped to `returns` (lowest, highest) if they are given.

    q_next_target and q_next_online are [B, A]; a* is the best legal action by q_next_online (double DQN), or by q_next_target if
    q_next_online is None (plain DQN). next_mask is [B, A] bool; R and discount are [B] floating; sign is [B], +1 or -1.
    The next state counts for nothing where discount is 0 (terminated) or no next action is legal, whatever its values are.
    """
    with torch.no_grad():
        if q_next_online is None:
            value = masked_max(q_next_target, next_mask)
        else:
            value = q_next_target.gather(1, masked_argmax(q_next_online, next_mask).unsqueeze(1)).squeeze(1)
        bootstraps = next_mask.any(dim=1) & (discount != 0)
        target = R + torch.where(bootstraps, discount * sign * value, torch.zeros_like(R))
        return target if returns is None else target.clamp(*returns)


def td_errors(q_online: Tensor, action: Tensor, target: Tensor) -> Tensor:
    """`target - q_online[i, action[i]]`, [B], with a gradient through `q_online` [B, A] only; action is [B] integer, target [B]."""
    taken = q_online.gather(1, action.long().unsqueeze(1)).squeeze(1)
    return target.detach() - taken


def weighted_huber(errors: Tensor, weights: Tensor) -> Tensor:
    """`mean_i weights[i] * huber(errors[i])`, a scalar; huber(x) = x^2 / 2 where |x| <= 1, else |x| - 1/2.

    Its derivative is the error clipped to [-1, 1], which is what Mnih et al. (2015) call error clipping. The mean is over all B, not
    over the sum of the weights: weights of at most 1 can only make a step smaller (Schaul et al., 2016, section 3.4).
    """
    return (weights * huber_loss(errors, torch.zeros_like(errors), reduction="none", delta=HUBER_DELTA)).mean()


def _legal_only(q: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask, q, -torch.inf)
