"""Updates: from minibatches of the replay to new weights of the policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray

from sparring.dqn.cuda_graphs import CudaGraphs, Launches
from sparring.dqn.kernels import fast_float32
from sparring.dqn.networks import FlatWeights, PolicySpec, build_network, get_weights, set_weights
from sparring.dqn.optimizer import Adam, RunningMean
from sparring.dqn.prefetch import Minibatches
from sparring.dqn.update import LearnerSettings, Update
from sparring.errors import NumericalError
from sparring.games.rng import stream_key
from sparring.replay import Replay
from sparring.replay.cuda import DeviceReplay

__all__ = ["LearnStats", "Learner", "LearnerSettings"]

_SAMPLING: Final = 1  # the purpose of the generator that draws minibatches
_REMEDY: Final = "learning_rate is too high, rewards are too large, or the network itself gives what is no number"
UPDATES_PER_LAUNCH: Final = 8


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
    """Owns policy network, target network and optimizer; draws minibatches from a replay that
    others fill.

    Huber loss, Adam, the gradient's norm clipped to `max_grad_norm`. The target network is moved
    towards the policy by `tau` every `target_update_interval` updates (1.0 copies it: Mnih et al.
    2015; less: Lillicrap et al. 2016).

    From a `Replay` updates are made one by one; from a `DeviceReplay` on the learner's device,
    several at a launch (`launches.py`).
    """

    def __init__(
        self, spec: PolicySpec, settings: LearnerSettings, *, device: torch.device, seed: int
    ) -> None:
        self.settings = settings
        self.device = device
        self.policy = build_network(spec, seed=seed).to(device)
        self._target = build_network(spec, seed=seed).to(device).requires_grad_(False)
        self._optimizer = Adam(self.policy, settings.learning_rate)
        self._update = Update(self.policy, self._target, self._optimizer, settings)
        self._mean = (
            RunningMean(self._optimizer.weights, settings.averaging) if settings.averaging else None
        )
        self._launches: Launches | None = None
        self._rng = np.random.default_rng(stream_key(seed, _SAMPLING))
        self._minibatches = Minibatches(
            self._update, settings.batch_size, device, self._rng, ahead=settings.looks_ahead
        )
        self.layout = FlatWeights(self.policy)
        self.updates = 0

    def update(
        self,
        replay: Replay | DeviceReplay,
        updates: int,
        *,
        beta: float = 1.0,
        between: Callable[[], bool] = lambda: False,
    ) -> LearnStats:
        """Make up to `updates` updates; `between` is called before each, or each launch, and ends
        the series by answering True.

        Raises `NumericalError` when a loss or a gradient is not finite, and the policy then still
        has its last good weights; or when the weights are not at the end of the series, and they
        are then lost.
        """
        self._update.begin()
        done = 0
        while done < updates and not between():
            if isinstance(replay, DeviceReplay):
                done += self._launch(replay, updates - done, beta)
            else:
                self._update_once(replay, beta, last=done + 1 == updates)
                done += 1
        if not done:
            return LearnStats()
        if self._update.failed:
            self._fail("the loss or the norm of its gradient is not finite")
        self._check_weights()
        return LearnStats(done, *self._update.figures(done))

    def _update_once(self, replay: Replay, beta: float, *, last: bool) -> None:
        moves = (self.updates + 1) % self.settings.target_update_interval == 0
        with fast_float32():  # held here, as two threads would undo it for one another
            ready = self._minibatches.take(replay, beta)
            with self._minibatches.ahead(replay, beta, wanted=not (last or moves)):
                surprise = self._update.step(ready.tensors, ready.looked, ready.noise)
        self.updates += 1
        if (
            self._update.failed
        ):  # costs nothing here: what the sampler is told has to be waited for anyway
            loss, norm = (figure.item() for figure in self._update.last)
            self._fail(f"loss {loss:.4g} and norm of the gradient {norm:.4g} are not finite")
        replay.update(ready.batch.indices, surprise.cpu().numpy())
        self._follow(1)

    def _launch(self, replay: DeviceReplay, most: int, beta: float) -> int:
        """Make `most` updates or fewer, up to the next move of the target; returns how many."""
        self._minibatches.forget()  # of a run that has moved to this device
        if self._launches is None or self._launches.replay is not replay:
            size = min(UPDATES_PER_LAUNCH, self.settings.target_update_interval)
            recorder = CudaGraphs(self.device) if self.device.type == "cuda" else None
            self._launches = Launches(
                self._update,
                replay,
                batch_size=self.settings.batch_size,
                most=size,
                recorder=recorder,
            )
        room = min(
            most,
            self.settings.target_update_interval
            - self.updates % self.settings.target_update_interval,
        )
        count = self._launches.most if room >= self._launches.most else 1
        with fast_float32():
            self._launches.launch(count, rng=self._rng, beta=beta)
        self.updates += count
        self._follow(count)
        return count

    def _fail(self, what: str) -> NoReturn:
        self.updates = self._optimizer.steps
        self._minibatches.forget()
        raise NumericalError(f"update {self.updates + 1}: {what}; {_REMEDY}")

    def _check_weights(self) -> None:
        norm = torch.linalg.vector_norm(
            self._optimizer.weights
        )  # overflows, too, where no weight is good for anything any more
        if not torch.isfinite(norm):
            raise NumericalError(
                f"update {self.updates}: norm of the weights {norm.item():.4g} is not finite; {_REMEDY}"
            )

    def _follow(self, updates: int) -> None:
        """After so many updates: let the mean of the weights follow, and move the target if that is
        due.
        """
        if self._mean is not None:
            self._mean.follow(updates)
        if self.updates % self.settings.target_update_interval == 0:
            self._update.move_target(self.settings.tau)

    def vector(self) -> NDArray[np.float32]:
        """The policy's weights as one flat float32 vector."""
        return self.layout.vector(self.policy)

    def evaluated_vector(self) -> NDArray[np.float32]:
        """The weights that are evaluated and saved: the mean of the policy's where one is kept,
        else the policy's own.
        """
        if self._mean is None:
            return self.vector()
        with self._mean.in_place():
            return self.vector()

    def set_learning_rate(self, learning_rate: float) -> None:
        """The step size of the updates to come."""
        self._optimizer.set_learning_rate(learning_rate)

    def set_weights(self, weights: Mapping[str, NDArray[Any]]) -> None:
        """Overwrite the policy's parameters; the target network and the optimizer stay as they are."""
        set_weights(self.policy, weights)
        self._update.refresh()
        if self._mean is not None:
            self._mean.restart()

    def get_state(self) -> dict[str, Any]:
        """Networks, optimizer, generator and counter: a Learner with this state goes on bit for
        bit.
        """
        return {
            "updates": self.updates,
            "rng": self._rng.bit_generator.state,
            "ahead": self._minibatches.get_state(),
            "policy": dict(get_weights(self.policy)),
            "target": dict(get_weights(self._target)),
            "optimizer": self._optimizer.get_state(),
            "mean": {} if self._mean is None else self._mean.get_state(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what `get_state` returned."""
        self.updates = state["updates"]
        self._rng.bit_generator.state = state["rng"]
        self._minibatches.set_state(state["ahead"])
        set_weights(self.policy, state["policy"])
        set_weights(self._target, state["target"])
        self._optimizer.set_state(state["optimizer"])
        self._update.refresh()
        if self._mean is not None:
            self._mean.set_state(state["mean"])
