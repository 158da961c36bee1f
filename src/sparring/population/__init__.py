"""Several agents at once: `train_population`, and what `sparring population` does."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from signal import SIGINT
from typing import Any, Final

from sparring.config import system
from sparring.config.schema import GROUPS, TrainConfig
from sparring.config.settings import document
from sparring.config.sources import build_config, resume_config
from sparring.dqn.agent import DQNAgent
from sparring.dqn.trainable import resolve_device
from sparring.errors import ConfigurationError, InputError, Interrupted
from sparring.evaluation.matches import default_opening_plies
from sparring.evaluation.tournament import play_tournament, standings
from sparring.games import make, name_of, spec_of
from sparring.opponents.agents import load_opponent
from sparring.opponents.found import find_agent
from sparring.opponents.players import Player
from sparring.opponents.pool import check_shares
from sparring.opponents.roster import opponent_name
from sparring.opponents.scripted import scripted_player
from sparring.population import files
from sparring.population.board import Board
from sparring.population.member import Launch, Member, launch
from sparring.population.options import (
    PopulationOptions,
    check_options,
    devices_of,
    member_configs,
)
from sparring.population.supervisor import Exchange, Supervisor
from sparring.runtime import name_for_others
from sparring.storage.locks import DirectoryLock
from sparring.storage.run_directory import as_argument
from sparring.training.assembly import check_pool_dir
from sparring.training.interrupts import Interrupts
from sparring.training.resolve import resolved

ZERO: Final = "random"  # the player whose rating is 0
_PAUSE: Final = 0.5  # seconds between looks at the members


@dataclass(frozen=True)
class MemberResult:
    """One member at the end; `score` is that of its newest evaluation, `sha256` that of its
    `last.safetensors`, "" if there is none.
    """

    name: str
    run: Path
    seed: int
    state: str  # finished, given up, or where a signal stopped it saved or stopped
    matches: int
    score: float | None
    restarts: int
    tuned: Mapping[str, float]
    sha256: str

    @property
    def agent(self) -> Path:
        """The best agent of the member, else its last one. Raises `InputError` without one."""
        return find_agent(f"{self.run}/", "").path


@dataclass(frozen=True)
class PopulationResult:
    """Result of a population; `exchanges` are those of population-based training."""

    path: Path
    game: str
    members: tuple[MemberResult, ...]
    exchanges: tuple[Exchange, ...]
    seconds: float  # of this call
    signal: int  # that stopped it, 0 if none did

    @property
    def failed(self) -> list[str]:
        """Names of the members that are given up."""
        return [each.name for each in self.members if each.state == "given up"]

    @property
    def agents(self) -> dict[str, DQNAgent]:
        """The best agents by the names of members, for built-in games and networks; others:
        `DQNAgent.load(member.agent, game=..., network=...)`.
        """
        return {each.name: DQNAgent.load(each.agent) for each in self.members}

    def ratings(self, *, matches: int = 200, seed: int = 0) -> list[dict[str, Any]]:
        """Play a round robin of the best agents and the random player, whose rating is 0; return
        one row a player, the strongest first. `matches` are those of each pair.

        Raises `InputError` for a game for one player.
        """
        spec = spec_of(self.game)
        players: dict[str, Player] = {ZERO: scripted_player(ZERO)}
        for each in self.members:
            players[each.name] = load_opponent(f"agent:{each.run}{os.sep}", spec).player(each.name)
        if spec.num_players == 1:
            raise InputError(
                "ratings",
                got="a game for one player",
                expected="a game with opponents",
                remedy="`sparring tournament` compares mean returns",
            )
        plies = default_opening_plies(spec)
        played = play_tournament(
            partial(make, self.game), players, matches=matches, seed=seed, opening_plies=plies
        )
        return standings(played, None if played.graded else played.ratings(ZERO))


def start_population(
    config: TrainConfig,
    options: PopulationOptions,
    *,
    console: bool = True,
    launch: Launch = launch,
) -> PopulationResult:
    """Train `options.agents` agents at once in a new directory; `config.name` is its name.

    Raises `ConfigurationError` for settings that cannot work, and leaves nothing behind unless a
    member has begun. A second Ctrl-C raises KeyboardInterrupt.
    """
    check_options(options, config)
    config = config.model_copy(update={"game": _game_for_members(config.game)})
    first, *_ = planned = member_configs(config, options, Path(config.runs_dir))
    for each in planned:
        resolve_device(each.device)
    settings, spec = resolved(first)  # one line now, not one of each member
    check_pool_dir(settings)
    check_shares(settings.opponents, spec.name, settings.max_opponents_per_worker)
    folder = files.create_folder(config.runs_dir, config.name, config.game)
    try:
        configs = member_configs(config, options, folder)
        tuned = [{name: getattr(each, name) for name in options.pbt} for each in configs]
        for each in configs:
            files.save_config(folder, each)
        saved = files.Saved(options, tuple(configs), tuple(tuned), ())
        return _run(folder, saved, [{}] * options.agents, console=console, launch=launch)
    except BaseException:
        files.remove_unused(folder)
        raise


def resume_population(
    name: str,
    *,
    runs_dir: str = "runs",
    devices: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    console: bool = True,
    launch: Launch = launch,
) -> PopulationResult:
    """Continue all members of a population, each from its newest checkpoint.

    `overrides` are settings that `resume` may change, for all members; `devices` as at the start.
    Raises `InputError` if there is no such population, or another process has it.
    """
    folder = files.find_folder(runs_dir, name)
    saved = files.load(folder)
    changes = [dict(overrides or {}) for _ in saved.configs]
    if devices is not None:
        for change, device in zip(changes, devices_of(devices, saved.options.agents), strict=True):
            change["device"] = device
    configs = tuple(map(resume_config, saved.configs, changes))
    changes = [{**tuned, **change} for tuned, change in zip(saved.tuned, changes, strict=True)]
    tuned = tuple({key: change[key] for key in saved.options.pbt} for change in changes)
    saved = replace(saved, configs=configs, tuned=tuned)
    return _run(folder, saved, changes, console=console, launch=launch)


def _run(
    folder: Path,
    saved: files.Saved,
    overrides: Sequence[dict[str, Any]],
    *,
    console: bool,
    launch: Launch,
) -> PopulationResult:
    """Supervise the members to their end."""
    members = [
        Member(config, tuned, launch)
        for config, tuned in zip(saved.configs, saved.tuned, strict=True)
    ]
    board, options = Board(str(folder), members, console=console), saved.options
    began = time.monotonic()
    with ExitStack() as stack:
        lock = DirectoryLock(folder)
        stack.callback(lock.close)
        interrupts = stack.enter_context(Interrupts(board.note))
        interrupts.begun()  # the members save

        def save() -> None:
            exchanges = [*saved.exchanges, *supervisor.exchanges]
            files.save(folder, options, [member.tuned for member in members], exchanges)

        supervisor = Supervisor(
            members,
            stops=interrupts,
            note=board.note,
            changed=save,
            pbt_interval=options.pbt_interval if options.pbt else None,
            seed=saved.configs[0].seed,
        )
        save()
        _say(board, saved)
        with board.live():
            _supervise(supervisor, board, overrides, folder)
        save()
        return PopulationResult(
            path=folder,
            game=saved.configs[0].game,
            members=tuple(map(_result, members)),
            exchanges=(*saved.exchanges, *supervisor.exchanges),
            seconds=time.monotonic() - began,
            signal=interrupts.signal,
        )


def _supervise(
    supervisor: Supervisor, board: Board, overrides: Sequence[dict[str, Any]], folder: Path
) -> None:
    at_once = False
    try:
        supervisor.start(overrides)
        while supervisor.running:
            supervisor.look()
            board.refresh()
            time.sleep(_PAUSE)
    except Interrupted:
        at_once = True
        again = f"sparring population --resume {as_argument(folder)}"
        raise KeyboardInterrupt(
            f"stopped at once; checkpoints are kept. Continue with: {again}"
        ) from None
    finally:
        supervisor.close(at_once=at_once)


def _say(board: Board, saved: files.Saved) -> None:
    """Show how the machine is divided."""
    agents, first = saved.options.agents, saved.configs[0]
    devices = ", ".join(dict.fromkeys(config.device for config in saved.configs))
    workers = sorted({config.num_workers or 1 for config in saved.configs})
    shares = " or ".join(map(str, workers))
    noun = "worker" if workers == [1] else "workers"
    pool = "a shared pool" if saved.options.shared_pool else "pools of their own"
    board.note(f"{first.game}: {agents} agents with {pool}, {shares} {noun} each, on {devices}")
    cpus = system.available_cpus()
    if agents > cpus:
        board.note(
            f"warning: {agents} agents on {cpus} CPUs: each is slower; expected at most {cpus}"
        )


def _result(member: Member) -> MemberResult:
    last = member.run / "last.safetensors"
    return MemberResult(
        name=member.name,
        run=member.run,
        seed=member.config.seed,
        state=member.state,
        matches=member.matches,
        score=member.score,
        restarts=member.restarts,
        tuned=member.tuned,
        sha256=hashlib.sha256(last.read_bytes()).hexdigest() if last.is_file() else "",
    )


def _game_for_members(game: str) -> str:
    """The name under which processes of their own can import the game."""
    found = name_for_others(game)
    if found.startswith("__main__:"):
        raise ConfigurationError(
            "the members of a population cannot import the game",
            got=game,
            expected="a game in a module that can be imported from here",
        )
    return found


def train_population(
    game: str | object = "connect_four",
    *,
    agents: int,
    devices: str | Sequence[str] = "auto",
    shared_pool: bool = False,
    pbt: Sequence[str] = (),
    pbt_interval: int = PopulationOptions.pbt_interval,
    preset: str | None = None,
    console: bool = True,
    **options: Any,
) -> PopulationResult:
    """Train several agents at once, each a run of its own in one directory `runs/<name>/`.

    `agents`: how many. Agent k has seed + k; without a shared pool and `pbt` it is the agent of a
    single run of that seed and the same workers.
    `devices`: "auto" (the GPUs in turn, else the CPU), one device for all, or one for each.
    `shared_pool`: each agent meets the snapshots of the others too.
    `pbt`: settings that population-based training changes, "learning_rate" for instance;
    `pbt_interval`: evaluations of an agent between two decisions about it.
    `preset`, `options`: as in `train_dqn`, for all agents; `num_workers` is per agent.

    Ctrl-C saves all and raises KeyboardInterrupt; SIGTERM and SIGHUP save all and end the process;
    `sparring population --resume NAME` continues. Raises `ConfigurationError` for an unknown or
    impossible setting.
    """
    for name, instead in (("device", "devices"), ("pool_dir", "shared_pool")):
        if name in options:
            raise ConfigurationError(f"{name} of a population", expected=instead)
    if isinstance(opponents := options.get("opponents"), Mapping):
        options["opponents"] = {opponent_name(who): share for who, share in opponents.items()}
    config = build_config(preset=preset, overrides={"game": name_of(game), **options})
    names = devices if isinstance(devices, str) else ",".join(devices)
    wanted = PopulationOptions(agents, names, shared_pool, tuple(pbt), pbt_interval)
    result = start_population(config, wanted, console=console)
    if result.signal not in (0, SIGINT):
        raise SystemExit(128 + result.signal)
    if result.signal:
        again = f"sparring population --resume {as_argument(result.path)}"
        raise KeyboardInterrupt(f"saved. Continue with: {again}")
    return result


document(train_population, GROUPS)
