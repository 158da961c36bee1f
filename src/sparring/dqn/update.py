"""The bare update: targets, loss, gradient, clipping and Adam's step on tensors that are in place,
without waiting for the device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from typing import Final, TypeVar

import torch
from torch import Tensor, nn

from sparring.dqn.architectures import QNetwork
from sparring.dqn.heads import fill_noise, noise_size
from sparring.dqn.losses import Judged, loss_of
from sparring.dqn.optimizer import Adam, learning_parameters, pieces
from sparring.replay.minibatch import Part, TensorMinibatch

__all__ = ["Adam", "LearnerSettings", "TensorMinibatch", "Update"]

_KEPT: Final = 64  # steps whose figures are added up together
_POLICY, _TARGET = 0, 1


@dataclass(frozen=True)
class LearnerSettings:
    """Hyperparameters of the update, under the names of stable-baselines3; `returns` bounds the
    targets.
    """

    batch_size: int
    learning_rate: float
    double_q: bool
    tau: float
    target_update_interval: int
    max_grad_norm: float
    returns: tuple[float, float] | None  # None: targets are not clipped
    bfloat16: bool  # matrix products only; weights, targets, loss and optimizer are float32
    averaging: float = 0.0  # decay per update of the running mean of the weights; 0: none
    threads: int = 1  # on a CPU

    @property
    def looks_ahead(self) -> bool:
        """Whether one thread prepares the next minibatch, the others sharing out this one: not if
        the target moves with every update.
        """
        return self.threads > 1 and self.target_update_interval > 1


class Update:
    """The update step of a policy towards its target network; `optimizer` is the policy's. The
    caller says when the target moves.

    With `bfloat16` networks of ours work on copies of their weights in that precision, others run
    under torch's autocast. After a change of weights from outside call `refresh`.

    A series of steps begins with `begin`. Once a loss or the norm of a gradient is not finite,
    `failed` is 1 and the weights stay as they are until the next series: no step has to wait for an
    answer.
    """

    failed: Tensor  # [] float32, 0 or 1
    last: tuple[
        Tensor, Tensor
    ]  # loss and norm of the gradient of the last step, [] float32 each; not kept where steps are recorded

    def __init__(
        self, policy: nn.Module, target: nn.Module, optimizer: Adam, settings: LearnerSettings
    ) -> None:
        self._settings = settings
        self._optimizer = optimizer
        self._loss = loss_of(policy, double_q=settings.double_q, returns=settings.returns)
        self._policy, self._target = (
            _in_bfloat16(policy, target) if settings.bfloat16 else (policy, target)
        )
        self._own = [_parameters(network) for network in (policy, target)]
        self._worked_with = [_parameters(network) for network in (self._policy, self._target)]
        self._copies = self._policy is not policy
        self._autocast = settings.bfloat16 and not self._copies
        self._trained = learning_parameters(self._policy)
        self._gradients = pieces(optimizer.gradient, self._trained)
        device = optimizer.weights.device
        self.failed, self._scale = torch.zeros((), device=device), torch.ones((), device=device)
        self._poison = torch.zeros(
            (), device=device
        )  # 0, or NaN from the first failure of a series on
        self._crew = Crew(min(settings.threads - settings.looks_ahead, settings.batch_size))
        self._sums = torch.zeros(5, dtype=torch.float64, device=device)
        self._kept: list[tuple[Tensor, ...]] = []
        self.refresh()

    def begin(self) -> None:
        """Begin a series: forget its figures and whether it failed."""
        self._kept.clear()
        for tensor in (self._sums, self._poison, self.failed):
            tensor.zero_()

    def look(self, batch: TensorMinibatch, noise: Tensor) -> Tensor:
        """What a step with this minibatch has to know of the target network, which may not move
        before that step.

        Nothing of it depends on the policy: a thread of its own may call this while another makes a
        step with another minibatch. `noise` [noise_size] is that of `step`.
        """
        fill_noise(self._target, noise[len(noise) // 2 :])
        with self._cast(batch):
            return self._loss.look(self._target, batch)

    def step(self, batch: TensorMinibatch, looked: Tensor, noise: Tensor) -> Tensor:
        """One update; returns how wrong the network was about each transition, [B] float32, as a
        prioritised replay wants to know it.

        `noise` [noise_size] are standard normal numbers for noisy layers, the first half for the
        policy, the others for the target. The policy judges both positions of a transition with one
        noise, as Fortunato et al. (2018) do but for double DQN, where they draw a third one for the
        choice of the next action.
        """
        fill_noise(self._policy, noise[: len(noise) // 2])
        parts = batch.parts(self._crew.size)
        judged = self._crew.map(
            self._judge,
            list(zip(parts, torch.split(looked, [len(part.R) for part, _ in parts]), strict=True)),
        )
        with torch.no_grad():
            torch._foreach_copy_(self._gradients, judged[0][1])
            for _, gradients in judged[1:]:
                torch._foreach_add_(self._gradients, gradients)
            loss, targets, errors, surprise = _joined([part for part, _ in judged])
            norm = self._descend(loss)
        self.last = loss, norm
        # The next minibatch may take this one's place.
        self._kept.append((loss, targets, errors, norm, batch.version.clone()))
        if len(self._kept) == _KEPT:
            self.add_up()
        return surprise

    def _judge(self, part: tuple[Part, Tensor]) -> tuple[Judged, tuple[Tensor, ...]]:
        """The loss of a part of a minibatch, as its share in the mean over the whole, and the
        gradient of that.
        """
        (batch, share), looked = part
        with self._cast(batch):
            judged = self._loss(self._policy, batch, looked)
        loss = judged.loss if share == 1.0 else judged.loss * share
        gradients = torch.autograd.grad(
            loss, self._trained, allow_unused=True, materialize_grads=True
        )
        return judged._replace(loss=loss.detach()), gradients

    def _cast(self, batch: TensorMinibatch) -> AbstractContextManager[object]:
        # Without the cache of weights that were cast, which all threads would share: one that looks
        # would clear it for one that learns.
        return (
            torch.autocast(batch.R.device.type, torch.bfloat16, cache_enabled=False)
            if self._autocast
            else nullcontext()
        )

    def _descend(self, loss: Tensor) -> Tensor:
        """Adam's step along the clipped gradient; returns the gradient's norm before clipping."""
        norm: Tensor = torch.linalg.vector_norm(self._optimizer.gradient)
        # Where an error is infinite the gradient of the Huber loss is not: look at both. 0 times
        # what is not finite is NaN, which stays.
        self._poison.add_(loss + norm, alpha=0.0)
        self.failed.copy_(self._poison != self._poison)
        torch.clamp(norm / self._settings.max_grad_norm, min=1.0, out=self._scale)
        self._optimizer.step(scale=self._scale, failed=self.failed)
        self._refresh(_POLICY)
        return norm

    @property
    def noise_size(self) -> int:
        """How many random numbers the noise of one step takes; 0 without noisy layers."""
        return 2 * noise_size(self._policy)

    def move_target(self, tau: float) -> None:
        """Move the target network's weights towards the policy's by the share `tau`."""
        with torch.no_grad():
            policy, target = self._own
            torch._foreach_lerp_(target, policy, tau)
        self._refresh(_TARGET)

    def refresh(self) -> None:
        """Work with the weights that policy and target network have now."""
        self._refresh(_POLICY)
        self._refresh(_TARGET)

    def _refresh(self, which: int) -> None:
        if self._copies:
            with torch.no_grad():
                torch._foreach_copy_(self._worked_with[which], self._own[which])

    def add_up(self) -> None:
        """Add the figures of the last steps to those of the series; inside a graph of launches
        their tensors live no longer.
        """
        if self._kept:
            losses, targets, errors, norms, versions = zip(*self._kept, strict=True)
            error, version = torch.cat(errors), torch.cat(versions).to(torch.float64)
            scalars = (
                torch.stack(losses),
                torch.cat(targets) - error,
                error.abs(),
                torch.stack(norms),
                version,
            )
            self._sums += torch.stack([figure.mean() for figure in scalars]).to(
                torch.float64
            ) * len(losses)
            self._kept.clear()

    def discard(self) -> None:
        """Forget the figures of steps that were to be recorded, and were not made."""
        self._kept.clear()

    def figures(self, steps: int) -> list[float]:
        """Means over the series of `steps`: loss, Q of the chosen actions, absolute error, norm of
        the gradient, version of the rows.
        """
        self.add_up()
        means: list[float] = (self._sums / steps).tolist()
        return means


def _joined(parts: Sequence[Judged]) -> Judged:
    """A whole minibatch of its parts."""
    if len(parts) == 1:
        return parts[0]
    losses, *others = zip(*parts, strict=True)
    return Judged(torch.stack(losses).sum(), *(torch.cat(other) for other in others))


def _parameters(network: nn.Module) -> list[Tensor]:
    return list(network.parameters())


def _in_bfloat16(policy: nn.Module, target: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Copies that work in bfloat16, or the networks themselves where they are not ours: not all of
    those can be copied.
    """
    if not (isinstance(policy, QNetwork) and isinstance(target, QNetwork)):
        return policy, target
    copies = deepcopy(policy), deepcopy(target)
    for copy in copies:
        copy.body_to_bfloat16()
    return copies


# Threads that work on parts of a minibatch side by side.


Item = TypeVar("Item")
Result = TypeVar("Result")


class Crew:
    """`size` threads, the caller's among them; the others end when the crew is forgotten.

    torch would share out each single operation, and have all threads wait for one another dozens of
    times an update: nothing is left of the gain, and much less than nothing where anything else
    wants a CPU. Whole parts meet once an update. Torch lets go of Python's lock while it computes.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._others = (
            ThreadPoolExecutor(size - 1, thread_name_prefix="learner") if size > 1 else None
        )

    def map(self, work: Callable[[Item], Result], parts: Sequence[Item]) -> list[Result]:
        """`work` done on each of `parts`, `size` of them at most, in their order."""
        if self._others is None:
            return [work(part) for part in parts]
        others = [self._others.submit(work, part) for part in parts[1:]]
        return [work(parts[0]), *(other.result() for other in others)]
