"""Progress of a run, and what follows from it: exploration, learning rate, learning steps."""

from __future__ import annotations

import math
from typing import Any

from sparring.config.schema import ResolvedConfig
from sparring.dqn.exploration import linear_epsilon, per_worker_epsilon


class Schedule:
    """Counts what was received and learned; every answer follows from these counts.

    Only its methods change the counts.
    """

    def __init__(self, config: ResolvedConfig) -> None:
        self._config = config
        self._round = 0
        self._episodes = 0
        self._plies = 0
        self._transitions = 0
        self._due = 0
        self._credit = 0.0  # updates, a fraction of one

    @property
    def round(self) -> int:
        """Number of the next round to be received."""
        return self._round

    @property
    def episodes(self) -> int:
        """Matches received so far."""
        return self._episodes

    @property
    def plies(self) -> int:
        """Plies received so far."""
        return self._plies

    @property
    def due(self) -> int:
        """Updates still to be made for what was received."""
        return self._due

    @property
    def transitions(self) -> int:
        """Transitions received so far."""
        return self._transitions

    @property
    def expected_updates(self) -> float:
        """Updates of the whole run, if all its matches are as long as those received so far."""
        config = self._config
        if not self._episodes:
            return math.inf
        per_match = self._transitions / self._episodes
        total = config.n_episodes * per_match
        if config.learning_steps_per_batch == "adaptive":
            return self._filled(total, config.buffer_size) * self._updates_per_sample
        rounds = config.n_episodes / (config.num_workers * config.episodes_per_batch)
        learning = max(0.0, 1.0 - config.learning_starts / max(1.0, total))
        return rounds * learning * config.learning_steps_per_batch

    @property
    def progress(self) -> float:
        """Share of the matches that have been received, 0..1."""
        return min(1.0, self.episodes / self._config.n_episodes)

    @property
    def finished(self) -> bool:
        """Whether all matches were received and learned from."""
        return self.episodes >= self._config.n_episodes and self.due == 0

    def epsilon(self, worker: int) -> float:
        """Epsilon of the next command to a worker: linear in the matches received, or its own."""
        config = self._config
        if config.exploration == "per_worker":
            return per_worker_epsilon(
                worker,
                config.num_workers,
                eps=config.exploration_per_worker_eps,
                alpha=config.exploration_per_worker_alpha,
            )
        return linear_epsilon(
            self.progress,
            initial=config.exploration_initial_eps,
            final=config.exploration_final_eps,
            fraction=config.exploration_fraction,
        )

    @property
    def mean_epsilon(self) -> float:
        """Mean epsilon over the workers."""
        if self._config.exploration == "linear":
            return self.epsilon(0)
        workers = range(self._config.num_workers)
        return sum(map(self.epsilon, workers)) / len(workers)

    @property
    def beta(self) -> float:
        """Importance-sampling exponent: linear from beta0 to beta1 over the run (Schaul et al.
        2016, section 3.4, with beta1 = 1).

        It corrects the mean of targets that vary by chance. Without chance a position has one
        target, so sampling large errors more often adds no bias.
        """
        beta0, beta1 = self._config.prioritized_replay_beta0, self._config.prioritized_replay_beta1
        return beta0 + self.progress * (beta1 - beta0)

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next updates; `cosine`: from the configured one down to 0
        (Loshchilov and Hutter 2017, no restarts).
        """
        config = self._config
        if config.learning_rate_schedule == "constant":
            return config.learning_rate
        return config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * self.progress))

    def receive(
        self,
        *,
        episodes: int,
        plies: int,
        transitions: int,
        stored: int,
        capacity: int,
        share: float = 1.0,
    ) -> None:
        """Count a `share` of a round; `stored` of `capacity` transitions are in the replay now.

        Credit is counted in updates, and whole updates move to `due`. Adaptive steps: a transition
        adds `samples_per_insert` times the fill of the buffer, divided by `batch_size`. Before
        `learning_starts` nothing is credited.
        """
        self._episodes += episodes
        self._plies += plies
        self._transitions += transitions
        config = self._config
        if stored < config.learning_starts:
            return
        if config.learning_steps_per_batch == "adaptive":
            fill = stored / capacity
            self._credit += transitions * config.samples_per_insert * fill / config.batch_size
        else:
            self._credit += config.learning_steps_per_batch * share
        whole = int(self._credit + 1e-9)  # the shares of a round add up to 1 but for rounding
        self._credit -= whole
        self._due += whole

    @property
    def _updates_per_sample(self) -> float:
        """Updates that a transition is worth at a full buffer."""
        return self._config.samples_per_insert / self._config.batch_size

    def _filled(self, transitions: float, capacity: int) -> float:
        """Sum of the buffer's fill over so many transitions, from `learning_starts` on: the
        integral of min(t, capacity) / capacity.
        """
        starts = min(self._config.learning_starts, capacity)
        if transitions <= starts:
            return 0.0
        growing = min(transitions, capacity)
        at_full = max(0.0, transitions - capacity)
        return (growing**2 - starts**2) / (2.0 * capacity) + at_full

    def round_received(self) -> None:
        """Count a round of which all batches were received."""
        self._round += 1

    def learned(self, updates: int) -> None:
        """Count updates that were made; they are no longer due."""
        self._due -= updates

    def get_state(self) -> dict[str, Any]:
        return {
            "round": self._round,
            "episodes": self._episodes,
            "plies": self._plies,
            "transitions": self._transitions,
            "due": self._due,
            "credit": self._credit,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        self._round, self._episodes = state["round"], state["episodes"]
        self._plies, self._transitions = state["plies"], state["transitions"]
        self._due, self._credit = state["due"], state["credit"]
