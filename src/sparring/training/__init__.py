"""Training and resuming: from a configuration to the parts of a run, its loop (`training/loop.py`),
and what it came to.
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

from sparring.config.schema import TrainConfig
from sparring.config.sources import build_config, resume_config, to_toml
from sparring.dqn.agent import DQNAgent
from sparring.errors import ConfigurationError, GameFault
from sparring.games import is_built_in, label, name_of
from sparring.games.faults import save_fault
from sparring.monitor import Monitor
from sparring.runtime import check_guard, name_for_others, torch_threads
from sparring.storage.atomic import write_file
from sparring.storage.run_directory import RunDirectory
from sparring.training.assembly import Parts, assemble, describe, open_workers, resolved
from sparring.training.interrupts import Interrupts
from sparring.training.loop import Session


@dataclass(frozen=True)
class TrainResult:
    """What a run came to, in figures of the whole run; `sha256` is that of the final agent file
    `last.safetensors`.
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
    interrupted: bool
    workers_replaced: int  # during this call, because they failed
    trained: DQNAgent


def train(config: TrainConfig, *, console: bool = True) -> TrainResult:
    """Train from the start in a new run directory.

    Raises `ConfigurationError` for what cannot work, and leaves nothing behind unless matches were
    played already; `GameFault` when the game goes wrong, `NumericalError` when learning does, and
    `WorkerError` when workers do. What was saved until then remains.
    """
    check_guard()
    config, game = resolved(config)
    parts = assemble(config, game)
    with RunDirectory.create(config.runs_dir, config.name, label(config.game)) as run:
        write_file(run.config_path, to_toml(config).encode())
        try:
            return _run(config, parts, run, saved=None, console=console)
        except ConfigurationError:
            run.discard()
            raise


def resume(
    name: str,
    *,
    runs_dir: str = "runs",
    overrides: Mapping[str, Any] | None = None,
    console: bool = True,
) -> TrainResult:
    """Go on with a run from its newest checkpoint, bit for bit as if it had never stopped.

    `overrides` may change the length, the device (which voids the equality) and logging. Raises
    `InputError` for a run that is not there.
    """
    check_guard()
    with RunDirectory.open(runs_dir, name) as run:
        saved_config = build_config(config_file=run.config_path)
        config, game = resolved(resume_config(saved_config, overrides or {}))
        parts = assemble(config, game)
        saved = run.load_checkpoint()
        played = saved["schedule"]["episodes"]
        if "n_episodes" in (overrides or {}) and config.n_episodes < played:
            raise ConfigurationError(
                "n_episodes",
                got=config.n_episodes,
                expected=f"at least {played}, which were played already",
            )
        write_file(run.config_path, to_toml(config).encode())
        remark = ""
        if config.device != saved_config.device:
            remark = f"\nnow on {config.device}, no longer on {saved_config.device}: the weights will not be those of a run that stayed"
        return _run(config, parts, run, saved=saved, console=console, remark=remark)


def _run(
    config: TrainConfig,
    parts: Parts,
    run: RunDirectory,
    *,
    saved: dict[str, Any] | None,
    console: bool,
    remark: str = "",
) -> TrainResult:
    """Open what has to be closed, go on from what was saved, train, and say how it went."""
    with ExitStack() as stack:
        stack.enter_context(faults_saved(run.faults_path))
        stack.enter_context(torch_threads(1))
        interrupts = stack.enter_context(
            Interrupts()
        )  # before the workers, whose start takes seconds
        monitor = stack.enter_context(
            Monitor(
                run,
                total_episodes=config.n_episodes,
                tensorboard=config.tensorboard,
                console=console,
            )
        )
        monitor.note(describe(config, parts) + remark)
        workers = stack.enter_context(open_workers(config, parts, notify=monitor.note))
        session = Session(config, parts, run, workers, monitor, interrupts)
        session.begin(saved)
        session.loop()
        return _result(
            run, parts, session, interrupted=interrupts.requested, workers_replaced=workers.replaced
        )


def _result(
    run: RunDirectory, parts: Parts, session: Session, *, interrupted: bool, workers_replaced: int
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
        interrupted=interrupted and not parts.schedule.finished,
        workers_replaced=workers_replaced,
        trained=agent,
    )


@contextmanager
def faults_saved(folder: Path) -> Iterator[None]:
    """A match with which a game goes wrong is saved in `folder`, and the `GameFault` says how to
    play it again.
    """
    try:
        yield
    except GameFault as fault:
        raise GameFault(f"{fault}; {_saved(folder, fault)}", fault.record) from fault


def _saved(folder: Path, fault: GameFault) -> str:
    """Save the match, and say how to play it again; where that cannot be, say why: nothing may hide
    the fault itself.
    """
    try:
        path = save_fault(folder, fault)
        game = name_for_others(str(fault.record["game"]))
        again = ["sparring", "replay", str(path), *([] if is_built_in(game) else ["--game", game])]
    except Exception as error:
        return f"the match could not be saved in {folder}: {' '.join(str(error).split()) or type(error).__name__}"
    if game.startswith("__main__:"):
        return f"the match is saved in {path}; to play it again, put the game in a module that can be imported from here"
    return f"the match is saved: {shlex.join(again)}"


def train_dqn(
    game: str | object = "connect_four", *, preset: str | None = None, **options: Any
) -> DQNAgent:
    """Train an agent by parallel self-play and return it, ready to play and to be trained on.

    `game` is the name of one, or a class that plays one match (`sparring.games.Match`). `options`
    are the fields of `TrainConfig`, such as n_episodes=100_000, num_workers=None (the CPUs less
    two), episodes_per_batch=4, learning_steps_per_batch=None (one update a match), device="cuda:1",
    seed=0; they go before those of the preset. The run with its checkpoints is kept in `runs/`.
    Works from scripts with or without a main guard, `python -c`, standard input and notebooks. Only
    where the game or the network is defined in the script itself does the call need the guard, and
    has to be in a file, or backend="inline".

    Raises `ConfigurationError` for an unknown or impossible option, and leaves nothing behind;
    `GameFault` when the game raises, with the match saved. Ctrl-C saves the run and then raises
    KeyboardInterrupt; `sparring resume` goes on with it.
    """
    result = train(build_config(preset=preset, overrides={"game": name_of(game), **options}))
    if result.interrupted:
        raise KeyboardInterrupt(f"saved. Continue with: sparring resume {result.run.name}")
    return result.trained


def _signature_with_options() -> inspect.Signature:
    """What `help(train_dqn)` shows: every option with its default, which stands in `TrainConfig`
    alone.
    """
    own = [
        p for p in inspect.signature(train_dqn).parameters.values() if p.kind is not p.VAR_KEYWORD
    ]
    options = [p for name, p in inspect.signature(TrainConfig).parameters.items() if name != "game"]
    return inspect.Signature([*own, *options], return_annotation=DQNAgent)


train_dqn.__signature__ = _signature_with_options()  # type: ignore[attr-defined]
