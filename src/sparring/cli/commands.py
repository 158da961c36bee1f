"""What each command takes and does. Whatever needs torch or the games is imported where it is used."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NoReturn, Union

import tyro

from sparring.bench import PARTS, check_parts, check_seconds
from sparring.cli.parsing import AutoNumber, Seed, WholeNumber, given_options, parse
from sparring.errors import InputError, nearest

if TYPE_CHECKING:
    from sparring.training import TrainResult

Json = Annotated[
    bool,
    tyro.conf.FlagCreatePairsOff,
    tyro.conf.arg(help="Print one JSON object; progress on stderr."),
]
Switch = Annotated[bool, tyro.conf.FlagCreatePairsOff]
RunsDir = Annotated[str, tyro.conf.arg(metavar="DIR", help="Directory of all runs.")]
Agent = Annotated[
    str,
    tyro.conf.Positional,
    tyro.conf.arg(metavar="AGENT", help="Agent file, or name or directory of a run."),
]
OwnGame = Annotated[
    str | None,
    tyro.conf.arg(
        metavar="NAME", help="The agent's game: module:Class says that its code may run."
    ),
]
OwnNetwork = Annotated[
    str | None,
    tyro.conf.arg(metavar="NAME", help="The agent's network, if it is your own: module:factory."),
]
_OPPONENT_HELP: Final = (
    "random, one_ply, minimax:4 (4 plies ahead), mcts:100 (100 playouts a move), ludo:greedy or ludo:racer; may be repeated; "
    "none: those that judge its game, or with --positions random, one_ply and minimax:2, :4, :6, :8."
)
_MORE_HELP: Final = "random (always), one_ply, minimax:4, mcts:100 and so on; may be repeated; none: those that judge the game."
Several = Annotated[tuple[str, ...], tyro.conf.UseAppendAction]


def run(argv: Sequence[str]) -> int:
    """Do what `argv` says; the exit status."""
    expected = f"one of {', '.join(COMMANDS)}"
    if not argv:
        raise InputError(
            "no command", got="nothing", expected=expected, remedy="see sparring --help"
        )
    name, *rest = argv
    if name in ("-h", "--help"):
        _print_overview()
    if name not in COMMANDS:
        raise InputError(
            "unknown command",
            got=repr(name),
            expected=expected,
            remedy=nearest(name, COMMANDS) or "see sparring --help",
        )
    return COMMANDS[name].answer(rest, f"sparring {name}")


def _train(argv: Sequence[str], prog: str) -> int:
    from sparring.cli.train_options import parse_train

    order = parse_train(argv, prog=prog)
    from sparring.games import spec_of

    spec_of(order.config.game)  # a misspelt game is told without waiting for torch
    with _progress_on_stderr(order.json):
        from sparring.training import train

        result = train(order.config)
    return _tell_training(result, as_json=order.json)


def _resume(argv: Sequence[str], prog: str) -> int:
    from sparring.cli.train_options import parse_resume

    order = parse_resume(argv, prog=prog)
    from sparring.storage.run_directory import RunDirectory

    with RunDirectory.open(order.runs_dir, order.run):
        pass  # a run that is not there is told without waiting for torch
    with _progress_on_stderr(order.json):
        from sparring.training import resume

        result = resume(order.run, runs_dir=order.runs_dir, overrides=order.overrides)
    return _tell_training(result, as_json=order.json)


def _tell_training(result: TrainResult, *, as_json: bool) -> int:
    from sparring.cli import report
    from sparring.storage.run_directory import FAULTS
    from sparring.training import faults_saved

    if as_json:
        _print_json(report.training_figures(result))
    else:
        with faults_saved(result.run / FAULTS):
            report.print_training(result)
    if result.interrupted:
        print(
            f"sparring: interrupted and saved; go on with: {report.command()} resume {result.run}",
            file=sys.stderr,
        )
        return 130
    return 0


@dataclass(frozen=True)
class EvaluateForm:
    """Judge an agent: in greedy play from varied openings, or in solved positions."""

    agent: Agent
    opponent: Annotated[Several, tyro.conf.arg(metavar="NAME", help=_OPPONENT_HELP)] = ()
    matches: Annotated[WholeNumber, tyro.conf.arg(help="Matches against each opponent.")] = 1000
    opening_plies: Annotated[
        AutoNumber,
        tyro.conf.arg(help="Random plies that begin a match; auto: 4, fewer in a short game."),
    ] = None
    seed: Annotated[
        WholeNumber, tyro.conf.arg(help="Root of all randomness: same seed, same matches.")
    ] = 0
    positions: Annotated[
        str | None,
        tyro.conf.arg(
            metavar="FILE",
            help="Solved Connect Four positions: which moves keep win or draw? Plays matches only with --matches.",
        ),
    ] = None
    rows: Annotated[
        Literal["all", "odd", "even"],
        tyro.conf.arg(help="Which rows of that file; the first one is odd."),
    ] = "all"
    exhaustive: Annotated[
        Switch, tyro.conf.arg(help="Try every line of play against the agent, in a small game.")
    ] = False
    game: OwnGame = None
    network: OwnNetwork = None
    runs_dir: RunsDir = "runs"
    json: Json = False


def _evaluate(argv: Sequence[str], prog: str) -> int:
    form = parse(EvaluateForm, argv, prog=prog)
    if form.positions is None and form.rows != "all":
        raise InputError("--rows", got=form.rows, expected="--positions FILE beside it")
    from sparring.cli import report
    from sparring.cli.agents import find_agent

    # A misspelt one is told without waiting for torch.
    found = find_agent(form.agent, form.runs_dir, game=form.game, network=form.network)
    from sparring.cli.evaluate import judge, judge_positions, search_losses

    figures: dict[str, Any] = {"agent": str(found.path)}
    if form.exhaustive:
        figures["exhaustive"] = search_losses(found)
    if form.positions is not None:
        figures["positions"] = judge_positions(
            found, Path(form.positions), form.opponent, rows=form.rows, seed=form.seed
        )
    plays = (
        not form.exhaustive or bool(form.opponent)
        if form.positions is None
        else "--matches" in given_options(argv)
    )
    if plays:
        figures |= judge(
            found,
            form.opponent,
            matches=form.matches,
            seed=form.seed,
            opening_plies=form.opening_plies,
        )
    if form.json:
        _print_json(figures)
    else:
        report.print_evaluation(figures)
    return 0


@dataclass(frozen=True)
class TournamentForm:
    """Let agents and scripted players meet, all from the same openings, and rate them."""

    agents: Annotated[
        tuple[str, ...],
        tyro.conf.Positional,
        tyro.conf.arg(metavar="AGENT", help="Agent files, or names or directories of runs."),
    ]
    opponent: Annotated[Several, tyro.conf.arg(metavar="NAME", help=_MORE_HELP)] = ()
    snapshots: Annotated[
        Switch, tyro.conf.arg(help="The snapshots in each run's newest checkpoint take part, too.")
    ] = False
    matches: Annotated[WholeNumber, tyro.conf.arg(help="Matches of each pair.")] = 200
    seed: Annotated[
        WholeNumber, tyro.conf.arg(help="Root of all randomness: same seed, same matches.")
    ] = 0
    picture: Annotated[
        str | None,
        tyro.conf.arg(metavar="FILE.png", help="Draw who beats whom; needs the extra plot."),
    ] = None
    game: OwnGame = None
    network: OwnNetwork = None
    runs_dir: RunsDir = "runs"
    json: Json = False


def _tournament(argv: Sequence[str], prog: str) -> int:
    form = parse(TournamentForm, argv, prog=prog)
    from sparring.cli import report
    from sparring.cli.agents import find_agent

    if not form.agents:
        raise InputError("AGENT is missing", remedy=f"see {prog} --help")
    found = [
        find_agent(agent, form.runs_dir, game=form.game, network=form.network)
        for agent in form.agents
    ]
    from sparring.cli.tournament import compete

    picture = Path(form.picture) if form.picture is not None else None
    with _progress_on_stderr(form.json):  # a game may print
        figures = compete(
            found,
            form.opponent,
            snapshots=form.snapshots,
            matches=form.matches,
            seed=form.seed,
            picture=picture,
        )
    if form.json:
        _print_json(figures)
    else:
        report.print_tournament(figures)
    return 0


@dataclass(frozen=True)
class PlayForm:
    """Play against an agent in the terminal."""

    agent: Agent
    opponent: Annotated[
        str,
        tyro.conf.arg(metavar="NAME", help="agent, snapshot:N of its run, or a scripted player."),
    ] = "agent"
    seat: Annotated[WholeNumber, tyro.conf.arg(help="Yours; the opponent has the others.")] = 0
    values: Annotated[
        Switch, tyro.conf.arg(help="Show what the agent thinks of your moves at every turn.")
    ] = False
    seed: Annotated[
        Seed, tyro.conf.arg(help="Root of all randomness: same seed and moves, same dice.")
    ] = None
    game: OwnGame = None
    network: OwnNetwork = None
    runs_dir: RunsDir = "runs"


def _play(argv: Sequence[str], prog: str) -> int:
    form = parse(PlayForm, argv, prog=prog)
    from sparring.cli.agents import find_agent

    found = find_agent(form.agent, form.runs_dir, game=form.game, network=form.network)
    from sparring.cli.play import play

    play(found, opponent=form.opponent, seat=form.seat, seed=form.seed, show_values=form.values)
    return 0


@dataclass(frozen=True)
class PlotForm:
    """Draw a run: learning curves, win rates, ratings, and who beats whom."""

    run: Annotated[
        str,
        tyro.conf.Positional,
        tyro.conf.arg(metavar="RUN", help="Name or directory of a run; it may be training."),
    ]
    out: Annotated[
        str | None,
        tyro.conf.arg(
            metavar="DIR", help="Where the PNG files go; none: plots in the run's directory."
        ),
    ] = None
    runs_dir: RunsDir = "runs"
    json: Json = False


def _plot(argv: Sequence[str], prog: str) -> int:
    form = parse(PlotForm, argv, prog=prog)
    from sparring.storage.run_directory import find_run

    run = find_run(form.runs_dir, form.run)  # a misspelt one is told without waiting for torch
    with _progress_on_stderr(form.json):
        from sparring.cli.plot import plot

        figures = plot(run, Path(form.out) if form.out else run / "plots")
    if form.json:
        _print_json(figures)
    return 0


@dataclass(frozen=True)
class ReplayForm:
    """Play the match again with which a game went wrong. Exit status 1 if it goes wrong again."""

    file: Annotated[
        str,
        tyro.conf.Positional,
        tyro.conf.arg(metavar="FILE", help="File that a run wrote to its folder faults."),
    ]
    game: Annotated[
        str | None,
        tyro.conf.arg(
            metavar="NAME", help="The game to play; module:Class says that its code may run."
        ),
    ] = None
    json: Json = False


def _replay(argv: Sequence[str], prog: str) -> int:
    form = parse(ReplayForm, argv, prog=prog)
    from sparring.cli.replay import replay

    with _progress_on_stderr(form.json):
        figures = replay(Path(form.file), form.game)
    if form.json:
        _print_json(figures)
    return 1 if figures["again"] else 0


@dataclass(frozen=True)
class BenchForm:
    """Measure how fast this machine trains, and which share of its limit is reached: about ten
    minutes for everything.
    """

    part: Annotated[
        Several,
        tyro.conf.arg(metavar="NAME", help=f"{', '.join(PARTS)}; may be repeated; none: all."),
    ] = ()
    seconds: Annotated[
        float,
        tyro.conf.arg(help="Length of a slice of measuring; each side of a comparison has five."),
    ] = 0.7
    json: Json = False


def _bench(argv: Sequence[str], prog: str) -> int:
    form = parse(BenchForm, argv, prog=prog)
    parts, seconds = check_parts(form.part), check_seconds(form.seconds)
    with _progress_on_stderr(form.json):
        from sparring.bench.run import run as measure

        report = measure(parts, seconds)
    if form.json:
        _print_json(report)
    return 0


@dataclass(frozen=True)
class GamesForm:
    """List the games that come with Sparring."""


def _games(argv: Sequence[str], prog: str) -> int:
    parse(GamesForm, argv, prog=prog)
    from sparring.cli import report
    from sparring.games import names, player_numbers, spec_of

    report.print_games([(spec_of(name), player_numbers(name)) for name in names()])
    return 0


@dataclass(frozen=True)
class CheckGameForm:
    """Look for mistakes in a game, and say what to mend."""

    game: Annotated[
        str,
        tyro.conf.Positional,
        tyro.conf.arg(metavar="SPEC", help="Name of a game, or module:Class for one of yours."),
    ]
    json: Json = False


def _check_game(argv: Sequence[str], prog: str) -> int:
    form = parse(CheckGameForm, argv, prog=prog)
    from sparring import conformance
    from sparring.games import make

    with _progress_on_stderr(form.json):  # a game may print
        found = conformance.check(partial(make, form.game), form.game)
    if form.json:
        findings = [dataclasses.asdict(finding) for finding in found.findings]
        figures = {
            "matches": found.matches,
            "plies": found.plies,
            "kinds": found.checks,
            "kinds_left": found.left,
        }
        _print_json({"game": found.game, "passed": found.passed, **figures, "findings": findings})
    else:
        print(found)
    return 0 if found.passed else 1


@dataclass(frozen=True)
class Command:
    """How one command is answered, and what the overview says of it."""

    answer: Callable[[Sequence[str], str], int]
    summary: str


COMMANDS: Final[Mapping[str, Command]] = {
    "train": Command(_train, "Train an agent by self-play."),
    "resume": Command(_resume, "Go on with a run from its newest checkpoint."),
    "evaluate": Command(_evaluate, "Judge an agent against scripted players."),
    "tournament": Command(
        _tournament, "Let agents, snapshots and scripted players meet, and rate them."
    ),
    "play": Command(_play, "Play against an agent in the terminal."),
    "plot": Command(_plot, "Draw a run: learning curves, win rates, ratings, and who beats whom."),
    "replay": Command(_replay, "Play the match again with which a game went wrong."),
    "bench": Command(_bench, "Measure how fast this machine trains, and what bounds it."),
    "games": Command(_games, "List the games that come with Sparring."),
    "check-game": Command(_check_game, "Look for mistakes in a game."),
}


def _print_overview() -> NoReturn:
    """The help over all commands, as tyro lays it out, but for its line of usage, in which all
    their names would not fit.
    """
    forms = [
        Annotated[
            dataclasses.make_dataclass("Command", []),
            tyro.conf.subcommand(name, description=command.summary),
        ]
        for name, command in COMMANDS.items()
    ]
    description = "Self-play DQN on every core you have.\n`sparring COMMAND --help` tells more, `sparring train connect_four` starts one."
    every: Any = Union[*forms]
    said = io.StringIO()
    with (
        contextlib.redirect_stdout(said),
        contextlib.suppress(SystemExit),
    ):  # tyro exits after the help
        tyro.cli(every, args=["--help"], prog="sparring", description=description)
    print(re.sub(r"\{[^}]*\}", "COMMAND", said.getvalue(), count=1), end="")
    raise SystemExit(0)


@contextlib.contextmanager
def _progress_on_stderr(wanted: bool) -> Iterator[None]:
    """While it lasts, what is printed goes to standard error: standard output is for the one JSON
    object.
    """
    with contextlib.redirect_stdout(sys.stderr) if wanted else contextlib.nullcontext():
        yield


def _print_json(values: Mapping[str, Any]) -> None:
    print(json.dumps(values, allow_nan=False))
