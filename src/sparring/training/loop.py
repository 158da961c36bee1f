"""One call of `train` or `resume`: the loop, and the moments at which it snapshots, evaluates,
reports and saves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparring.config.schema import TrainConfig
from sparring.monitor import Monitor
from sparring.runtime import Batch, Workers
from sparring.storage.run_directory import RunDirectory
from sparring.training.assembly import Parts, pacing
from sparring.training.evaluator import BEST, GATE, Duels
from sparring.training.interrupts import Interrupts
from sparring.training.metrics import Progress

_ROUNDING: Final = 1e-9


class Session:
    """One call of `train` or `resume`: the loop, and the moments at which it snapshots, evaluates,
    reports and saves.
    """

    def __init__(
        self,
        config: TrainConfig,
        parts: Parts,
        run: RunDirectory,
        workers: Workers,
        monitor: Monitor,
        interrupts: Interrupts,
    ) -> None:
        self._config = config
        self._parts = parts
        self._run = run
        self._workers = workers
        self._interrupts = interrupts
        self._opponents = parts.opponents(workers.weights.snapshots)
        self._duels = Duels(parts.rollout.policy, config.seed)
        self._gate = self._passes if config.gate == "win_rate" else None
        self._pacing = pacing(config, parts, workers, self._opponents)
        self._best: tuple[float, NDArray[np.float32]] | None = (
            None  # score and weights of the agent that is kept
        )
        self._evaluated_at = self._saved_at = 0  # updates
        self.progress = Progress(monitor, parts, self._opponents, self._duels, config)

    def begin(self, saved: dict[str, Any] | None) -> None:
        """Take up what a checkpoint holds, or publish the first weights."""
        if saved is None:
            self._pacing.begin(self._parts.learner.vector())
        else:
            self._set_state(saved)
        self.progress.begin()

    def loop(self) -> None:
        """Rounds until all matches were played and learned from, or until somebody wants to stop."""
        for _ in self.rounds():
            pass
        self._checkpoint()
        if self._parts.schedule.finished:
            self._evaluate()
        self.progress.maybe_report(now=True)

    def rounds(self) -> Iterator[None]:
        """The loop, one round at a time: play and take in, learn, publish."""
        schedule, learner, replay = self._parts.schedule, self._parts.learner, self._parts.replay
        while not schedule.finished and not self._interrupts.requested:
            if schedule.due == 0:
                for batch in self.progress.awaited(self._pacing.batches()):
                    self._run.keep()
                    self._take_in(batch)
            learner.set_learning_rate(schedule.learning_rate)
            stats = learner.update(
                replay, schedule.due, beta=schedule.beta, between=self._between_updates
            )
            schedule.due -= stats.updates
            self.progress.learned(stats, self._pacing.version)
            if schedule.due > 0:
                break  # interrupted: the rest of this round's updates is made when the run goes on
            vector = learner.vector()
            self._pacing.publish(vector)
            self._opponents.maybe_snapshot(schedule.episodes, vector, self._gate)
            self._maybe_evaluate()
            self.progress.maybe_report()
            self._maybe_checkpoint()
            yield

    def _take_in(self, batch: Batch) -> None:
        """Store what a batch brought, and count it."""
        replay = self._parts.replay
        for block in batch.blocks:
            replay.extend(block)
        self._parts.schedule.receive(
            episodes=len(batch.results),
            plies=batch.plies,
            transitions=batch.transitions,
            stored=len(replay),
            capacity=replay.capacity,
            share=self._pacing.share,
        )
        records = self._opponents.record(
            self._pacing.finished_round(batch), batch.results, batch.in_use
        )
        self.progress.received(batch, records, self._pacing.version)
        batch.release()

    def _drop(self, batch: Batch) -> None:
        """Leave out what was still played when the run was over, but for the snapshots that matches
        in progress keep.
        """
        self._opponents.record(self._pacing.finished_round(batch), batch.results[:0], batch.in_use)
        batch.release()

    def _passes(self, newest: str, weights: NDArray[np.float32]) -> bool:
        """Whether the agent, playing greedily, scores enough against the pool's newest snapshot to
        join it.
        """
        learner = self._parts.learner
        candidate, holder = (
            self._duels.player("candidate", learner.vector()),
            self._duels.player(newest, weights),
        )
        record = self._duels.play(
            candidate, holder, matches=self._config.gate_matches, key=(GATE, learner.updates)
        )
        self._opponents.record_greedy(newest, record)
        self.progress.gated(record.score)
        return record.score >= self._config.gate_score

    def _between_updates(self) -> bool:
        self._workers.poll()
        return self._interrupts.requested

    def _maybe_evaluate(self) -> None:
        updates, interval = self._parts.learner.updates, self._config.eval_interval
        if updates // interval > self._evaluated_at // interval:
            self._evaluated_at = updates
            self._evaluate()

    def _evaluate(self) -> None:
        """Keep the agent if it does no worse than the best one so far, against the yardsticks and
        against that one taken together.

        What beats its yardsticks nearly always may still get better, of which they show little.
        """
        agent = self._parts.agent()
        score, weights = self.progress.evaluate(agent), self._parts.learner.evaluated_vector()
        if (
            self._best is None
            or score - self._best[0] + self._score_against(self._best[1], weights)
            >= 0.5 - _ROUNDING
        ):
            self._best = score, weights
            agent.save(self._run.best_path)

    def _score_against(self, best: NDArray[np.float32], weights: NDArray[np.float32]) -> float:
        players = self._duels.player("agent", weights), self._duels.player("best", best)
        return self._duels.play(
            *players, matches=self._config.eval_matches, key=(BEST, self._parts.learner.updates)
        ).score

    def _maybe_checkpoint(self) -> None:
        interval = self._config.checkpoint_interval
        if self._parts.learner.updates // interval > self._saved_at // interval:
            self._checkpoint()

    def _checkpoint(self) -> None:
        """Finish what is in flight without starting more, and save everything that the run needs to
        go on from here.
        """
        take = self._drop if self._parts.schedule.finished else self._take_in
        for batch in self._pacing.settle():
            take(batch)
        self._saved_at = self._parts.learner.updates
        self._run.save_checkpoint(self._saved_at, self._get_state())
        self._parts.agent().save(self._run.last_path)

    def _get_state(self) -> dict[str, Any]:
        best = {} if self._best is None else {"score": self._best[0], "weights": self._best[1]}
        return {
            "session": {
                "evaluated_at": self._evaluated_at,
                "saved_at": self._saved_at,
                "best": best,
            },
            "watch": self.progress.watch.get_state(),
            "schedule": self._parts.schedule.get_state(),
            "learner": self._parts.learner.get_state(),
            "replay": self._parts.replay.get_state(),
            "opponents": self._opponents.get_state(),
            "workers": self._workers.get_state(),
            "pacing": self._pacing.get_state(),
        }

    def _set_state(self, saved: dict[str, Any]) -> None:
        self._evaluated_at, self._saved_at = (
            saved["session"]["evaluated_at"],
            saved["session"]["saved_at"],
        )
        best = saved["session"]["best"]
        self._best = (best["score"], best["weights"]) if best else None
        self.progress.watch.set_state(saved["watch"])
        self._parts.schedule.set_state(saved["schedule"])
        self._parts.learner.set_state(saved["learner"])
        self._parts.replay.set_state(saved["replay"])
        self._opponents.set_state(saved["opponents"])
        self._pacing.set_state(saved["pacing"])
        self._workers.set_state(saved["workers"])
