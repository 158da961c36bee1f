"""The mathematics of one DQN update, as pure functions of tensors.

B is the size of the minibatch, A the number of actions, N the number of atoms of a distribution.
For the transition from step t to step t + n:

    target = clip(R + discount * sign * Q_target(s', a*), returns)
    a* = argmax_a Q_target(s', a)      plain: Mnih et al. (2015)
    a* = argmax_a Q_online(s', a)      double: van Hasselt et al. (2016)
    loss = mean_i w_i * huber(target_i - Q_online(s_i, a_i))

and for distributions of returns, as in algorithm 1 of Bellemare et al. (2017):

    target = projection on the atoms of clip(R + discount * sign * Z_target(s', a*))
    a* as above, by the means of the distributions
    loss = mean_i w_i * cross_entropy(target_i, Z_online(s_i, a_i))

Sources:
- Mnih et al., "Human-level control through deep reinforcement learning" (Nature, 2015)
- van Hasselt et al., "Deep reinforcement learning with double Q-learning" (AAAI 2016)
- Bellemare et al., "A distributional perspective on reinforcement learning" (ICML 2017)

Deviations from these papers:
- maximum and argmax run over the legal next actions; in the papers all actions are always legal;
- `sign` is -1 where the next state belongs to the opponent of a zero-sum game (negamax), else +1;
- R sums n >= 1 steps and discount is gamma^n; the moves in between are not corrected for being
  off-policy;
- targets are clipped to the range of returns that the game declares, in place of clipping the
  rewards; distributions are clipped to their atoms, which span that range;
- the loss is the squared error where targets are random (`losses.py`);
- the loss has importance weights (Schaul et al., 2016), which are all 1 with uniform sampling.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import huber_loss

HUBER_DELTA: Final = 1.0


def masked_max(q: Tensor, mask: Tensor) -> Tensor:
    """`max_a q[i, a]` over the actions with `mask[i, a]`, [B]; 0 in rows without any.

    q is [B, A] floating, mask [B, A] bool. A masked value is excluded, never multiplied: it may be
    infinite or NaN.
    """
    best = _legal_only(q, mask).amax(dim=1)
    return torch.where(mask.any(dim=1), best, torch.zeros_like(best))


def masked_argmax(q: Tensor, mask: Tensor) -> Tensor:
    """`argmax_a q[i, a]` over the actions with `mask[i, a]`, [B] int64, the first one of equals; 0
    in rows without any.
    """
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
    """`R + discount * sign * Q_target(s', a*)`, [B], without gradient; clipped to `returns`
    (lowest, highest) if they are given.

    q_next_target and q_next_online are [B, A]; a* is the best legal action by q_next_online (double
    DQN), or by q_next_target if q_next_online is None (plain DQN). next_mask is [B, A] bool; R and
    discount are [B] floating; sign is [B], +1 or -1. The next state is ignored where discount is 0
    (terminated) or no next action is legal, whatever its values are.
    """
    with torch.no_grad():
        if q_next_online is None:
            value = masked_max(q_next_target, next_mask)
        else:
            value = q_next_target.gather(
                1, masked_argmax(q_next_online, next_mask).unsqueeze(1)
            ).squeeze(1)
        bootstraps = next_mask.any(dim=1) & (discount != 0)
        target = R + torch.where(bootstraps, discount * sign * value, torch.zeros_like(R))
        return target if returns is None else target.clamp(*returns)


def categorical_targets(
    p_next: Tensor,
    q_next: Tensor,
    next_mask: Tensor,
    R: Tensor,
    discount: Tensor,
    sign: Tensor,
    atoms: Tensor,
) -> Tensor:
    """The projected distribution of `R + discount * sign * Z(s', a*)`, [B, N], without gradient.

    p_next [B, A, N] are the target network's probabilities of the `atoms` [N], evenly spaced and
    rising; a* is the best legal action by q_next [B, A], the means by the online network (double
    DQN) or by the target network. The others are as for `td_targets`. Each atom's probability goes
    to the two atoms around the place it moves to, in proportion to their nearness; places beyond
    the ends count as the ends.
    """
    with torch.no_grad():
        chosen = masked_argmax(q_next, next_mask)
        p = p_next[torch.arange(len(chosen), device=chosen.device), chosen]
        bootstraps = next_mask.any(dim=1) & (discount != 0)
        scale = torch.where(bootstraps, discount * sign, torch.zeros_like(R))
        low, high, N = atoms[0], atoms[-1], len(atoms)
        moved = (R.unsqueeze(1) + scale.unsqueeze(1) * atoms).clamp(low, high)
        place = ((moved - low) * ((N - 1) / (high - low))).clamp(0, N - 1)
        below = place.floor()
        share = place - below
        below = below.long()
        target = torch.zeros_like(p).scatter_add_(1, below, p * (1 - share))
        return target.scatter_add_(1, (below + 1).clamp(max=N - 1), p * share)


def cross_entropies(logits: Tensor, action: Tensor, target: Tensor) -> Tensor:
    """`-sum_j target[i, j] log softmax(logits[i, action[i]])[j]`, [B], with a gradient through
    `logits` [B, A, N]; target [B, N].
    """
    taken = logits[torch.arange(len(action), device=action.device), action.long()]
    return -(target.detach() * taken.log_softmax(dim=1)).sum(dim=1)


def td_errors(q_online: Tensor, action: Tensor, target: Tensor) -> Tensor:
    """`target - q_online[i, action[i]]`, [B], with a gradient through `q_online` [B, A] only;
    action is [B] integer, target [B].
    """
    taken = q_online.gather(1, action.long().unsqueeze(1)).squeeze(1)
    return target.detach() - taken


def weighted_huber(errors: Tensor, weights: Tensor) -> Tensor:
    """`mean_i weights[i] * huber(errors[i])`, a scalar; huber(x) = x^2 / 2 where |x| <= 1, else |x|
    - 1/2.

    Its derivative is the error clipped to [-1, 1], which is what Mnih et al. (2015) call error
    clipping. The mean is over all B, not over the sum of the weights: weights of at most 1 can only
    make a step smaller (Schaul et al., 2016, section 3.4).
    """
    return (
        weights * huber_loss(errors, torch.zeros_like(errors), reduction="none", delta=HUBER_DELTA)
    ).mean()


def weighted_square(errors: Tensor, weights: Tensor) -> Tensor:
    """`mean_i weights[i] * errors[i]^2 / 2`, a scalar: for random targets, whose mean it gives."""
    return (weights * errors.square()).mean() / 2


def _legal_only(q: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask, q, -torch.inf)
