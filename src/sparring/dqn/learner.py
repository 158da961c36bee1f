"""Updates: from minibatches of the replay to new weights of the policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sparring.dqn.networks import FlatWeights, PolicySpec, build_network, get_weights, set_weights
from sparring.dqn.targets import td_errors, td_targets, weighted_huber
from sparring.errors import NumericalError
from sparring.games.random import stream_key
from sparring.replay import Replay

_SAMPLING: Final = 1  # the purpose of the generator that draws minibatches
_REMEDY: Final = "learning_rate is too high, rewards are too large, or the network itself gives what is no number"


@dataclass(frozen=True)
class LearnerSettings:
    """Hyperparameters of the update, under the names of stable-baselines3; `returns` bounds the targets."""

    batch_size: int
    learning_rate: float
    double_q: bool
    tau: float
    target_update_interval: int
    max_grad_norm: float
    returns: tuple[float, float] | None
    bfloat16: bool  # matrix products only; weights, targets, loss and optimizer are float32


@dataclass(frozen=True)
class LearnStats:
    """Means over the updates of one call of `Learner.update`; all zero when it made none."""

    updates: int = 0
    loss: float = 0.0
    q_mean: float = 0.0  # of the chosen actions
    td_error: float = 0.0  # absolute
    grad_norm: float = 0.0  # before clipping
    version: float = 0.0  # of the weights that chose the sampled actions


class Learner:
    """Owns policy network, target network and optimizer; draws minibatches from a replay that others fill.

    Huber loss, Adam, the gradient's norm clipped to `max_grad_norm`. The target network is moved towards the policy by `tau` every
    `target_update_interval` updates (1.0 copies it: Mnih et al. 2015; less: Lillicrap et al. 2016).
    """

    def __init__(self, spec: PolicySpec, settings: LearnerSettings, *, device: torch.device, seed: int) -> None:
        self.settings = settings
        self.device = device
        self.policy = build_network(spec, seed=seed).to(device)
        self._target = build_network(spec, seed=seed).to(device).requires_grad_(False)
        self._optimizer = torch.optim.Adam(self.policy.parameters(), lr=settings.learning_rate, fused=True)
        self._rng = np.random.default_rng(stream_key(seed, _SAMPLING))
        self.layout = FlatWeights(self.policy)
        self.updates = 0

    def update(self, replay: Replay, updates: int, *, beta: float = 1.0, between: Callable[[], bool] = lambda: False) -> LearnStats:
        """Make up to `updates` updates; `between` is called before each and ends the series by answering True.

        Raises `NumericalError` when a loss or a gradient is not finite, and the policy then still has its last good weights; or when
        the weights are not at the end of the series, and they are then lost.
        """
        done, sums = 0, torch.zeros(5, dtype=torch.float64)
        while done < updates and not between():
            sums += self._update_once(replay, beta)
            done += 1
        if done:
            self._check_weights()
        return LearnStats(done, *(sums / done).tolist()) if done else LearnStats()

    def _update_once(self, replay: Replay, beta: float) -> Tensor:
        batch = replay.sample(self.settings.batch_size, rng=self._rng, beta=beta)
        rows = batch.rows
        targets = self._targets(rows)
        errors = td_errors(self._q(self.policy, rows["observation"]), self._tensor(rows["action"]), targets)
        loss = weighted_huber(errors, self._tensor(batch.weights))
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.policy.parameters(), self.settings.max_grad_norm)
        # Where an error is infinite the gradient of the Huber loss is not: look at both.
        if not torch.isfinite(norm + loss):
            got = f"loss {loss.item():.4g} and norm of the gradient {norm.item():.4g}"
            raise NumericalError(f"update {self.updates + 1}: {got} are not finite; {_REMEDY}")
        self._optimizer.step()
        self.updates += 1
        if self.updates % self.settings.target_update_interval == 0:
            self._move_target()
        errors = errors.detach()
        replay.update(batch.indices, errors.cpu().numpy())
        q_mean = (targets - errors).mean().item()
        figures = (loss.item(), q_mean, errors.abs().mean().item(), norm.item(), float(rows["version"].mean()))
        return torch.tensor(figures, dtype=torch.float64)

    def _check_weights(self) -> None:
        norm = nn.utils.get_total_norm(self.policy.parameters())  # overflows, too, where no weight is good for anything any more
        if not torch.isfinite(norm):
            raise NumericalError(f"update {self.updates}: norm of the weights {norm.item():.4g} is not finite; {_REMEDY}")

    def _targets(self, rows: NDArray[Any]) -> Tensor:
        with torch.no_grad():
            q_target = self._q(self._target, rows["next_observation"])
            q_online = self._q(self.policy, rows["next_observation"]) if self.settings.double_q else None
        mask, R, discount, sign = (self._tensor(rows[name]) for name in ("next_mask", "R", "discount", "sign"))
        return td_targets(q_target, q_online, mask, R, discount, sign, self.settings.returns)

    def _q(self, network: nn.Module, observation: NDArray[Any]) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.bfloat16):
            q: Tensor = network(self._tensor(observation))
        return q.to(torch.float32)

    def _move_target(self) -> None:
        with torch.no_grad():
            for target, policy in zip(self._target.parameters(), self.policy.parameters(), strict=True):
                target.lerp_(policy, self.settings.tau)

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    def vector(self) -> NDArray[np.float32]:
        """The policy's weights as one flat float32 vector."""
        return self.layout.vector(self.policy)

    def set_learning_rate(self, learning_rate: float) -> None:
        """The step size of the updates to come."""
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate

    def set_weights(self, weights: Mapping[str, NDArray[Any]]) -> None:
        """Overwrite the policy's parameters; the target network and the optimizer stay as they are."""
        set_weights(self.policy, weights)

    def get_state(self) -> dict[str, Any]:
        """Networks, optimizer, generator and counter: a Learner with this state goes on bit for bit."""
        moments = self._optimizer.state_dict()["state"]
        return {
            "updates": self.updates,
            "rng": self._rng.bit_generator.state,
            "policy": dict(get_weights(self.policy)),
            "target": dict(get_weights(self._target)),
            "optimizer": {str(i): {name: value.cpu().numpy().copy() for name, value in entry.items()} for i, entry in moments.items()},
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what `get_state` returned."""
        self.updates = state["updates"]
        self._rng.bit_generator.state = state["rng"]
        set_weights(self.policy, state["policy"])
        set_weights(self._target, state["target"])
        whole = self._optimizer.state_dict()
        whole["state"] = {
            int(i): {name: torch.from_numpy(np.array(value)) for name, value in entry.items()} for i, entry in state["optimizer"].items()
        }
        self._optimizer.load_state_dict(whole)
