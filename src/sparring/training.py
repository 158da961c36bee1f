"""Training: the assembly of all parts, and the loop, in full view.

Version v_k of the weights exists once k rounds are learned. In `sync` round k is played with v_k, then learned. In `overlap` round k + 1
is started with v_k before round k is learned, so that playing and learning go on side by side, and still in a fixed order.
"""

from __future__ import annotations

import hashlib
import inspect
import shlex
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparring.assembly import Parts, assemble, describe, open_workers, resolved
from sparring.atomic import write_file
from sparring.config import TrainConfig
from sparring.config_files import build_config, resume_config, to_toml
from sparring.dqn.agent import DQNAgent
from sparring.errors import ConfigurationError, GameFault
from sparring.games import is_built_in, label, name_of
from sparring.games.faults import save_fault
from sparring.interrupts import Interrupts
from sparring.monitor import Monitor
from sparring.progress import Progress
from sparring.rollout.round import RoundCommand
from sparring.run_directory import RunDirectory
from sparring.runtime import Batch, Workers, check_guard, name_for_others, torch_threads


@dataclass(frozen=True)
class TrainResult:
    """What a run came to, in figures of the whole run; `sha256` is that of the final agent file `last.safetensors`."""

    run: Path
    agent: Path
    updates: int
    plies: int
    episodes: int
    seconds: float  # of this call
    episodes_per_min: float  # during this call
    plies_per_s: float  # during this call
    sha256: str
    interrupted: bool
    workers_replaced: int  # during this call, because they failed
    trained: DQNAgent


def train(config: TrainConfig, *, console: bool = True) -> TrainResult:
    """Train from the start in a new run directory.

    Raises `ConfigurationError` for what cannot work, and leaves nothing behind unless matches were played already; `GameFault` when the
    game goes wrong, `NumericalError` when learning does, and `WorkerError` when workers do. What was saved until then remains.
    """
    check_guard()
    config = resolved(config)
    parts = assemble(config)
    with RunDirectory.create(config.runs_dir, config.name, label(config.game)) as run:
        write_file(run.config_path, to_toml(config).encode())
        try:
            return _run(config, parts, run, saved=None, console=console)
        except ConfigurationError:
            run.discard()
            raise


def resume(name: str, *, runs_dir: str = "runs", overrides: Mapping[str, Any] | None = None, console: bool = True) -> TrainResult:
    """Go on with a run from its newest checkpoint, bit for bit as if it had never stopped.

    `overrides` may change the length, the device (which voids the equality) and logging. Raises `InputError` for a run that is not there.
    """
    check_guard()
    with RunDirectory.open(runs_dir, name) as run:
        saved_config = build_config(config_file=run.config_path)
        config = resolved(resume_config(saved_config, overrides or {}))
        parts = assemble(config)
        saved = run.load_checkpoint()
        played = saved["schedule"]["episodes"]
        if "n_episodes" in (overrides or {}) and config.n_episodes < played:
            raise ConfigurationError("n_episodes", got=config.n_episodes, expected=f"at least {played}, which were played already")
        write_file(run.config_path, to_toml(config).encode())
        remark = ""
        if config.device != saved_config.device:
            remark = f"\nnow on {config.device}, no longer on {saved_config.device}: the weights will not be those of a run that stayed"
        return _run(config, parts, run, saved=saved, console=console, remark=remark)


def _run(
    config: TrainConfig, parts: Parts, run: RunDirectory, *, saved: dict[str, Any] | None, console: bool, remark: str = ""
) -> TrainResult:
    """Open what has to be closed, go on from what was saved, train, and say how it went."""
    with ExitStack() as stack:
        stack.enter_context(faults_saved(run.faults_path))
        stack.enter_context(torch_threads(config.learner_threads or 1))
        interrupts = stack.enter_context(Interrupts())  # before the workers, whose start takes seconds
        monitor = stack.enter_context(Monitor(run, total_episodes=config.n_episodes, tensorboard=config.tensorboard, console=console))
        monitor.note(describe(config, parts) + remark)
        workers = stack.enter_context(open_workers(config, parts, notify=monitor.note))
        session = Session(config, parts, run, workers, monitor, interrupts)
        session.begin(saved)
        session.loop()
        return session.result()


@contextmanager
def faults_saved(folder: Path) -> Iterator[None]:
    """A match with which a game goes wrong is saved in `folder`, and the `GameFault` says how to play it again."""
    try:
        yield
    except GameFault as fault:
        raise GameFault(f"{fault}; {_saved(folder, fault)}", fault.record) from fault


def _saved(folder: Path, fault: GameFault) -> str:
    """Save the match, and say how to play it again; where that cannot be, say why: nothing may hide the fault itself."""
    try:
        path = save_fault(folder, fault)
        game = name_for_others(str(fault.record["game"]))
        again = ["sparring", "replay", str(path), *([] if is_built_in(game) else ["--game", game])]
    except Exception as error:
        return f"the match could not be saved in {folder}: {' '.join(str(error).split()) or type(error).__name__}"
    if game.startswith("__main__:"):
        return f"the match is saved in {path}; to play it again, put the game in a module that can be imported from here"
    return f"the match is saved: {shlex.join(again)}"


class Session:
    """One call of `train` or `resume`: the loop, and the moments at which it snapshots, evaluates, reports and saves."""

    def __init__(
        self, config: TrainConfig, parts: Parts, run: RunDirectory, workers: Workers, monitor: Monitor, interrupts: Interrupts
    ) -> None:
        self._config = config
        self._parts = parts
        self._run = run
        self._workers = workers
        self._interrupts = interrupts
        self._opponents = parts.opponents(workers.weights.snapshots)
        self._pending: Batch | None = None  # a finished round whose turn has not come
        self._started = 0  # rounds
        self._best = -1.0
        self._evaluated_at = self._saved_at = 0  # updates
        self._progress = Progress(monitor, parts, self._opponents, config)

    def begin(self, saved: dict[str, Any] | None) -> None:
        """Take up what a checkpoint holds, or publish the first weights."""
        if saved is None:
            self._workers.weights.publish(0, self._parts.learner.vector())
        else:
            self._set_state(saved)
        self._progress.begin()

    def loop(self) -> None:
        """Rounds until all matches were played and learned from, or until somebody wants to stop."""
        schedule, learner, replay = self._parts.schedule, self._parts.learner, self._parts.replay
        while not schedule.finished and not self._interrupts.requested:
            if schedule.due == 0:
                self._start_rounds(schedule.round + (2 if self._config.mode == "overlap" else 1))
                batch = self._finish_round(schedule.round)
                replay.extend(batch.rows)
                schedule.receive(
                    episodes=len(batch.results),
                    plies=batch.plies,
                    transitions=len(batch.rows),
                    stored=len(replay),
                    capacity=replay.capacity,
                )
                self._progress.received(batch, self._opponents.record(batch.round, batch.results, batch.in_use))
            learner.set_learning_rate(schedule.learning_rate)
            stats = learner.update(replay, schedule.due, beta=schedule.beta, between=self._between_updates)
            schedule.due -= stats.updates
            self._progress.learned(stats)
            if schedule.due > 0:
                break  # interrupted: the rest of this round's updates is made when the run goes on
            vector = learner.vector()
            self._workers.weights.publish(schedule.round, vector)
            self._opponents.maybe_snapshot(schedule.episodes, vector)
            self._maybe_evaluate()
            self._progress.maybe_report()
            self._maybe_checkpoint()
        self._checkpoint()
        if schedule.finished:
            self._evaluate()
        self._progress.maybe_report(now=True)

    def _start_rounds(self, end: int) -> None:
        """Start all rounds before `end` that were not started yet, with the newest weights that are published."""
        version = self._parts.schedule.round
        epsilon = self._parts.schedule.epsilon
        for k in range(self._started, end):
            plans = [self._opponents.plan(k, worker) for worker in range(self._parts.num_workers)]
            self._workers.start_round([RoundCommand(k, version, epsilon, plan, self._config.episodes_per_batch) for plan in plans])
        self._started = max(self._started, end)

    def _finish_round(self, k: int) -> Batch:
        if self._pending is not None:
            batch, self._pending = self._pending, None
            assert batch.round == k
            return batch
        with self._progress.waiting():
            batch = self._workers.finish_round(k)
        self._run.keep()
        return batch

    def _between_updates(self) -> bool:
        self._workers.poll()
        return self._interrupts.requested

    def _maybe_evaluate(self) -> None:
        updates, interval = self._parts.learner.updates, self._config.eval_interval
        if updates // interval > self._evaluated_at // interval:
            self._evaluated_at = updates
            self._evaluate()

    def _evaluate(self) -> None:
        """Keep the agent with the highest mean score over the yardsticks, the later of equals."""
        agent = self._parts.agent()
        score = self._progress.evaluate(agent)
        if score >= self._best:
            self._best = score
            agent.save(self._run.best_path)

    def _maybe_checkpoint(self) -> None:
        interval = self._config.checkpoint_interval
        if self._parts.learner.updates // interval > self._saved_at // interval:
            self._checkpoint()

    def _checkpoint(self) -> None:
        """Finish what is in flight without starting more, and save everything that the run needs to go on from here."""
        schedule = self._parts.schedule
        if self._pending is None and self._started > schedule.round:
            self._pending = self._finish_round(schedule.round)
        self._saved_at = self._parts.learner.updates
        self._run.save_checkpoint(self._saved_at, self._get_state())
        self._parts.agent().save(self._run.last_path)

    def _get_state(self) -> dict[str, Any]:
        published = self._parts.schedule.round - (self._parts.schedule.due > 0)
        return {
            "session": {"evaluated_at": self._evaluated_at, "saved_at": self._saved_at, "best": self._best},
            "schedule": self._parts.schedule.get_state(),
            "learner": self._parts.learner.get_state(),
            "replay": self._parts.replay.get_state(),
            "opponents": self._opponents.get_state(),
            "workers": self._workers.get_state(),
            "published": {"version": published, "vector": self._workers.weights.published(published)},
            "pending": None if self._pending is None else self._pending.get_state(),
        }

    def _set_state(self, saved: dict[str, Any]) -> None:
        self._evaluated_at, self._saved_at = saved["session"]["evaluated_at"], saved["session"]["saved_at"]
        self._best = saved["session"]["best"]
        self._parts.schedule.set_state(saved["schedule"])
        self._parts.learner.set_state(saved["learner"])
        self._parts.replay.set_state(saved["replay"])
        self._opponents.set_state(saved["opponents"])
        self._workers.weights.publish(saved["published"]["version"], saved["published"]["vector"])
        self._workers.set_state(saved["workers"])
        self._pending = None if saved["pending"] is None else Batch.from_state(saved["pending"])
        self._started = self._parts.schedule.round + (self._pending is not None)

    def result(self) -> TrainResult:
        """What the run came to."""
        schedule, agent = self._parts.schedule, self._parts.agent()
        seconds, plies, episodes = self._progress.totals()
        return TrainResult(
            run=self._run.path,
            agent=self._run.last_path,
            updates=self._parts.learner.updates,
            plies=schedule.plies,
            episodes=schedule.episodes,
            seconds=seconds,
            episodes_per_min=60.0 * episodes / seconds,
            plies_per_s=plies / seconds,
            sha256=hashlib.sha256(agent.to_bytes()).hexdigest(),
            interrupted=self._interrupts.requested and not schedule.finished,
            workers_replaced=self._workers.replaced,
            trained=agent,
        )


def train_dqn(game: str | object = "connect_four", *, preset: str | None = None, **options: Any) -> DQNAgent:
    """Train an agent by parallel self-play and return it, ready to play and to be trained on.

    `game` is the name of one, or a class that plays one match (`sparring.games.Match`).
    `options` are the fields of `TrainConfig`, such as n_episodes=100_000, num_workers=None (the CPUs less two), episodes_per_batch=4,
    learning_steps_per_batch=None (one update a match), device="cuda:1", seed=0; they go before those of the preset. The run with its
    checkpoints is kept in `runs/`. Works from scripts with or without a main guard, `python -c`, standard input and notebooks. Only where
    the game or the network is defined in the script itself does the call need the guard, and has to be in a file, or backend="inline".

    Raises `ConfigurationError` for an unknown or impossible option, and leaves nothing behind; `GameFault` when the game raises, with the
    match saved. Ctrl-C saves the run and then raises KeyboardInterrupt; `sparring resume` goes on with it.
    """
    result = train(build_config(preset=preset, overrides={"game": name_of(game), **options}))
    if result.interrupted:
        raise KeyboardInterrupt(f"saved; go on with: sparring resume {result.run.name}")
    return result.trained


def _signature_with_options() -> inspect.Signature:
    """What `help(train_dqn)` shows: every option with its default, which stands in `TrainConfig` alone."""
    own = [p for p in inspect.signature(train_dqn).parameters.values() if p.kind is not p.VAR_KEYWORD]
    options = [p for name, p in inspect.signature(TrainConfig).parameters.items() if name != "game"]
    return inspect.Signature([*own, *options], return_annotation=DQNAgent)


train_dqn.__signature__ = _signature_with_options()  # type: ignore[attr-defined]
