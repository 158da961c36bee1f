"""Training and resuming: from a configuration to a run and its result."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT
from typing import Any

from sparring.config.schema import GROUPS, ResolvedConfig, TrainConfig
from sparring.config.settings import document
from sparring.config.sources import build_config, resume_config, to_toml
from sparring.dqn.agent import DQNAgent
from sparring.dqn.start_weights import start_with
from sparring.errors import ConfigurationError, GameFault, Interrupted, RankError
from sparring.games import is_built_in, label, name_of
from sparring.games.faults import save_fault
from sparring.monitor import Monitor
from sparring.opponents.agents import keep
from sparring.opponents.roster import Roster, opponent_name
from sparring.runtime import check_guard, name_for_others, torch_threads
from sparring.storage.atomic import write_file
from sparring.storage.run_directory import RunDirectory, as_argument, find_run, read_newest
from sparring.training.assembly import (
    Parts,
    assemble,
    describe,
    disk_warning,
    open_workers,
    policy_of,
)
from sparring.training.callbacks import Callbacks, EvaluationFunction
from sparring.training.changes import (
    before_changes,
    carried_over,
    check_length,
    check_unchanged,
    history_entry,
    opponents_in_progress,
    remarks,
    take_learner,
)
from sparring.training.inference import where, with_inference
from sparring.training.interrupts import Interrupts
from sparring.training.loop import Session
from sparring.training.other_ranks import follow_torchrun, other_ranks
from sparring.training.out_of_memory import out_of_memory_told
from sparring.training.resolve import (
    opponents_from_outside,
    resolved,
    same_seed_remark,
    with_start_weights,
)
from sparring.user_code import shown_name


@dataclass(frozen=True)
class TrainResult:
    """Result of `train` or `resume`: figures of the whole run, where not stated otherwise.

    `sha256` is that of the final agent file `last.safetensors`.
    """

    run: Path
    agent: Path
    updates: int
    plies: int
    episodes: int
    seconds: float  # of this call
    episodes_per_min: float  # during this call
    plies_per_s: float  # during this call
    sha256: str
    signal: int  # that stopped the run, 0 if none did
    workers_replaced: int  # during this call, because they failed
    stopped: str  # why the run ended before its full length, "" if it did not or by a signal
    trained: DQNAgent

    @property
    def interrupted(self) -> bool:
        """True if a signal stopped the run: Ctrl-C, `kill`, a closed terminal."""
        return self.signal != 0


def train(
    config: TrainConfig,
    *,
    callbacks: object = (),
    evaluate_with: Callable[[DQNAgent], float] | None = None,
    console: bool = True,
) -> TrainResult:
    """Train from the start in a new run directory.

    `callbacks`: one or several objects with methods that the run calls (`training/callbacks.py`).
    `evaluate_with`: the function that the setting of this name can only name where it can be
    imported.

    Raises `ConfigurationError` for a setting that cannot work, and leaves nothing behind unless
    matches were played already. Raises `GameFault` when the game or a user's player fails,
    `NumericalError` when learning does, `WorkerError` when workers do, and `CallbackError` when a
    callback does; what was saved until then remains.
    """
    check_guard()
    follow_torchrun()
    called = Callbacks(callbacks)
    if evaluate_with is not None:
        name = shown_name(evaluate_with, what="evaluate_with")
        config = config.model_copy(update={"evaluate_with": name})
    own = _own_evaluation(config, evaluate_with)
    settings, parts, roster, found = _assembled(config)
    with RunDirectory.create(settings.runs_dir, settings.name, label(settings.game)) as run:
        try:
            write_file(run.config_path, to_toml(settings).encode())
            keep(run.opponents_path, roster.agents)
            inference, *start = found
            remark = "\n".join(["", inference + same_seed_remark(run.path, settings), *start])
            return _run(
                settings, parts, run, called, own, saved=None, console=console, remark=remark
            )
        except BaseException:
            run.discard()
            raise


def check_settings(config: TrainConfig) -> None:
    """Raise what `train` raises for settings that cannot work; nothing is written."""
    _own_evaluation(config, None)
    _assembled(config)


def _assembled(config: TrainConfig) -> tuple[ResolvedConfig, Parts, Roster, list[str]]:
    """Return the settings of a new run, its parts, opponents from outside, and remarks: where
    inference runs, and with which weights the run starts if it does not with random ones.
    """
    settings, game = resolved(config)
    settings, inference = with_inference(settings, policy_of(settings, game), config)
    settings, start = with_start_weights(settings)
    roster = opponents_from_outside(settings, game)
    parts = assemble(settings, game, roster)
    if start is None:
        return settings, parts, roster, [inference]
    start_with(parts.learner, start, parts.rollout.policy)
    return settings, parts, roster, [inference, f"starts with {start}"]


def resume(
    name: str,
    *,
    runs_dir: str = "runs",
    overrides: Mapping[str, Any] | None = None,
    callbacks: object = (),
    learner_from: str | None = None,
    evaluate_with: Callable[[DQNAgent], float] | None = None,
    console: bool = True,
) -> TrainResult:
    """Continue a run from its newest checkpoint, bit for bit as if it had never stopped, unless its
    length is in minutes.

    `overrides` may change what `sparring resume --help-all` lists; most changes void the
    equality. Each is told in one line and kept in `config.toml`, under `history`. `learner_from`
    names another run, whose networks and optimizer are taken over; it is kept there, too.
    `callbacks` are not saved with a run: give them again, and `evaluate_with`, where its function
    cannot be imported. Raises `InputError` if there is no such run.
    """
    check_guard()
    follow_torchrun()
    called = Callbacks(callbacks)
    with RunDirectory.open(runs_dir, name) as run:
        in_file = build_config(config_file=run.config_path)
        asked = resume_config(in_file, overrides or {})
        own = _own_evaluation(asked, evaluate_with)
        config, game = resolved(asked)
        settings = read_newest(run.path, "config")
        if settings is not None:
            check_unchanged(config, settings)
        playing = opponents_in_progress(read_newest(run.path, "workers"))
        roster = opponents_from_outside(config, game, run.opponents_path, playing)
        parts = assemble(config, game, roster)
        saved = run.load_checkpoint(into=parts.replay.memory("/replay"))
        # a damaged checkpoint may have been passed over for an older one
        check_unchanged(config, saved["config"])
        before = before_changes(config, saved["config"])
        check_length(config, before, saved["schedule"]["episodes"])
        other = None if learner_from is None else find_run(runs_dir, learner_from)
        if other is not None:
            take_learner(saved, other)
        played = saved["schedule"]["episodes"]
        history = [*saved["history"], *history_entry(config, before, played, other)]
        write_file(run.config_path, to_toml(config, history).encode())
        keep(run.opponents_path, roster.agents)
        old, new = saved["schedule"], carried_over(config, before, saved["schedule"])
        saved["schedule"] = new
        remark = _resume_remark([where(config), *remarks(config, before, old, new)], other)
        return _run(
            config,
            parts,
            run,
            called,
            own,
            saved=saved,
            console=console,
            remark=remark,
            history=history,
        )


def _resume_remark(lines: list[str], other: Path | None) -> str:
    taken = [] if other is None else [f"networks and optimizer are those of {other} now"]
    return "".join(f"\n{line}" for line in [*lines, *taken])


def _own_evaluation(
    config: TrainConfig, given: Callable[[DQNAgent], float] | None
) -> EvaluationFunction | None:
    """Return the function that the configuration names; ConfigurationError if `given` is another
    one: their scores cannot be compared.
    """
    name = config.evaluate_with
    if given is not None:
        found = shown_name(given, what="evaluate_with")
        # a script is __main__ in one process and a module in another
        if name is None or found.partition(":")[2] != name.partition(":")[2]:
            raise ConfigurationError(
                "resume cannot change evaluate_with",
                got=found,
                expected=f"{name or 'none'}, as in the run",
            )
    return None if name is None else EvaluationFunction(name, given)


def _run(
    config: ResolvedConfig,
    parts: Parts,
    run: RunDirectory,
    callbacks: Callbacks,
    own: EvaluationFunction | None,
    *,
    saved: dict[str, Any] | None,
    console: bool,
    remark: str = "",
    history: Sequence[Mapping[str, Any]] = (),
) -> TrainResult:
    """Open monitor and workers, restore what was saved, train, and return the result."""
    with ExitStack() as stack:
        stack.enter_context(_told_what_is_saved(run))
        stack.enter_context(
            out_of_memory_told(config, parts.rollout.policy, lambda: _what_is_saved(run))
        )
        stack.enter_context(faults_saved(run.faults_path))
        stack.enter_context(torch_threads(1))
        monitor = Monitor(
            run,
            total_episodes=None if config.max_minutes else config.n_episodes,
            tensorboard=config.tensorboard,
            console=console,
            resumed_at=None if saved is None else saved["schedule"]["plies"],
        )
        stack.enter_context(monitor)
        # before the workers, whose start takes seconds
        interrupts = stack.enter_context(Interrupts(monitor.note))
        monitor.note(describe(config, parts) + remark)
        if line := disk_warning(config, parts, run.path):
            monitor.warn(line)
        workers = stack.enter_context(open_workers(config, parts, notify=monitor.note))
        interrupts.on_request(workers.hurry)
        stack.enter_context(other_ranks(config, parts))
        session = Session(config, parts, run, workers, monitor, interrupts, callbacks, own, history)
        session.begin(saved)
        session.loop()
        return _result(
            run, parts, session, signal=interrupts.signal, workers_replaced=workers.replaced
        )


def _result(
    run: RunDirectory, parts: Parts, session: Session, *, signal: int, workers_replaced: int
) -> TrainResult:
    agent, (seconds, plies, episodes) = parts.agent(), session.metrics.totals()
    return TrainResult(
        run=run.path,
        agent=run.last_path,
        updates=parts.learner.updates,
        plies=parts.schedule.plies,
        episodes=parts.schedule.episodes,
        seconds=seconds,
        episodes_per_min=60.0 * episodes / seconds,
        plies_per_s=plies / seconds,
        sha256=hashlib.sha256(agent.to_bytes()).hexdigest(),
        signal=signal,
        workers_replaced=workers_replaced,
        stopped=session.stopped,
        trained=agent,
    )


@contextmanager
def _told_what_is_saved(run: RunDirectory) -> Iterator[None]:
    """A KeyboardInterrupt, which a second Ctrl-C raises or a signal before the first round, and the
    loss of a rank say what is saved and how to resume.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        line = f"stopped at once; {_what_is_saved(run)}"
        raise Interrupted(line, getattr(stop, "signal", SIGINT)) from None
    except RankError as error:
        raise RankError(f"{error}; {_what_is_saved(run)}") from error


def _what_is_saved(run: RunDirectory) -> str:
    updates = run.newest_checkpoint()
    if updates is None:
        return "nothing was saved"
    again = f"Continue with: sparring resume {as_argument(run.path)}"
    return f"saved are the first {updates:,} updates. {again}"


@contextmanager
def faults_saved(folder: Path) -> Iterator[None]:
    """Save in `folder` the match in which a game or a player failed; the `GameFault` says how to
    replay it.
    """
    try:
        yield
    except GameFault as fault:
        raise GameFault(f"{fault}; {_saved(folder, fault)}", fault.record) from fault


def _saved(folder: Path, fault: GameFault) -> str:
    """Save the match and return how to replay it, or why it could not be saved: no error here may
    hide the fault.
    """
    try:
        path = save_fault(folder, fault)
        game = name_for_others(str(fault.record["game"]))
        again = ["sparring", "replay", str(path), *([] if is_built_in(game) else ["--game", game])]
    except Exception as error:
        cause = " ".join(str(error).split()) or type(error).__name__
        return f"the match could not be saved in {folder}: {cause}"
    if game.startswith("__main__:"):
        return (
            f"the match is saved in {path}; to replay it, put the game in a module that can be "
            "imported from here"
        )
    return f"the match is saved: {shlex.join(again)}"


def train_dqn(
    game: str | object = "connect_four",
    *,
    preset: str | None = None,
    callbacks: object = (),
    **options: Any,
) -> DQNAgent:
    """Train an agent by parallel self-play and return it, ready to play and to be trained on.

    `game`: the name of a game, or a class that plays one match (`sparring.games.Match`).
    `preset`: tuned settings, "quick" or "strong"; None: the defaults below.
    `callbacks`: one or several objects with methods that the run calls, of which each may stop it
    (`sparring/training/callbacks.py`).
    `options`: single settings, which replace those of the preset. Players of your own are named in
    `opponents` by `module:Class`, or by the class itself.

    The run with its checkpoints is kept in `runs/`. Ctrl-C saves it and then raises
    KeyboardInterrupt; SIGTERM and SIGHUP save it and end the process; `sparring resume` continues
    it. Raises `ConfigurationError` for an unknown or impossible setting, and leaves nothing behind;
    `GameFault` when the game raises, with the match saved.

    Works from scripts with or without a main guard, `python -c`, standard input and notebooks. If
    the game, the network or an opponent is defined in the script itself, the call needs a main
    guard and a file, or backend="inline".

    Settings with their defaults; None means that the run decides ("auto"), or
    that there is none (max_minutes, evaluate_with, stop_at_score):
    """
    if isinstance(opponents := options.get("opponents"), Mapping):
        options["opponents"] = {opponent_name(who): share for who, share in opponents.items()}
    config = build_config(preset=preset, overrides={"game": name_of(game), **options})
    own = options.get("evaluate_with")
    try:
        result = train(
            config,
            callbacks=callbacks,
            evaluate_with=None if isinstance(own, str) else own,
        )
    except Interrupted as stop:
        if stop.signal == SIGINT:
            raise
        raise SystemExit(128 + stop.signal) from None
    if result.signal not in (0, SIGINT):
        raise SystemExit(128 + result.signal)
    if result.interrupted:
        raise KeyboardInterrupt(f"saved. Continue with: sparring resume {as_argument(result.run)}")
    return result.trained


document(train_dqn, GROUPS)
