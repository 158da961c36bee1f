"""What a run reports of itself: figures gathered between two reports, under the tags of
TensorBoard.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from sparring.config.schema import TrainConfig
from sparring.dqn.agent import DQNAgent
from sparring.dqn.learner import LearnStats
from sparring.evaluation import evaluate
from sparring.games import spec_of
from sparring.games.rng import stream_key
from sparring.monitor import Monitor
from sparring.opponents.players import AGENT, NetworkPlayer
from sparring.opponents.pool import OpponentManager
from sparring.opponents.records import Record
from sparring.opponents.scripted import yardsticks
from sparring.runtime import Batch
from sparring.training.assembly import Parts
from sparring.training.evaluator import FORGETTING, Alarm, Duels, Watch

_YARDSTICKS: Final = (
    0x4556_414C_0004  # a part of stream keys: keeps evaluations during a run apart from all others
)


class _Window:
    """Sums since the last report."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.episodes = self.plies = self.transitions = self.updates = 0
        self.waited = self.played = 0.0  # seconds: of the learner; of all workers together
        self.returns = self.match_plies = 0.0  # of the agent's seats and of matches, summed
        self.seats = 0
        self.version = 0  # of the newest weights, when the last series of updates was made
        self.lag = 0.0  # versions between the weights that played the last batch and the newest
        self.records: dict[str, Record] = defaultdict(Record)
        self.learning: list[LearnStats] = []


class Progress:
    """Listens to the training loop and tells the monitor; nothing that is learned depends on it but
    which agent is the best.
    """

    def __init__(
        self,
        monitor: Monitor,
        parts: Parts,
        opponents: OpponentManager,
        duels: Duels,
        config: TrainConfig,
    ) -> None:
        self._monitor = monitor
        self._parts = parts
        self._opponents = opponents
        self._duels = duels
        self._config = config
        self._evaluation_seed = stream_key(config.seed, _YARDSTICKS)
        self._window = _Window()
        self._once: dict[
            str, float
        ] = {}  # for the next report: of evaluations, the gate and warnings
        self.watch = Watch(spec_of(config.game).returns)

    def begin(self) -> None:
        """The clock of the run starts here."""
        schedule = self._parts.schedule
        self._began = time.perf_counter()
        self._at_start = schedule.plies, schedule.episodes
        self._window = _Window()

    def totals(self) -> tuple[float, int, int]:
        """Seconds, plies and matches since `begin`."""
        plies, episodes = self._at_start
        return (
            time.perf_counter() - self._began,
            self._parts.schedule.plies - plies,
            self._parts.schedule.episodes - episodes,
        )

    def awaited(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches; until each is there, the learner waits."""
        while True:
            began = time.perf_counter()
            batch = next(batches, None)
            self._window.waited += time.perf_counter() - began
            if batch is None:
                return
            yield batch

    def received(self, batch: Batch, records: Mapping[str, Record], version: int) -> None:
        """A batch has come in, while `version` is the newest of the weights."""
        window, results = self._window, batch.results
        self._monitor.advance(self._parts.schedule.episodes)
        window.episodes += len(results)
        window.plies += batch.plies
        window.transitions += batch.transitions
        window.played += batch.play_seconds
        agents = results["players"] == AGENT
        window.returns += float(results["returns"][agents].sum(dtype=np.float64))
        window.seats += int(agents.sum())
        window.match_plies += float(results["plies"].sum())
        if batch.transitions:
            window.lag = (
                version
                - sum(float(block["version"].sum(dtype=np.int64)) for block in batch.blocks)
                / batch.transitions
            )
        for name, record in records.items():
            window.records["snapshots" if name.startswith("snapshot:") else name].add(record)

    def learned(self, stats: LearnStats, version: int) -> None:
        """A series of updates was made, while `version` was the newest of the weights."""
        self._window.updates += stats.updates
        self._window.version = version
        if stats.updates:
            self._window.learning.append(stats)
            self._warn(self.watch.q_values(stats.q_mean))

    def gated(self, score: float) -> None:
        """A candidate for the pool has played at the gate."""
        self._once["selfplay/gate_score"] = score

    def evaluate(self, agent: DQNAgent) -> float:
        """Play greedily against the yardsticks, from the same openings each time; the mean score
        over them.

        They are not those of `sparring evaluate --seed` with the run's seed: what is called the
        best here was chosen by its luck in these.
        """
        player, game = NetworkPlayer("agent", agent.policy()), self._config.game
        names = yardsticks(
            game, [name for name, share in (self._config.opponents or {}).items() if share > 0.0]
        )
        opponents = evaluate(
            player, game, names, matches=self._config.eval_matches, seed=self._evaluation_seed
        )["opponents"]
        for name, result in opponents.items():
            self._once[f"eval/win_rate/{name}"] = result["wins"] / result["matches"]
            self._once[f"eval/draw_rate/{name}"] = result["draws"] / result["matches"]
            self._opponents.record_greedy(
                name, Record(result["wins"], result["draws"], result["losses"])
            )
            self._warn(self.watch.collapse(name, result["score"], result["interval95"]))
        self._look_for_forgetting(player)
        return float(np.mean([result["score"] for result in opponents.values()]))

    def _look_for_forgetting(self, player: NetworkPlayer) -> None:
        """Where the records of training raise a suspicion, greedy matches decide."""
        suspect = self.watch.suspect(self._opponents.snapshots, self._opponents.recent)
        if suspect is not None:
            other = self._duels.player(suspect, self._opponents.vector(suspect))
            key = FORGETTING, self._parts.learner.updates
            record = self._duels.play(player, other, matches=self._config.eval_matches, key=key)
            self._opponents.record_greedy(suspect, record)
            self._warn(self.watch.forgetting(suspect, record))

    def _warn(self, alarm: Alarm | None) -> None:
        if alarm is not None:
            self._once[alarm.tag] = alarm.value
            self._monitor.warn(alarm.text)

    def maybe_report(self, *, now: bool = False) -> None:
        """Report when `log_interval` has passed since the last time, or `now`."""
        if now or time.perf_counter() - self._window.began >= self._config.log_interval:
            self._monitor.report(self._figures(), plies=self._parts.schedule.plies)
            self._window, self._once = _Window(), {}

    def _figures(self) -> dict[str, float]:
        return {
            **self._rollout_figures(),
            **self._train_figures(),
            **self._perf_figures(),
            **self._once,
        }

    def _rollout_figures(self) -> dict[str, float]:
        window, schedule = self._window, self._parts.schedule
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
        return figures | {
            f"rollout/win_rate/{name}": record.wins / record.matches
            for name, record in window.records.items()
        }

    def _train_figures(self) -> dict[str, float]:
        learner, updates = self._parts.learner, self._window.updates
        figures = {
            "train/learning_rate": self._parts.schedule.learning_rate,
            "train/n_updates": float(learner.updates),
        }
        if updates:
            means = {
                name: sum(getattr(stats, name) * stats.updates for stats in self._window.learning)
                / updates
                for name in ("loss", "q_mean", "td_error", "grad_norm", "version")
            }
            figures["train/weight_age"] = self._window.version + 1 - means.pop("version")
            figures |= {f"train/{name}": value for name, value in means.items()}
        return figures

    def _perf_figures(self) -> dict[str, float]:
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
            "perf/learner_wait_frac": min(1.0, window.waited / seconds),
        }
