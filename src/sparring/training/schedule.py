"""How far a run has come, and what follows from that: exploration, learning steps, the end."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from sparring.dqn.exploration import linear_epsilon, per_worker_epsilon

LearningSteps = int | Literal["adaptive"]


@dataclass(frozen=True)
class PerWorkerEpsilons:
    """A fixed epsilon for each worker, see `per_worker_epsilon`."""

    eps: float
    alpha: float
    num_workers: int


@dataclass(frozen=True)
class ScheduleSettings:
    """The part of the configuration that the schedule follows; see `TrainConfig`."""

    n_episodes: int
    learning_steps: LearningSteps  # a round of all workers; "adaptive": by samples_per_insert
    samples_per_insert: float
    batch_size: int
    learning_starts: int
    exploration_initial_eps: float
    exploration_final_eps: float
    exploration_fraction: float
    per_worker: PerWorkerEpsilons | None  # in place of the three above
    beta0: float
    beta1: float
    learning_rate: float
    learning_rate_schedule: Literal["constant", "cosine"]


class Schedule:
    """Counts what has been received; every answer is a function of these counts.

    `round` is the next round to be finished, `episodes` and `plies` what was received so far, `due`
    the updates still to be made for it.
    """

    def __init__(self, settings: ScheduleSettings) -> None:
        self._settings = settings
        self.round = 0
        self.episodes = 0
        self.plies = 0
        self.due = 0
        self._credit = 0.0

    @property
    def progress(self) -> float:
        """Share of the matches that have been received, 0..1."""
        return min(1.0, self.episodes / self._settings.n_episodes)

    @property
    def finished(self) -> bool:
        """Whether all matches were received and learned from."""
        return self.episodes >= self._settings.n_episodes and self.due == 0

    def epsilon(self, worker: int) -> float:
        """The rate of random actions of what a worker is told to play now: one for all, linear in
        the matches received, or its own.
        """
        s = self._settings
        if s.per_worker is not None:
            return per_worker_epsilon(
                worker, s.per_worker.num_workers, eps=s.per_worker.eps, alpha=s.per_worker.alpha
            )
        return linear_epsilon(
            self.progress,
            initial=s.exploration_initial_eps,
            final=s.exploration_final_eps,
            fraction=s.exploration_fraction,
        )

    @property
    def mean_epsilon(self) -> float:
        """The mean over the workers."""
        per_worker = self._settings.per_worker
        return (
            self.epsilon(0)
            if per_worker is None
            else sum(map(self.epsilon, range(per_worker.num_workers))) / per_worker.num_workers
        )

    @property
    def beta(self) -> float:
        """Exponent of the importance weights: linear from beta0 to beta1, there 1, over the run
        (Schaul et al. 2016, section 3.4).

        What is corrected is the mean of targets that differ by chance. Where all that follows a
        move is known there is one target, and to have large errors count for more is no bias.
        """
        s = self._settings
        return s.beta0 + self.progress * (s.beta1 - s.beta0)

    @property
    def learning_rate(self) -> float:
        """Step size of the updates made now; `cosine`: from the configured one down to 0
        (Loshchilov and Hutter 2017, no restarts).
        """
        s = self._settings
        falls = s.learning_rate_schedule == "cosine"
        return (
            s.learning_rate * 0.5 * (1.0 + math.cos(math.pi * self.progress))
            if falls
            else s.learning_rate
        )

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
        self.episodes += episodes
        self.plies += plies
        s = self._settings
        if stored < s.learning_starts:
            return
        if s.learning_steps == "adaptive":
            self._credit += transitions * s.samples_per_insert * (stored / capacity) / s.batch_size
        else:
            self._credit += s.learning_steps * share
        earned = int(self._credit + 1e-9)  # shares of a round add up to it but for their rounding
        self._credit -= earned
        self.due += earned

    def round_received(self) -> None:
        """Count a round of which all batches were received."""
        self.round += 1

    def learned(self, updates: int) -> None:
        """Count updates that were made; they are no longer due."""
        self.due -= updates

    def get_state(self) -> dict[str, Any]:
        return {
            "round": self.round,
            "episodes": self.episodes,
            "plies": self.plies,
            "due": self.due,
            "credit": self._credit,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        self.round, self.episodes, self.plies = state["round"], state["episodes"], state["plies"]
        self.due, self._credit = state["due"], state["credit"]
