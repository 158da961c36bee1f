"""The loop of a run: play, receive, learn, publish; and when to snapshot, evaluate, report, save.

`Session.rounds` is the loop. Every part has one owner: `rounds.py` decides who waits for whom,
`schedule.py` counts, `evaluator.py` plays greedy matches, `metrics.py` gathers what is reported,
`callbacks.py` calls objects of the user.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeVar

from sparring.config.schema import ResolvedConfig
from sparring.errors import CallbackError, StorageError
from sparring.monitor import Monitor
from sparring.runtime import Batch, Workers
from sparring.storage.run_directory import RunDirectory, as_argument
from sparring.training.assembly import Parts, pacing, shared_pool
from sparring.training.callbacks import (
    Callbacks,
    CheckpointEvent,
    EndEvent,
    EvaluationEvent,
    EvaluationFunction,
    Event,
    ReportEvent,
    RoundEvent,
    SnapshotEvent,
)
from sparring.training.changes import plain_settings
from sparring.training.evaluator import Evaluator
from sparring.training.interrupts import Interrupts
from sparring.training.metrics import RunMetrics

Kind = TypeVar("Kind", bound=Event)

_NO_FIGURES: Final[Mapping[str, float]] = MappingProxyType({})
_FIRST_CHECKPOINT: Final = 1 / 20  # of the time between checkpoints: 30 s by default


class Saves:
    """Decides when a checkpoint is due: after so many updates or so many seconds, whichever comes
    first.

    The first checkpoint of a run comes soon, so that there is an agent to play with.
    """

    def __init__(
        self, interval: int, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval = interval
        self._seconds = seconds
        self._clock = clock
        self._wait = _FIRST_CHECKPOINT * seconds
        self._at = clock()
        self.updates = 0  # at the last checkpoint

    def due(self, updates: int) -> bool:
        """Return whether it is time for a checkpoint, after this many updates of the run."""
        if updates // self._interval > self.updates // self._interval:
            return True
        return self._clock() - self._at >= self._wait

    def saved(self, updates: int) -> None:
        """Note that there is a checkpoint of this many updates."""
        self.updates, self._at, self._wait = updates, self._clock(), self._seconds


class Session:
    """One call of `train` or `resume`."""

    def __init__(
        self,
        config: ResolvedConfig,
        parts: Parts,
        run: RunDirectory,
        workers: Workers,
        monitor: Monitor,
        interrupts: Interrupts,
        callbacks: Callbacks | None = None,
        own: EvaluationFunction | None = None,
        history: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self._config = config
        self._parts = parts
        self._run = run
        self._warn = monitor.warn
        self._workers = workers
        self._interrupts = interrupts
        self._opponents = parts.opponents(workers.weights.snapshots)
        self._pacing = pacing(config, parts, workers, self._opponents)
        self._evaluator = Evaluator(
            config, parts, self._opponents, run.best_path, monitor.warn, own
        )
        self._shared = shared_pool(config, parts, run.name, warn=monitor.warn)
        self._saves = Saves(config.checkpoint_interval, 60.0 * config.checkpoint_minutes)
        self._callbacks = callbacks or Callbacks()
        self._history = list(history)
        self._saved: tuple[int, ...] = ()  # `_progress` of this session's last checkpoint
        self.metrics = RunMetrics(
            monitor,
            parts,
            self._opponents,
            config,
            each_round=self._callbacks.want(RoundEvent),
        )

    def begin(self, saved: dict[str, Any] | None) -> None:
        """Take over what a checkpoint holds, or publish the first weights."""
        self._run.begin()
        if saved is None:
            self._pacing.begin(self._parts.learner.vector())
        else:
            self._set_state(saved)
        self._clock = time.monotonic()
        self.metrics.begin()

    @property
    def stopped(self) -> str:
        """Reason that ended the run early, "" if it ran its full length or a signal stopped it."""
        return self._callbacks.stopped or self._evaluator.stopped

    def loop(self) -> None:
        """Run rounds until all matches are played and learned from, or a stop is requested."""
        try:
            for _ in self.rounds():
                pass
            self._finish()
        except CallbackError as error:
            failed = self._saved_after(error)
            self._end(str(failed), failed=True)
            raise failed from error.__cause__
        except Exception as error:
            self._end(str(error), failed=True)
            raise
        self._end(self.stopped or ("interrupted" if self._interrupts.signal else ""))

    def _finish(self) -> None:
        """Evaluate the last agent, and save all."""
        self._report(now=True)  # now, because the time of what follows would lower all rates
        over = self._parts.schedule.finished or self.stopped
        if over and self._evaluator.last_due and not self._interrupts.requested:
            with self._interrupts.cutting_off():
                self._evaluate()
        # holds the best agent, so it comes after the evaluation
        unsaved = None if self._progress == self._saved else self._checkpoint()
        if self._evaluator.figures:
            self._report(now=True)
        self._callbacks.call()
        if unsaved:
            raise unsaved

    def _saved_after(self, error: CallbackError) -> CallbackError:
        """Save the run that a callback has ended; return the error with how to continue."""
        unsaved = self._checkpoint()
        again = f"saved; continue with: sparring resume {as_argument(self._run.path)}"
        return CallbackError(f"{error}; {unsaved or again}")

    def _end(self, reason: str, *, failed: bool = False) -> None:
        over = self._parts.schedule.finished or self.stopped
        self._run.end(
            "failed" if failed else "finished" if over else "interrupted",
            reason if failed else self.stopped,
        )
        if self._callbacks.want(EndEvent):
            event = self._event(EndEvent, reason=reason, failed=failed)
            self._callbacks.end(event, self._warn)

    def rounds(self) -> Iterator[None]:
        """The loop, one round at a time: receive, learn, publish."""
        schedule, learner, replay = self._parts.schedule, self._parts.learner, self._parts.replay
        if schedule.due == 0:
            self._evaluate_if_due()  # which a signal has cut off
        while not schedule.finished and not self.stopped and not self._interrupts.requested:
            if schedule.due == 0:
                for batch in self._pacing.batches():
                    self._interrupts.begun()
                    self._run.keep()
                    self._receive(batch)
            self._interrupts.begun()
            learner.set_learning_rate(schedule.learning_rate)
            stats = learner.update(
                replay, schedule.due, beta=schedule.beta, between=self._between_updates
            )
            schedule.learned(stats.updates)
            self.metrics.learned(stats, self._pacing.version)
            self._evaluator.check_q_values(stats)
            if schedule.due > 0:
                break  # cut off: the rest of this round's updates is made after a resume
            vector = learner.vector()
            self._pacing.publish(vector)
            if name := self._opponents.maybe_snapshot(
                schedule.episodes, vector, self._evaluator.gate
            ):
                self._tell(SnapshotEvent, name=name)
                if self._shared:
                    self._shared.exchange(self._parts.agent(), learner.updates, self._opponents)
            self._evaluator.check_updates()
            self._evaluate_if_due()
            self._report()
            self._maybe_checkpoint()
            self._tell(RoundEvent, self.metrics.round_figures())
            self._callbacks.call()
            yield

    def _receive(self, batch: Batch) -> None:
        """Store and count a batch."""
        self._tick()
        replay = self._parts.replay
        self._evaluator.check_returns(batch)
        for block in batch.blocks:
            replay.extend(block)
        self._parts.schedule.receive(
            episodes=len(batch.results),
            plies=batch.plies,
            transitions=batch.transitions,
            share=self._pacing.share,
        )
        finished_round = self._pacing.finished_round(batch)
        records = self._opponents.record(finished_round, batch.results, batch.in_use)
        self.metrics.received(batch, records, self._pacing.version)
        batch.release()

    def _discard(self, batch: Batch) -> None:
        """Drop what was played beyond the end of the run; note only the snapshots that matches in
        progress use.
        """
        finished_round = self._pacing.finished_round(batch)
        self._opponents.record(finished_round, batch.results[:0], batch.in_use)
        batch.release()

    def _evaluate_if_due(self) -> None:
        if self._evaluator.due:
            with self._interrupts.cutting_off():
                self._evaluate()

    def _evaluate(self) -> None:
        score, is_best = self._evaluator.evaluate()
        figures, best = self._evaluator.figures, self._run.best_path
        self._tell(EvaluationEvent, figures, score=score, is_best=is_best, best=best)

    def _between_updates(self) -> bool:
        self._workers.poll()
        self._tick()
        return self._interrupts.requested or self._parts.schedule.finished

    def _report(self, *, now: bool = False) -> None:
        if now or self.metrics.due:
            others, waited = self._evaluator.take_figures(), self._pacing.waited
            self._tell(ReportEvent, self.metrics.report(others, waited=waited))

    def _maybe_checkpoint(self) -> None:
        if self._saves.due(self._parts.learner.updates):
            unsaved = self._checkpoint()
            if unsaved:
                self._warn(f"{unsaved}; training continues, and the next checkpoint is tried again")

    def _checkpoint(self) -> StorageError | None:
        """Finish what is in flight without starting more, and save all that a resume needs; return
        the error if the disk did not take it.
        """
        self._tick()
        handle = self._discard if self._parts.schedule.finished else self._receive
        for batch in self._pacing.settle():
            handle(batch)
        updates = self._parts.learner.updates
        self._saves.saved(updates)
        try:
            self._run.check_held()
            self._parts.agent().save(self._run.last_path)  # may fit where the checkpoint does not
            path = self._run.save_checkpoint(updates, self._get_state())
        except StorageError as error:
            return error
        self._saved = self._progress
        self._tell(CheckpointEvent, checkpoint=path, last=self._run.last_path)
        return None

    @property
    def _progress(self) -> tuple[int, ...]:
        """Counts that change with everything that a checkpoint holds."""
        schedule, learner = self._parts.schedule, self._parts.learner
        return schedule.round, schedule.plies, learner.updates, self._evaluator.evaluated_at

    def _tell(
        self, kind: type[Event], figures: Mapping[str, float] = _NO_FIGURES, **details: object
    ) -> None:
        """Keep an event for the callbacks, if any wants it."""
        if self._callbacks.want(kind):
            self._callbacks.add(self._event(kind, figures, **details))

    def _event(
        self, kind: type[Kind], figures: Mapping[str, float] = _NO_FIGURES, **details: Any
    ) -> Kind:
        self._tick()
        schedule = self._parts.schedule
        return kind(
            run=self._run.path,
            rounds=schedule.round,
            matches=schedule.episodes,
            plies=schedule.plies,
            updates=self._parts.learner.updates,
            progress=schedule.progress,
            minutes=schedule.minutes,
            figures=MappingProxyType(dict(figures)),
            **details,
        )

    def _tick(self) -> None:
        """Tell the schedule how much time has passed."""
        now = time.monotonic()
        self._parts.schedule.passed(now - self._clock)
        self._clock = now

    def _get_state(self) -> dict[str, Any]:
        return {
            "config": plain_settings(self._config),
            "history": self._history,
            "evaluator": self._evaluator.get_state(),
            "schedule": self._parts.schedule.get_state(),
            "learner": self._parts.learner.get_state(),
            "replay": self._parts.replay.get_state(),
            "opponents": self._opponents.get_state(),
            "workers": self._workers.get_state(),
            "pacing": self._pacing.get_state(),
        }

    def _set_state(self, saved: dict[str, Any]) -> None:
        """Restore all parts, and take them out of `saved`: memory is not held twice."""
        self._evaluator.set_state(saved.pop("evaluator"))
        self._parts.schedule.set_state(saved.pop("schedule"))
        self._parts.learner.set_state(saved.pop("learner"))
        self._saves.saved(self._parts.learner.updates)
        self._parts.replay.set_state(saved.pop("replay"))
        self._opponents.set_state(saved.pop("opponents"))
        self._pacing.set_state(saved.pop("pacing"))
        self._workers.set_state(saved.pop("workers"))
