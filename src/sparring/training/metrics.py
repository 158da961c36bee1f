"""Figures of a run, gathered between two reports, under the tags of TensorBoard.

Metrics only listen: they play no matches, and nothing that is learned depends on them.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from sparring.config.schema import ResolvedConfig
from sparring.dqn.learner import LearnStats
from sparring.dqn.networks import TABLES
from sparring.monitor import Monitor
from sparring.opponents.players import AGENT
from sparring.opponents.pool import SHARED, OpponentManager
from sparring.opponents.records import Record
from sparring.runtime import Batch
from sparring.training.assembly import Parts


class _Window:
    """Sums since the last report, or of one round."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.episodes = self.plies = self.transitions = self.updates = 0
        self.played = 0.0  # seconds, of all workers together
        self.returns = 0.0  # of the agent's seats, summed
        self.match_plies = 0.0  # of finished matches, summed
        self.seats = 0
        self.cut = 0  # matches that reached the ply limit
        self.version = 0  # of the newest weights, when the last series of updates was made
        self.lag = 0.0  # versions between the weights that played the last batch and the newest
        self.records: dict[str, Record] = defaultdict(Record)
        self.learning: list[LearnStats] = []

    def received(self, batch: Batch, records: Mapping[str, Record], version: int) -> None:
        """Count a batch that arrived while `version` was the newest of the weights."""
        results = batch.results
        self.episodes += len(results)
        self.plies += batch.plies
        self.transitions += batch.transitions
        self.played += batch.play_seconds
        agents = results["players"] == AGENT
        self.returns += float(results["returns"][agents].sum(dtype=np.float64))
        self.seats += int(agents.sum())
        self.match_plies += float(results["plies"].sum())
        self.cut += int(results["truncated"].sum())
        if batch.transitions:
            self.lag = (
                version
                - sum(float(block["version"].sum(dtype=np.int64)) for block in batch.blocks)
                / batch.transitions
            )
        for name, record in records.items():
            self.records[_reported(name)].add(record)

    def learned(self, stats: LearnStats, version: int) -> None:
        """Count a series of updates, made while `version` was the newest of the weights."""
        self.updates += stats.updates
        self.version = version
        if stats.updates:
            self.learning.append(stats)


def _reported(opponent: str) -> str:
    """The name under which an opponent is reported: snapshots come and go."""
    if opponent.startswith(SHARED):
        return "shared"
    return "snapshots" if opponent.startswith("snapshot:") else opponent


class RunMetrics:
    """Listens to the training loop and reports to the monitor.

    `each_round`: figures of single rounds are wanted too (`round_figures`).
    """

    def __init__(
        self,
        monitor: Monitor,
        parts: Parts,
        opponents: OpponentManager,
        config: ResolvedConfig,
        *,
        each_round: bool = False,
    ) -> None:
        self._monitor = monitor
        self._parts = parts
        self._opponents = opponents
        self._config = config
        self._each_round = each_round
        self._window = _Window()
        self._round = _Window()
        self._waited = 0.0  # seconds that the learner had waited at the last report

    def begin(self) -> None:
        """Start the clock of this call."""
        schedule = self._parts.schedule
        self._began = time.perf_counter()
        self._at_start = schedule.plies, schedule.episodes
        self._window = _Window()

    def totals(self) -> tuple[float, int, int]:
        """Return seconds, plies and matches since `begin`."""
        plies, episodes = self._at_start
        return (
            time.perf_counter() - self._began,
            self._parts.schedule.plies - plies,
            self._parts.schedule.episodes - episodes,
        )

    def received(self, batch: Batch, records: Mapping[str, Record], version: int) -> None:
        """Count a batch that arrived while `version` was the newest of the weights."""
        self._monitor.advance(self._parts.schedule.episodes, self._parts.schedule.progress)
        for window in self._windows():
            window.received(batch, records, version)

    def learned(self, stats: LearnStats, version: int) -> None:
        """Count a series of updates, made while `version` was the newest of the weights."""
        for window in self._windows():
            window.learned(stats, version)

    def _windows(self) -> tuple[_Window, ...]:
        return (self._window, self._round) if self._each_round else (self._window,)

    @property
    def due(self) -> bool:
        """True once `log_interval` has passed since the last report."""
        return time.perf_counter() - self._window.began >= self._config.log_interval

    def report(self, others: Mapping[str, float], *, waited: float) -> dict[str, float]:
        """Report the figures since the last report, and `others`; return them all.

        `waited`: seconds that the learner has waited for batches so far.
        """
        figures = {**self._rollout_figures(self._window), **self._train_figures(self._window)}
        if self._window.plies or self._window.updates:  # else all rates would be 0
            figures |= self._perf_figures(waited - self._waited)
        figures |= others
        schedule = self._parts.schedule
        self._monitor.advance(schedule.episodes, schedule.progress)
        self._monitor.report(figures, plies=schedule.plies)
        self._window, self._waited = _Window(), waited
        return figures

    def round_figures(self) -> dict[str, float]:
        """Return the figures since the last call, without those that a clock measures; none unless
        `each_round`.
        """
        if not self._each_round:
            return {}
        figures = {**self._rollout_figures(self._round), **self._train_figures(self._round)}
        self._round = _Window()
        return figures

    def _rollout_figures(self, window: _Window) -> dict[str, float]:
        schedule = self._parts.schedule
        mu, sigma = self._opponents.rating
        figures = {
            "rollout/episodes": float(schedule.episodes),
            "rollout/exploration_rate": schedule.mean_epsilon,
            "selfplay/pool_size": float(self._opponents.pool_size),
            "selfplay/rating_mu": mu,
            "selfplay/rating_sigma": sigma,
            "replay/fill": len(self._parts.replay) / self._parts.replay.capacity,
        }
        if window.episodes:
            figures["rollout/ep_rew_mean"] = window.returns / max(1, window.seats)
            figures["rollout/ep_len_mean"] = window.match_plies / window.episodes
            figures["rollout/cut_rate"] = window.cut / window.episodes
        return figures | {
            f"rollout/win_rate/{name}": record.wins / record.matches
            for name, record in window.records.items()
        }

    def _train_figures(self, window: _Window) -> dict[str, float]:
        learner, updates = self._parts.learner, window.updates
        figures = {
            "train/learning_rate": self._parts.schedule.learning_rate,
            "train/n_updates": float(learner.updates),
        }
        if updates:
            means = {
                name: sum(getattr(stats, name) * stats.updates for stats in window.learning)
                / updates
                for name in ("loss", "q_mean", "td_error", "grad_norm", "version")
            }
            figures["train/weight_age"] = window.version + 1 - means.pop("version")
            if self._config.policy_kwargs.network == TABLES:
                del means["grad_norm"]  # they have none
            figures |= {f"train/{name}": value for name, value in means.items()}
        return figures

    def _perf_figures(self, waited: float) -> dict[str, float]:
        window = self._window
        seconds = max(1e-9, time.perf_counter() - window.began)
        samples = window.updates * self._config.batch_size
        return {
            "time/fps": window.plies / seconds,
            "perf/plies_per_s": window.plies / seconds,
            "perf/episodes_per_min": 60.0 * window.episodes / seconds,
            "perf/updates_per_s": window.updates / seconds,
            "perf/samples_per_insert": samples / max(1, window.transitions),
            "perf/weight_lag": window.lag,
            "perf/worker_wait_frac": max(
                0.0, 1.0 - window.played / (seconds * self._parts.num_workers)
            ),
            "perf/learner_wait_frac": min(1.0, waited / seconds),
        }
