"""Progress of a run, and what follows from it: exploration, learning rate, learning steps."""

from __future__ import annotations

import math
from typing import Any, Final

from sparring.config.schema import ResolvedConfig
from sparring.dqn.exploration import geometric_epsilon, linear_epsilon, per_worker_epsilon

# Share of the minutes over which the rate of play is measured before anything is said of it.
_FIRST_RATE: Final = 0.1


class Schedule:
    """Counts what was received and learned; every answer follows from these counts.

    Only its methods change the counts. Rates follow the middle of a round, so that a run of few
    large rounds, as on many CPUs, has the same rates on average as one of many small rounds.
    """

    def __init__(self, config: ResolvedConfig) -> None:
        self._config = config
        self._round = 0
        self._episodes = 0
        self._plies = 0
        self._transitions = 0
        self._seconds = 0.0
        # seconds and matches after the first round here: during that, much is compiled
        self._measured_from: tuple[float, int] | None = None
        self._due = 0
        self._credit = 0.0  # updates, a fraction of one
        self._counted_round = 0  # the last round of which something was received
        self._began = 0  # matches received before that round
        # where geometric decay begins: a round, and its epsilon
        self._decays_from = [0, config.exploration_initial_eps]

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
    def minutes(self) -> float:
        """Minutes of training so far."""
        return self._seconds / 60.0

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
        """Updates of the whole run, if all its matches are as long as those received so far;
        infinity while nothing is known.
        """
        config = self._config
        matches = self._expected_matches
        if not self._episodes or math.isinf(matches):
            return math.inf
        total = matches * self._transitions / self._episodes
        if config.learning_steps_per_batch == "adaptive":
            return self._adaptive_updates(total)
        rounds = matches / (config.num_workers * config.episodes_per_batch)
        learning = max(0.0, 1.0 - config.learning_starts / max(1.0, total))
        return rounds * learning * config.learning_steps_per_batch

    @property
    def _expected_matches(self) -> float:
        """Matches of the whole run; by the clock at the rate of this process after its first
        round, infinity before that is known.
        """
        limit = self._config.max_minutes
        if limit is None:
            return float(self._config.n_episodes)
        if self._measured_from is None:
            return math.inf
        seconds = self._seconds - self._measured_from[0]
        if seconds < 60.0 * limit * _FIRST_RATE:
            return math.inf
        rate = (self._episodes - self._measured_from[1]) / seconds
        return self._episodes + rate * max(0.0, 60.0 * limit - self._seconds)

    def _share(self, episodes: float) -> float:
        """Return the share of the run at so many matches, 0..1; by the clock at the rate so far."""
        limit = self._config.max_minutes
        if limit is None:
            return min(1.0, episodes / self._config.n_episodes)
        return min(1.0, self.minutes / limit * episodes / max(1, self._episodes))

    @property
    def progress(self) -> float:
        """Share of the run that is over, 0..1: of its matches or minutes."""
        return self._share(self._episodes)

    @property
    def _middle(self) -> float:
        """Progress in the middle of the round that is learned."""
        return 0.5 * (self._share(self._began) + self._share(self._episodes))

    @property
    def finished(self) -> bool:
        """True once all matches were received and learned from, or the minutes are over."""
        limit = self._config.max_minutes
        if limit is not None:
            return self.minutes >= limit
        return self.episodes >= self._config.n_episodes and self.due == 0

    def epsilon(self, worker: int, ahead: float = 0.0) -> float:
        """Epsilon of a worker's matches that are received when `ahead` more have been: linear in
        the matches of the run, geometric in its rounds, or the worker's own.
        """
        config = self._config
        if config.exploration == "per_worker":
            return per_worker_epsilon(
                worker,
                config.num_workers,
                eps=config.exploration_per_worker_eps,
                alpha=config.exploration_per_worker_alpha,
            )
        if config.exploration == "geometric":
            size = config.num_workers * config.episodes_per_batch
            first, initial = self._decays_from
            return geometric_epsilon(
                self._round - int(first) + int(ahead / size),
                initial=initial,
                final=config.exploration_final_eps,
                decay=config.exploration_decay,
            )
        return linear_epsilon(
            self._share(self._episodes + ahead),
            initial=config.exploration_initial_eps,
            final=config.exploration_final_eps,
            fraction=config.exploration_fraction,
        )

    @property
    def mean_epsilon(self) -> float:
        """Mean epsilon over the workers."""
        if self._config.exploration != "per_worker":
            return self.epsilon(0)
        workers = range(self._config.num_workers)
        return sum(map(self.epsilon, workers)) / len(workers)

    def decay_from(self, epsilon: float) -> None:
        """Let geometric decay begin anew, at the next round to be received."""
        self._decays_from = [self._round, epsilon]

    @property
    def beta(self) -> float:
        """Importance-sampling exponent: linear from beta0 to beta1 over the run (Schaul et al.
        2016, section 3.4, with beta1 = 1).

        It corrects the mean of targets that vary by chance. Without chance a position has one
        target, so sampling large errors more often adds no bias.
        """
        beta0, beta1 = self._config.prioritized_replay_beta0, self._config.prioritized_replay_beta1
        return beta0 + self._middle * (beta1 - beta0)

    @property
    def learning_rate(self) -> float:
        """Learning rate of the round that is learned; `cosine`: from the configured one down to 0
        (Loshchilov and Hutter 2017, no restarts). No round has 0 itself.
        """
        config = self._config
        if config.learning_rate_schedule == "constant":
            return config.learning_rate
        return config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * self._middle))

    def receive(self, *, episodes: int, plies: int, transitions: int, share: float = 1.0) -> None:
        """Count a `share` of a round.

        Credit is counted in updates, and whole updates move to `due`. Before `learning_starts`
        transitions nothing is credited.
        """
        if self._counted_round != self._round:
            self._counted_round, self._began = self._round, self._episodes
        before = self._transitions
        self._episodes += episodes
        self._plies += plies
        self._transitions += transitions
        steps = self._config.learning_steps_per_batch
        if self._transitions < self._config.learning_starts:
            return
        if steps == "adaptive":
            self._credit += self._adaptive_updates(self._transitions)
            self._credit -= self._adaptive_updates(before)
        else:
            self._credit += steps * share
        whole = int(self._credit + 1e-9)  # the shares of a round add up to 1 but for rounding
        self._credit -= whole
        self._due += whole

    def _adaptive_updates(self, transitions: float) -> float:
        """Return the updates that so many transitions are worth.

        Each is worth `samples_per_insert` / `batch_size`, times the fill of the buffer: while that
        grows, the integral of t / capacity from `learning_starts` on. However the transitions are
        divided into rounds, the sum is the same.
        """
        config = self._config
        capacity = config.buffer_size
        growing = max(min(transitions, capacity), config.learning_starts)
        filled = (growing**2 - config.learning_starts**2) / (2.0 * capacity)
        filled += max(0.0, transitions - capacity)
        return filled * config.samples_per_insert / config.batch_size

    def passed(self, seconds: float) -> None:
        """Count time of training."""
        self._seconds += seconds

    def round_received(self) -> None:
        """Count a round of which all batches were received."""
        self._round += 1
        self._measured_from = self._measured_from or (self._seconds, self._episodes)

    def learned(self, updates: int) -> None:
        """Count updates that were made; they are no longer due."""
        self._due -= updates

    def get_state(self) -> dict[str, Any]:
        return {
            "round": self._round,
            "episodes": self._episodes,
            "plies": self._plies,
            "transitions": self._transitions,
            "seconds": self._seconds,
            "due": self._due,
            "credit": self._credit,
            "counted_round": self._counted_round,
            "began": self._began,
            "decays_from": self._decays_from,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        self._round, self._episodes = state["round"], state["episodes"]
        self._plies, self._transitions = state["plies"], state["transitions"]
        self._seconds = state["seconds"]
        self._due, self._credit = state["due"], state["credit"]
        self._counted_round, self._began = state["counted_round"], state["began"]
        self._decays_from = list(state["decays_from"])
