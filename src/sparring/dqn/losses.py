"""Losses of one minibatch: Huber on Q-values, cross-entropy on C51 distributions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from sparring.config.schema import LearningOptions
from sparring.dqn.architectures import QNetwork
from sparring.dqn.targets import (
    categorical_targets,
    cross_entropies,
    td_errors,
    td_targets,
    weighted_huber,
)
from sparring.replay.minibatch import TensorMinibatch


class LossOutput(NamedTuple):
    """The loss of a minibatch and its parts; only `loss` carries a gradient."""

    loss: Tensor  # []
    targets: Tensor  # [B], means of distributions
    errors: Tensor  # [B] target minus Q of the chosen action
    priorities: Tensor  # [B] for prioritised replay, which takes absolute values


class Loss(Protocol):
    """Targets of a minibatch, and the distance of a policy from them."""

    def target_pass(self, target: nn.Module, batch: TensorMinibatch) -> Tensor:
        """The target network's output for the next observations, [B, ...], without a gradient."""

    def __call__(
        self, policy: nn.Module, batch: TensorMinibatch, target_values: Tensor
    ) -> LossOutput:
        """TD targets from `target_values`, the result of `target_pass`, and the loss."""


def loss_of(
    network: nn.Module, options: LearningOptions, returns: tuple[float, float] | None
) -> Loss:
    """Cross-entropy for networks with atoms, else Huber with targets clipped to `returns`."""
    if isinstance(network, QNetwork) and network.head.support is not None:
        return Categorical(options.double_q)
    return Huber(options.double_q, returns)


@dataclass(frozen=True)
class Huber:
    """Huber loss of Q-values; the priorities are the TD errors."""

    double_q: bool
    returns: tuple[float, float] | None

    def target_pass(self, target: nn.Module, batch: TensorMinibatch) -> Tensor:
        """Q-values, [B, A]."""
        with torch.no_grad():
            return _infer(target, batch.next_observation)

    def __call__(
        self, policy: nn.Module, batch: TensorMinibatch, target_values: Tensor
    ) -> LossOutput:
        q: Tensor = policy(batch.observation).to(torch.float32)
        with torch.no_grad():
            q_next = _infer(policy, batch.next_observation) if self.double_q else None
        targets = td_targets(
            target_values,
            q_next,
            batch.next_mask,
            batch.R,
            batch.discount,
            batch.sign,
            self.returns,
        )
        errors = td_errors(q, batch.action, targets)
        loss = weighted_huber(errors, batch.weights)
        errors = errors.detach()
        return LossOutput(loss, targets, errors, errors)


@dataclass(frozen=True)
class Categorical:
    """Cross-entropy of distributions on atoms; the priorities are Kullback-Leibler divergences, as
    in Rainbow (Hessel et al., AAAI 2018).

    The divergence is the cross-entropy minus the target's own entropy: both have the same gradient.
    """

    double_q: bool

    def target_pass(self, target: nn.Module, batch: TensorMinibatch) -> Tensor:
        """Probabilities of the atoms, [B, A, N]."""
        assert isinstance(target, QNetwork)
        with torch.no_grad():
            return target.head.logits(target.infer_hidden(batch.next_observation)).softmax(dim=2)

    def __call__(
        self, policy: nn.Module, batch: TensorMinibatch, target_values: Tensor
    ) -> LossOutput:
        assert isinstance(policy, QNetwork)
        atoms = policy.head.support
        assert atoms is not None
        logits = policy.head.logits(policy.hidden(batch.observation))
        with torch.no_grad():
            q_next = (
                policy.infer(batch.next_observation)
                if self.double_q
                else (target_values * atoms).sum(dim=2)
            )
        distribution = categorical_targets(
            target_values, q_next, batch.next_mask, batch.R, batch.discount, batch.sign, atoms
        )
        entropies = cross_entropies(logits, batch.action, distribution)
        loss = (batch.weights * entropies).mean()
        with torch.no_grad():
            targets = (distribution * atoms).sum(dim=1)
            q = (logits.softmax(dim=2) * atoms).sum(dim=2)
            negative_entropies = torch.xlogy(distribution, distribution).sum(dim=1)
            divergences = (entropies + negative_entropies).clamp(min=0.0)
            return LossOutput(loss, targets, td_errors(q, batch.action, targets), divergences)


def _infer(network: nn.Module, observation: Tensor) -> Tensor:
    """[B, A] float32, without a gradient."""
    q: Tensor = (
        network.infer(observation) if isinstance(network, QNetwork) else network(observation)
    )
    return q.to(torch.float32)
