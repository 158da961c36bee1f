"""Losses of one minibatch: Huber or squared error on Q-values, cross-entropy on C51 distributions.

With equal probabilities of +1 and -0.5 the expected value is 0.25. The minimum of the Huber loss
lies between mean and median of the targets, and only that of the squared error is the mean. So the
Huber loss is for games in which the target follows from the transition's state and action.
"""

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
    weighted_square,
)
from sparring.games.spec import GameSpec
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


def loss_of(network: nn.Module, options: LearningOptions, game: GameSpec) -> Loss:
    """Cross-entropy for networks with atoms; else Huber, or where targets are random, the squared
    error relative to half the range of returns, if that is declared.
    """
    bootstraps = options.gamma > 0.0
    # one action needs no choice
    double_q = options.double_q and game.num_actions > 1 and bootstraps
    if isinstance(network, QNetwork) and network.head.support is not None:
        return Categorical(double_q)
    returns = game.value_range if options.clip_targets else None
    if not has_random_targets(game, options):
        return OfQValues(double_q, returns, squared=False, unit=1.0, bootstraps=bootstraps)
    lowest, highest = game.value_range or (-1.0, 1.0)
    unit = (highest - lowest) / 2
    return OfQValues(double_q, returns, squared=True, unit=unit, bootstraps=bootstraps)


def has_random_targets(game: GameSpec, options: LearningOptions) -> bool:
    """True if equal states and actions lead to different targets: by chance, by what is hidden, or
    by the moves of others before the seat's next turn (`own_turn`).
    """
    own_turn = options.bootstrap == "own_turn" or not game.allows_zero_sum_bootstrap
    return game.chance or game.hidden_information or (own_turn and game.num_players > 1)


@dataclass(frozen=True)
class OfQValues:
    """Huber loss or squared error of Q-values; the priorities are the TD errors.

    Errors count in multiples of `unit`, so that `max_grad_norm` means the same for all ranges of
    returns.
    """

    double_q: bool
    returns: tuple[float, float] | None  # targets are clipped to it
    squared: bool
    unit: float
    bootstraps: bool = True  # else targets are R alone, and the target network is not asked

    def target_pass(self, target: nn.Module, batch: TensorMinibatch) -> Tensor:
        """Q-values, [B, A]."""
        if not self.bootstraps:
            return torch.zeros_like(batch.next_mask, dtype=torch.float32)
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
        distance = weighted_square if self.squared else weighted_huber
        loss = distance(errors / self.unit, batch.weights)
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
