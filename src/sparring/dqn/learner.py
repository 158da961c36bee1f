"""The learner: one update from sampling to the target network, and series of updates.

`Learner._update_once` is the textbook's loop body; `update.py` has the gradient step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray

from sparring.config.schema import LearningOptions
from sparring.dqn.cuda_graphs import CudaGraphs, GraphedUpdates
from sparring.dqn.kernels import fast_float32
from sparring.dqn.networks import FlatWeights, PolicySpec, build_network, get_weights, set_weights
from sparring.dqn.optimizer import Adam, RunningMean
from sparring.dqn.prefetch import Prefetcher
from sparring.dqn.shared_minibatch import Ranks, SharedMinibatch
from sparring.dqn.update import Update
from sparring.errors import NumericalError
from sparring.games.rng import stream_key
from sparring.replay import Replay
from sparring.replay.cuda import DeviceReplay
from sparring.replay.shared import SharedReplay

# purposes of generators: that draws minibatches; noise that all ranks share
_SAMPLING, _SHARED_NOISE = 1, 2
_REMEDY: Final = (
    "learning_rate is too high, rewards are too large, "
    "or the network itself returns NaN or infinity"
)
UPDATES_PER_LAUNCH: Final = 8


def sampling_key(seed: int, rank: int, updates: int = 0) -> int:
    """Key of the generator with which a rank draws its minibatches from update `updates` on."""
    return stream_key(seed, _SAMPLING, *((rank, updates) if rank else ()))


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
    """Policy network, target network and optimizer, trained on minibatches from a replay.

    A loss of `losses.py`, gradient norm clipped to `max_grad_norm`, Adam. The target network moves
    towards the policy by `tau` every `target_update_interval` updates (1.0 copies it: Mnih et al.
    2015; less: Lillicrap et al. 2016).

    Updates from a `Replay` are made one by one; from a `DeviceReplay` on the learner's device,
    several per launch (`cuda_graphs.py`).

    On a CPU with several `threads`, one of them prepares the next minibatch while the others share
    the present one, except if the target network moves with every update.

    With `ranks` this is one of several learners with equal weights, which make the same updates
    (`shared_minibatch.py`): `batch_size` counts the transitions of all, of which each samples an
    equal part, with random numbers of its own. Noise of noisy layers is the same for all. Each
    update waits for all ranks, so nothing is prepared ahead and CUDA graphs are not used.
    """

    def __init__(
        self,
        spec: PolicySpec,
        options: LearningOptions,
        *,
        device: torch.device,
        seed: int,
        bfloat16: bool = False,
        threads: int = 1,
        ranks: Ranks | None = None,
    ) -> None:
        self.options = options
        self.device = device
        self._batch_size = options.batch_size // (1 if ranks is None else ranks.size)
        ahead = ranks is None and threads > 1 and options.target_update_interval > 1
        self.policy = build_network(spec, seed=seed).to(device)
        self._target = build_network(spec, seed=seed).to(device).requires_grad_(False)
        self._optimizer = Adam(self.policy, options)
        self._update = Update(
            self.policy,
            self._target,
            self._optimizer,
            options,
            game=spec.network_game,
            bfloat16=bfloat16,
            threads=threads - ahead,
            ranks=ranks,
        )
        decay = options.weight_averaging
        self._mean = RunningMean(self._optimizer.weights, decay) if decay else None
        self._graphed: GraphedUpdates | None = None
        self._rng = np.random.default_rng(sampling_key(seed, 0 if ranks is None else ranks.rank))
        self._noise_rng = (
            None if ranks is None else np.random.default_rng(stream_key(seed, _SHARED_NOISE))
        )
        self._prefetcher = Prefetcher(
            self._update,
            self._batch_size,
            device,
            self._rng,
            ahead=ahead,
            noise_rng=self._noise_rng,
        )
        self.layout = FlatWeights(self.policy)
        self.updates = 0

    def update(
        self,
        replay: Replay | DeviceReplay | SharedReplay,
        updates: int,
        *,
        beta: float = 1.0,
        between: Callable[[], bool] = lambda: False,
    ) -> LearnStats:
        """Make up to `updates` updates; `between` is called before each, or each launch, and ends
        the series by returning True.

        Raises `NumericalError` when a loss or a gradient is not finite: the policy then still has
        its last good weights. Raises it also when the weights are not finite at the end of the
        series: they are lost then.
        """
        assert not isinstance(replay, SharedReplay), "each rank has a share of its own"
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
        return LearnStats(done, *self._update.means(done))

    def _update_once(self, replay: Replay, beta: float, *, last: bool) -> None:
        """One update. The next minibatch is sampled meanwhile, if its target values stay valid."""
        moves = (self.updates + 1) % self.options.target_update_interval == 0
        with fast_float32():  # for all threads, which share the setting
            minibatch = self._prefetcher.sample(replay, beta)  # with the target pass
            ratio = 1.0
            if self.shared is not None:
                ratio = replay.largest_ratio(minibatch.batch.indices, beta)
            with self._prefetcher.prefetching(replay, beta, wanted=not (last or moves)):
                priorities = self._update.step(
                    minibatch.tensors, minibatch.target_values, minibatch.noise, ratio
                )
        self.updates += 1
        if self._update.failed:  # waits for the device, as the priorities do anyway
            loss, norm = (figure.item() for figure in self._update.last)
            self._fail(f"loss {loss:.4g} and norm of the gradient {norm:.4g} are not finite")
        replay.update(minibatch.batch.indices, priorities.cpu().numpy())
        self._after(1)

    def _after(self, updates: int) -> None:
        """Update the running mean after `updates` updates; move the target network if it is due."""
        if self._mean is not None:
            self._mean.update(updates)
        if self.updates % self.options.target_update_interval == 0:
            self._update.move_target(self.options.tau)

    def _launch(self, replay: DeviceReplay, limit: int, beta: float) -> int:
        """Make at most `limit` updates, up to the next move of the target; return how many."""
        self._prefetcher.discard()  # of a run that has moved to this device
        if self._graphed is None or self._graphed.replay is not replay:
            self._graphed = self._graphed_updates(replay)
        interval = self.options.target_update_interval
        limit = min(limit, interval - self.updates % interval)
        count = self._graphed.max_updates if limit >= self._graphed.max_updates else 1
        with fast_float32():
            self._graphed.launch(count, rng=self._rng, beta=beta)
        self.updates += count
        self._after(count)
        return count

    def _graphed_updates(self, replay: DeviceReplay) -> GraphedUpdates:
        alone = self.shared is None
        most = min(UPDATES_PER_LAUNCH, self.options.target_update_interval)
        return GraphedUpdates(
            self._update,
            replay,
            batch_size=self._batch_size,
            max_updates=most if alone else 1,
            recorder=CudaGraphs(self.device) if alone and self.device.type == "cuda" else None,
            noise_rng=self._noise_rng,
        )

    def _fail(self, what: str) -> NoReturn:
        self.updates = self._optimizer.steps
        self._prefetcher.discard()
        raise NumericalError(f"update {self.updates + 1}: {what}; {_REMEDY}")

    def _check_weights(self) -> None:
        # The norm also overflows where weights are finite but useless.
        norm = torch.linalg.vector_norm(self._optimizer.weights)
        if not torch.isfinite(norm):
            raise NumericalError(
                f"update {self.updates}: norm of the weights {norm.item():.4g} is not finite; "
                f"{_REMEDY}"
            )

    @property
    def shared(self) -> SharedMinibatch | None:
        """Part of one rank in the minibatches; None for a single learner."""
        return self._update.shared

    def vector(self) -> NDArray[np.float32]:
        """The policy's weights as one flat float32 vector."""
        return self.layout.vector(self.policy)

    def evaluated_vector(self) -> NDArray[np.float32]:
        """The weights that are evaluated and saved: the running mean, if any, else the policy's."""
        if self._mean is None:
            return self.vector()
        with self._mean.applied():
            return self.vector()

    def set_learning_rate(self, learning_rate: float) -> None:
        """Set the learning rate of later updates."""
        self._optimizer.set_learning_rate(learning_rate)

    def set_weights(self, weights: Mapping[str, NDArray[Any]]) -> None:
        """Overwrite the policy's parameters; target network and optimizer do not change."""
        set_weights(self.policy, weights)
        self._update.refresh()
        if self._mean is not None:
            self._mean.restart()

    def start_with(self, weights: Mapping[str, NDArray[Any]]) -> None:
        """Overwrite the parameters of policy and target network, before the first update."""
        set_weights(self._target, weights)
        self.set_weights(weights)

    def get_state(self) -> dict[str, Any]:
        """Networks, optimizer, generator and counter: enough to continue bit for bit."""
        return {
            "updates": self.updates,
            "rng": self._rng.bit_generator.state,
            "ahead": self._prefetcher.get_state(),
            "policy": dict(get_weights(self.policy)),
            "target": dict(get_weights(self._target)),
            "optimizer": self._optimizer.get_state(),
            "mean": {} if self._mean is None else self._mean.get_state(),
            **self._noise_state(),
        }

    def _noise_state(self) -> dict[str, Any]:
        return {} if self._noise_rng is None else {"noise_rng": self._noise_rng.bit_generator.state}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what `get_state` returned."""
        self.updates = state["updates"]
        self._rng.bit_generator.state = state["rng"]
        if self._noise_rng is None:
            self._prefetcher.set_state(state["ahead"])
        else:
            self._prefetcher.discard()  # it was the minibatch of a single learner
            if "noise_rng" in state:
                self._noise_rng.bit_generator.state = state["noise_rng"]
        set_weights(self.policy, state["policy"])
        set_weights(self._target, state["target"])
        self._optimizer.set_state(state["optimizer"])
        self._update.refresh()
        if self._mean is not None:
            self._mean.set_state(state["mean"])
