"""What is made smaller: how far a policy is from its targets on one minibatch, for plain Q-values
and for distributions of returns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from sparring.dqn.architectures import QNetwork
from sparring.dqn.targets import (
    categorical_targets,
    cross_entropies,
    td_errors,
    td_targets,
    weighted_huber,
)
from sparring.replay.minibatch import TensorMinibatch


class Judged(NamedTuple):
    """A minibatch as the loss sees it; a gradient leads through `loss` only."""

    loss: Tensor  # []
    targets: Tensor  # [B], means of distributions
    errors: Tensor  # [B] target minus Q of the chosen action
    surprise: Tensor  # [B] how wrong the network was, for a prioritised replay


class Loss(Protocol):
    """Where a minibatch's targets come from, and how far a policy is from them."""

    def look(self, target: nn.Module, batch: TensorMinibatch) -> Tensor:
        """What the target network says of the next positions, [B, ...], without a gradient."""

    def __call__(self, policy: nn.Module, batch: TensorMinibatch, looked: Tensor) -> Judged:
        """The loss; `looked` is from `look`."""


def loss_of(network: nn.Module, *, double_q: bool, returns: tuple[float, float] | None) -> Loss:
    """The loss that suits a network: categorical where it gives distributions, else Huber's with
    targets clipped to `returns`.
    """
    if isinstance(network, QNetwork) and network.head.support is not None:
        return Categorical(double_q)
    return Huber(double_q, returns)


@dataclass(frozen=True)
class Huber:
    """The Huber loss of Q-values; surprise is the error."""

    double_q: bool
    returns: tuple[float, float] | None

    def look(self, target: nn.Module, batch: TensorMinibatch) -> Tensor:
        """Q-values, [B, A]."""
        with torch.no_grad():
            return _infer(target, batch.next_observation)

    def __call__(self, policy: nn.Module, batch: TensorMinibatch, looked: Tensor) -> Judged:
        q: Tensor = policy(batch.observation).to(torch.float32)
        with torch.no_grad():
            q_online = _infer(policy, batch.next_observation) if self.double_q else None
        targets = td_targets(
            looked, q_online, batch.next_mask, batch.R, batch.discount, batch.sign, self.returns
        )
        errors = td_errors(q, batch.action, targets)
        loss = weighted_huber(errors, batch.weights)
        errors = errors.detach()
        return Judged(loss, targets, errors, errors)


@dataclass(frozen=True)
class Categorical:
    """The cross-entropy of distributions on atoms; surprise is the Kullback-Leibler divergence, as
    in Rainbow (Hessel et al., AAAI 2018).

    That divergence is the cross-entropy less the target's own entropy, so both have the same
    gradient.
    """

    double_q: bool

    def look(self, target: nn.Module, batch: TensorMinibatch) -> Tensor:
        """Probabilities of the atoms, [B, A, N]."""
        assert isinstance(target, QNetwork)
        with torch.no_grad():
            return target.head.logits(target.infer_hidden(batch.next_observation)).softmax(dim=2)

    def __call__(self, policy: nn.Module, batch: TensorMinibatch, looked: Tensor) -> Judged:
        assert isinstance(policy, QNetwork)
        atoms = policy.head.support
        assert atoms is not None
        logits = policy.head.logits(policy.hidden(batch.observation))
        with torch.no_grad():
            q_next = (
                policy.infer(batch.next_observation)
                if self.double_q
                else (looked * atoms).sum(dim=2)
            )
        distribution = categorical_targets(
            looked, q_next, batch.next_mask, batch.R, batch.discount, batch.sign, atoms
        )
        entropies = cross_entropies(logits, batch.action, distribution)
        loss = (batch.weights * entropies).mean()
        with torch.no_grad():
            targets = (distribution * atoms).sum(dim=1)
            means = (logits.softmax(dim=2) * atoms).sum(dim=2)
            surprise = (entropies + torch.xlogy(distribution, distribution).sum(dim=1)).clamp(
                min=0.0
            )
            return Judged(loss, targets, td_errors(means, batch.action, targets), surprise)


def _infer(network: nn.Module, observation: Tensor) -> Tensor:
    """[B, A] float32, without a gradient."""
    q: Tensor = (
        network.infer(observation) if isinstance(network, QNetwork) else network(observation)
    )
    return q.to(torch.float32)
