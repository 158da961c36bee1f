"""The learner of n-tuple tables: TD learning with a step size for each weight, which is larger
where the changes that were asked of it agree (temporal coherence learning, TCL: Beal and Smith,
1999; its exponential form: Bagheri et al., 2015).

    error  = target - value             target: R + discount * sign * value of the next position
    change = error * d value / d sum
    weight += learning_rate * exp(BETA * (|N| / A - 1)) * change
    N += change;  A += |change|

Deviations: transitions come from the replay, in minibatches whose transitions are learned one after
the other; the lambda-returns are made by the workers (`rollout/assembler.py`). There is no target
network.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.config.network import NOT_FOR_TABLES
from sparring.config.schema import LearningOptions
from sparring.dqn.learner import Learner, LearnStats, sampling_key
from sparring.dqn.networks import FlatWeights, PolicySpec, build_network, set_weights
from sparring.dqn.ntuple_kernels import learn
from sparring.dqn.ntuples import NTupleNetwork
from sparring.errors import ConfigurationError, NumericalError
from sparring.replay import Minibatch, Replay


def check_table_options(options: LearningOptions) -> None:
    """Raise `ConfigurationError` for settings that do not apply to n-tuple tables."""
    for name in NOT_FOR_TABLES:
        value, default = getattr(options, name), type(options).model_fields[name].default
        if value != default:
            raise ConfigurationError(
                f"{name} does not apply to network ntuples",
                got=value,
                expected=f"{default}, the default",
                remedy="remove it or choose another policy_kwargs.network",
            )


class TableLearner:
    """Tables and the sums of their changes, trained on minibatches from a replay; on the CPU, on
    one thread. The same methods as `Learner`.
    """

    def __init__(self, spec: PolicySpec, options: LearningOptions, *, seed: int) -> None:
        check_table_options(options)
        self.options = options
        network = build_network(spec)
        assert isinstance(network, NTupleNetwork)
        self.policy = network  # its groups and its names; the weights are in `_entries`
        self.layout = FlatWeights(network)
        self.updates = 0
        self._entries = np.zeros((*network.array.shape, 3), np.float32)  # weight, N and A
        self._rng = np.random.default_rng(sampling_key(seed, 0))
        self._learning_rate = options.learning_rate
        limits = spec.network_game.value_range
        assert limits is not None
        self._limits = limits if options.clip_targets else (-math.inf, math.inf)
        self._minibatch: Minibatch | None = None

    def update(
        self,
        replay: object,
        updates: int,
        *,
        beta: float = 1.0,
        between: Callable[[], bool] = lambda: False,
    ) -> LearnStats:
        """Make up to `updates` updates; `between` is called before each, and ends the series by
        returning True.

        Raises `NumericalError` when a target is not finite: the tables are lost then.
        """
        assert isinstance(replay, Replay)  # there is one learner, on the CPU
        if self._minibatch is None:
            self._minibatch = replay.allocate(self.options.batch_size)
        done, sums = 0, np.zeros(4)
        while done < updates and not between():
            replay.sample_into(self._minibatch, rng=self._rng, beta=beta)
            sums += self._update_once(self._minibatch)
            done += 1
        if not done:
            return LearnStats()
        loss, q_mean, error, version = (sums / done).tolist()
        return LearnStats(done, loss, q_mean, error, 0.0, version)

    def _update_once(self, minibatch: Minibatch) -> NDArray[np.float64]:
        """Learn a minibatch; return means of squared error, value, absolute error and version."""
        rows, network = minibatch.rows, self.policy
        B = len(rows["R"])
        errors, values = np.empty(B, np.float32), np.empty(B, np.float32)
        learn(
            rows["observation"].reshape(B, -1),
            rows["next_observation"].reshape(B, -1),
            rows["R"],
            rows["discount"],
            rows["sign"],
            self._limits,
            network.lookup,
            self._entries,
            network.scale,
            self._learning_rate,
            errors,
            values,
        )
        self.updates += 1
        if not np.isfinite(errors).all():
            raise NumericalError(
                f"update {self.updates}: a target is not finite; rewards are too large"
            )
        version = rows["version"]
        return np.array(
            [np.square(errors).mean(), values.mean(), np.abs(errors).mean(), version.mean()]
        )

    def vector(self) -> NDArray[np.float32]:
        """All weights as one vector, valid until the next update."""
        return self._entries[..., 0].reshape(-1)

    def evaluated_vector(self) -> NDArray[np.float32]:
        """The weights that are evaluated and saved."""
        return self.vector()

    def set_learning_rate(self, learning_rate: float) -> None:
        """Set the learning rate of later updates."""
        self._learning_rate = learning_rate

    def set_weights(self, weights: Mapping[str, NDArray[Any]]) -> None:
        """Overwrite the tables; the sums of their changes remain."""
        set_weights(self.policy, weights)
        self._entries[..., 0] = self.policy.array

    def start_with(self, weights: Mapping[str, NDArray[Any]]) -> None:
        """Overwrite the tables, before the first update."""
        self.set_weights(weights)

    def get_state(self) -> dict[str, Any]:
        """Tables, sums, generator and counter: enough to continue bit for bit. The sums are those
        of the learner, valid until the next update.
        """
        return {
            "updates": self.updates,
            "rng": self._rng.bit_generator.state,
            "policy": self.layout.named(self.vector()),
            "sums": self._entries[..., 1:],
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what `get_state` returned."""
        self.updates = state["updates"]
        self._rng.bit_generator.state = state["rng"]
        self.set_weights(state["policy"])
        self._entries[..., 1:] = state["sums"]


AnyLearner = Learner | TableLearner
