"""One DQN update on a minibatch that is on the device; never waits for the device.

    target values  `Update.target_pass`: target network on the next observations
    TD targets     `targets.py`, called by the loss
    loss           `losses.py`: Huber, squared error or cross-entropy, with importance weights
    gradient       `Update._loss_and_gradient`
    other ranks    `SharedMinibatch.join`: gradient of the minibatch that several learners share
    clipping       `Update._clip_gradient`: global norm
    step           `optimizer.Adam.step`

`learner.py` samples the minibatch before, and updates priorities and target network afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import Final, TypeVar

import torch
from torch import Tensor, nn

from sparring.config.schema import LearningOptions
from sparring.dqn.architectures import QNetwork
from sparring.dqn.heads import fill_noise, noise_size
from sparring.dqn.kernels import add_each, copy_each, lerp_each
from sparring.dqn.losses import LossOutput, loss_of
from sparring.dqn.optimizer import Adam, split_like, trainable_parameters
from sparring.dqn.shared_minibatch import Ranks, SharedMinibatch
from sparring.games.spec import GameSpec
from sparring.replay.minibatch import Part, TensorMinibatch

_POLICY, _TARGET = 0, 1
_MAX_PENDING: Final = 64  # steps whose statistics are summed together


class Update:
    """Update step of a policy towards its TD targets; `optimizer` is the policy's.

    With `bfloat16` matrix products of built-in networks are in that precision, on copies of the
    weights. Users' networks always work in float32: bfloat16 cannot represent small differences of
    Q-values, and their last layer is not known here. After a change of weights from outside call
    `refresh`.

    A series of steps starts with `begin`. Once a loss or the norm of a gradient is not finite,
    `failed` is 1 and the weights stay as they are until the next series, so no step has to wait for
    the device.
    """

    failed: Tensor  # [] float32, 0 or 1
    last: tuple[Tensor, Tensor]  # loss and gradient norm of the last step; invalid in CUDA graphs

    def __init__(
        self,
        policy: nn.Module,
        target: nn.Module,
        optimizer: Adam,
        options: LearningOptions,
        *,
        game: GameSpec,
        bfloat16: bool = False,
        threads: int = 1,
        ranks: Ranks | None = None,
    ) -> None:
        self._options = options
        self._optimizer = optimizer
        self.shared = None
        if ranks is not None:
            weights = optimizer.weights
            self.shared = SharedMinibatch(ranks, len(weights), weights.device)
            optimizer.gradient = self.shared.gradient
        self._loss = loss_of(policy, options, game)
        self._masters = [list[Tensor](network.parameters()) for network in (policy, target)]
        self._policy, self._target = policy, target
        if bfloat16:
            self._policy, self._target = _in_bfloat16(policy, target)
        self._working = [
            list[Tensor](network.parameters()) for network in (self._policy, self._target)
        ]
        self._has_copies = self._policy is not policy
        self._trained = trainable_parameters(self._policy)
        self._gradients = split_like(optimizer.gradient, self._trained)
        device = optimizer.weights.device
        self.failed, self._divisor = torch.zeros((), device=device), torch.ones((), device=device)
        self._nan_if_failed = torch.zeros((), device=device)  # 0, then NaN from the first failure
        self._threads = Threads(min(threads, options.batch_size))
        self.statistics = Statistics(device)
        self.refresh()

    def begin(self) -> None:
        """Begin a series: reset the statistics and `failed`."""
        self.statistics.reset()
        if self.shared is not None:
            self.shared.begin()
        self._nan_if_failed.zero_()
        self.failed.zero_()

    def target_pass(self, batch: TensorMinibatch, noise: Tensor) -> Tensor:
        """Target network on the next observations, for a `step` before the target network moves.

        Independent of the policy: a thread may call this while another makes a step with another
        minibatch. `noise` [noise_size] is that of `step`.
        """
        fill_noise(self._target, noise[len(noise) // 2 :])
        return self._loss.target_pass(self._target, batch)

    def step(
        self,
        batch: TensorMinibatch,
        target_values: Tensor,
        noise: Tensor,
        ratio: Tensor | float = 1.0,
    ) -> Tensor:
        """Make one update with the result of `target_pass`; return priorities, [B] float32.

        `noise` [noise_size] are standard normal numbers for noisy layers, the first half for the
        policy, the others for the target. The policy evaluates both positions of a transition with
        the same noise, as in Fortunato et al. (2018); only for double DQN they draw a third one for
        the choice of the next action. `ratio` is that of `SharedMinibatch`, with several ranks.
        """
        fill_noise(self._policy, noise[: len(noise) // 2])
        output = self._loss_and_gradient(batch, target_values)
        if self.shared is not None:
            output = output._replace(loss=self.shared.join(output.loss, ratio))
        norm = self._clip_gradient(output.loss)
        self._optimizer.step(scale=self._divisor, failed=self.failed)
        self._refresh(_POLICY)
        self.last = output.loss, norm
        self.statistics.add(output, norm, batch.version)
        return output.priorities

    def _loss_and_gradient(self, batch: TensorMinibatch, target_values: Tensor) -> LossOutput:
        """Loss; fills `optimizer.gradient`. Each thread takes a part of the minibatch."""
        parts = batch.parts(self._threads.size)
        values = torch.split(target_values, [len(part.R) for part, _ in parts])
        results = self._threads.map(self._part, list(zip(parts, values, strict=True)))
        with torch.no_grad():
            copy_each(self._gradients, results[0][1])
            for _, gradients in results[1:]:
                add_each(self._gradients, gradients)
            return _joined([output for output, _ in results])

    def _part(self, item: tuple[Part, Tensor]) -> tuple[LossOutput, tuple[Tensor, ...]]:
        """Loss of a part of a minibatch, as its share of the mean over the whole; its gradient."""
        (batch, share), target_values = item
        output = self._loss(self._policy, batch, target_values)
        loss = output.loss if share == 1.0 else output.loss * share
        gradients = torch.autograd.grad(
            loss, self._trained, allow_unused=True, materialize_grads=True
        )
        return output._replace(loss=loss.detach()), gradients

    def _clip_gradient(self, loss: Tensor) -> Tensor:
        """Set the divisor that clips the gradient, and `failed`; return the unclipped norm."""
        norm: Tensor = torch.linalg.vector_norm(self._optimizer.gradient)
        # For an infinite error the Huber loss is infinite and its gradient is finite: check both.
        # 0 times a number that is not finite is NaN, and a sum with NaN stays NaN.
        self._nan_if_failed.add_(loss + norm, alpha=0.0)
        self.failed.copy_(torch.isnan(self._nan_if_failed))
        torch.clamp(norm / self._options.max_grad_norm, min=1.0, out=self._divisor)
        return norm

    def means(self, steps: int) -> list[float]:
        """Means of `Statistics` over the last `steps`, and over all ranks."""
        return self.statistics.means(steps, self.shared)

    def move_target(self, tau: float) -> None:
        """Move the target network's weights towards the policy's by the fraction `tau`."""
        with torch.no_grad():
            lerp_each(self._masters[_TARGET], self._masters[_POLICY], tau)
        self._refresh(_TARGET)

    @property
    def noise_size(self) -> int:
        """Number of random numbers for the noise of one step; 0 without noisy layers."""
        return 2 * noise_size(self._policy)

    def refresh(self) -> None:
        """Use the present weights of policy and target network."""
        self._refresh(_POLICY)
        self._refresh(_TARGET)

    def _refresh(self, which: int) -> None:
        if self._has_copies:
            with torch.no_grad():
                copy_each(self._working[which], self._masters[which])


def _joined(parts: Sequence[LossOutput]) -> LossOutput:
    """The output of a whole minibatch from those of its parts."""
    if len(parts) == 1:
        return parts[0]
    losses, *others = zip(*parts, strict=True)
    return LossOutput(torch.stack(losses).sum(), *(torch.cat(other) for other in others))


def _in_bfloat16(policy: nn.Module, target: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Copies in bfloat16 of built-in networks; users' networks are returned as they are."""
    if not (isinstance(policy, QNetwork) and isinstance(target, QNetwork)):
        return policy, target
    copies = deepcopy(policy), deepcopy(target)
    for copy in copies:
        copy.body_to_bfloat16()
    return copies


class Statistics:
    """Means over a series of steps, summed on the device."""

    def __init__(self, device: torch.device) -> None:
        self._sums = torch.zeros(5, dtype=torch.float64, device=device)
        self._pending: list[tuple[Tensor, ...]] = []

    def reset(self) -> None:
        """Forget all steps."""
        self._pending.clear()
        self._sums.zero_()

    def add(self, output: LossOutput, norm: Tensor, version: Tensor) -> None:
        """Include one step."""
        # The next minibatch may overwrite `version`.
        loss, targets, errors, _ = output
        self._pending.append((loss, targets, errors, norm, version.clone()))
        if len(self._pending) == _MAX_PENDING:
            self.flush()

    def flush(self) -> None:
        """Add pending steps to the sums; inside a CUDA graph their tensors do not live longer."""
        if not self._pending:
            return
        losses, targets, errors, norms, versions = zip(*self._pending, strict=True)
        error, version = torch.cat(errors), torch.cat(versions).to(torch.float64)
        q = torch.cat(targets) - error
        columns = torch.stack(losses), q, error.abs(), torch.stack(norms), version
        means = torch.stack([column.mean() for column in columns]).to(torch.float64)
        self._sums += means * len(losses)
        self._pending.clear()

    def discard_pending(self) -> None:
        """Forget pending steps: their recording failed, so they were not made."""
        self._pending.clear()

    def means(self, steps: int, shared: SharedMinibatch | None = None) -> list[float]:
        """Over `steps`: loss, Q of chosen actions, absolute error, gradient norm, row version."""
        self.flush()
        if shared is not None:
            shared.mean(self._sums)
        means: list[float] = (self._sums / steps).tolist()
        return means


Item = TypeVar("Item")
Result = TypeVar("Result")


class Threads:
    """`size` threads, including the caller's, that process parts of a minibatch in parallel.

    Torch's own threads would share each single operation and synchronise dozens of times per
    update, which costs more than it gains, above all where other processes use the CPUs. Whole
    parts synchronise once per update. Torch releases Python's lock while it computes.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._others = (
            ThreadPoolExecutor(size - 1, thread_name_prefix="learner") if size > 1 else None
        )

    def map(self, function: Callable[[Item], Result], parts: Sequence[Item]) -> list[Result]:
        """`function` of each of `parts`, at most `size`, in order."""
        if self._others is None:
            return [function(part) for part in parts]
        others = [self._others.submit(function, part) for part in parts[1:]]
        return [function(parts[0]), *(other.result() for other in others)]
