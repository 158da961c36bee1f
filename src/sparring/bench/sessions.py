"""Real training runs that are measured in slices: between two slices a run pauses, and its workers
wait for their next command.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from sparring.bench.work import BATCH, EPSILON, fill, transitions
from sparring.config.schema import TrainConfig
from sparring.config.sources import build_config
from sparring.dqn.agent import DQNAgent
from sparring.monitor import Monitor
from sparring.runtime import Batch, Workers, torch_threads
from sparring.storage.run_directory import RunDirectory
from sparring.training.assembly import Parts, assemble, open_workers
from sparring.training.interrupts import Interrupts
from sparring.training.loop import Session
from sparring.training.resolve import opponents_from_outside, resolved

_NEVER: Final = 10**12
_READY: Final = 4_096  # transitions
# of a slice, before it: other sides' workers finish their rounds, and this run receives what its
# own had ready
_SETTLE: Final = 0.25

# No end, no evaluation, no checkpoint, no report: only play and learning.
QUIET: Final[Mapping[str, Any]] = {
    "n_episodes": _NEVER,
    "device": "cpu",
    "eval_interval": _NEVER,
    "checkpoint_interval": _NEVER,
    "snapshot_interval": _NEVER,
    "max_snapshots": 0,
    "log_interval": 1e9,
    "tensorboard": False,
    "exploration_initial_eps": EPSILON,
    "exploration_final_eps": EPSILON,
    "opponents": {"self": 1.0},
    "num_envs_per_worker": BATCH,
    "buffer_size": 50_000,
}

# Ludo for two, a network of 233,284 parameters, and for each match one update of 64; Q-values of
# actions, as the naive loop beside it has them.
LUDO: Final[Mapping[str, Any]] = {
    "game": "ludo",
    "afterstates": "off",
    "policy_kwargs": {"net_arch": [400, 256]},
    "batch_size": 64,
    "episodes_per_batch": 64,
    "learning_steps_per_batch": None,
}
CONNECT_FOUR: Final[Mapping[str, Any]] = {
    "game": "connect_four",
    "policy_kwargs": {"net_arch": [256, 256]},
    "batch_size": 256,
    "episodes_per_batch": 256,
    "learning_steps_per_batch": "adaptive",
}
LEARNING_LIMITED: Final[Mapping[str, Any]] = {
    **CONNECT_FOUR,
    "samples_per_insert": 256 / 64,
    "episodes_per_batch": 128,
}
PLAY_LIMITED: Final[Mapping[str, Any]] = {
    **CONNECT_FOUR,
    "samples_per_insert": 256 / 1024,
    "episodes_per_batch": 768,
}


@dataclass(frozen=True)
class Pace:
    """Work of a run in one slice; `played` is the time that workers played, summed over them,
    `waited` the time that the learner waited for them.
    """

    seconds: float
    plies: int
    episodes: int
    updates: int
    played: float
    waited: float
    workers: int
    main_share: float  # processor time of the main process, as a share of one core

    @property
    def plies_per_s(self) -> float:
        return self.plies / self.seconds

    @property
    def updates_per_s(self) -> float:
        return self.updates / self.seconds

    @property
    def episodes_per_min(self) -> float:
        return 60.0 * self.episodes / self.seconds

    @property
    def plies_per_update(self) -> float:
        return self.plies / max(1, self.updates)

    @property
    def worker_wait(self) -> float:
        """Share of the workers' time."""
        return max(0.0, 1.0 - self.played / (self.seconds * self.workers))

    @property
    def learner_wait(self) -> float:
        """Share of the learner's time."""
        return min(1.0, self.waited / self.seconds)


class _TimedWorkers:
    """The workers of a run, with the time that the learner waits for them and that they play."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self.waited = self.played = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._workers, name)

    def finish_round(self) -> Batch:
        return self._timed(self._workers.finish_round)

    def finish_any(self) -> Batch:
        return self._timed(self._workers.finish_any)

    def _timed(self, wait: Callable[[], Batch]) -> Batch:
        begun = time.perf_counter()
        batch = wait()
        self.waited += time.perf_counter() - begun
        self.played += batch.play_seconds
        return batch


class LiveSession:
    """A run that continues for one slice at a time."""

    def __init__(self, config: TrainConfig, parts: Parts, session: Session, watched: Any) -> None:
        self.config = config
        self._parts = parts
        self._watched = watched
        self._rounds = session.rounds()

    def agent(self) -> DQNAgent:
        """The agent as it is now."""
        return self._parts.agent()

    def warm_up(self, seconds: float) -> None:
        """Run for `seconds` that do not count."""
        with torch_threads(1):
            self._run_rounds(seconds)

    def slice(self, seconds: float) -> Pace:
        """Run for about `seconds`, from the end of one round to that of another; some rounds before
        do not count.
        """
        with torch_threads(1):
            self._run_rounds(_SETTLE * seconds)
            before, begun, worked = self._counts(), time.perf_counter(), time.process_time()
            self._run_rounds(seconds)
            spent, worked = time.perf_counter() - begun, time.process_time() - worked
        plies, episodes, updates, played, waited = (
            now - then for now, then in zip(self._counts(), before, strict=True)
        )
        return Pace(
            spent,
            int(plies),
            int(episodes),
            int(updates),
            played,
            waited,
            self._parts.num_workers,
            worked / spent,
        )

    def _run_rounds(self, seconds: float) -> None:
        """Run at least two rounds: the first may have been played to its end before."""
        end = time.perf_counter() + seconds
        for number, _ in enumerate(self._rounds):
            if number >= 1 and time.perf_counter() >= end:
                return

    def _counts(self) -> tuple[float, ...]:
        schedule = self._parts.schedule
        return (
            schedule.plies,
            schedule.episodes,
            self._parts.learner.updates,
            self._watched.played,
            self._watched.waited,
        )


@contextmanager
def open_session(
    options: Mapping[str, Any], *, workers: Any = open_workers
) -> Iterator[LiveSession]:
    """A new run of these options, with a full replay; its files are deleted when it is closed.

    `workers` makes them from the resolved configuration and the parts, as `open_workers` does.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        config, game = resolved(build_config(overrides={**QUIET, **options, "runs_dir": folder}))
        parts = assemble(config, game, opponents_from_outside(config, game))
        fill(parts.replay, transitions(parts.rollout.policy, _READY))
        run = stack.enter_context(RunDirectory.create(folder, None, "bench"))
        monitor = stack.enter_context(
            Monitor(run, total_episodes=config.n_episodes, tensorboard=False, console=False)
        )
        watched: Any = _TimedWorkers(
            stack.enter_context(workers(config, parts, notify=monitor.note))
        )
        session = Session(config, parts, run, watched, monitor, Interrupts(monitor.note))
        session.begin(None)
        yield LiveSession(config, parts, session, watched)
