"""`sparring population`: several agents at once, the table of their ratings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sparring.cli.help import command_help
from sparring.cli.options import (
    Form,
    Option,
    help_wanted,
    parse,
    switch,
    whole_number,
)
from sparring.cli.signals import print_result
from sparring.cli.streams import print_json, progress_on_stderr, say
from sparring.cli.train_options import (
    JSON,
    game_argument,
    groups_for_several,
    nested,
    sources_of,
)
from sparring.config.findings import ELSEWHERE
from sparring.config.schema import TrainConfig
from sparring.config.sources import merge, validate
from sparring.errors import InputError

if TYPE_CHECKING:
    from sparring.population import PopulationResult

_OWN: Final = (
    Option("agents", "Number of agents that train at once.", "INT", whole_number, default="2"),
    Option(
        "devices",
        "Device of each learner: auto (the GPUs in turn, else the CPU), one for all, or one for "
        "each agent.",
        "cuda:0,cuda:1,...",
        default="auto",
    ),
    switch("shared_pool", "Let each agent meet the snapshots of the others too."),
    Option(
        "pbt",
        "Population-based training of these settings: learning_rate, samples_per_insert, "
        "exploration_final_eps, opponent_epsilon.",
        "NAME,NAME,...",
        lambda text: tuple(text.split(",")),
        default="off",
    ),
    Option(
        "pbt_interval",
        "Evaluations of an agent between two decisions about it; pbt.",
        "INT",
        whole_number,
        default="2",
    ),
    Option("resume", "Continue this population from its checkpoints; in place of GAME.", "NAME"),
)
_SET_BY_POPULATION: Final = ("device", "devices", "pool_dir")
_FIRST: Final = ("n_episodes", "max_minutes", "name")  # settings that the short help explains


@dataclass(frozen=True)
class PopulationArguments:
    """A parsed command line. `own`: the options above that it names; `config` is None, and
    `overrides` are unchecked, where `resume` names a population that is not read yet.
    """

    own: Mapping[str, Any]
    config: TrainConfig | None
    overrides: Mapping[str, Any]
    json: bool


def population_form(defaults: Mapping[str, Any] | None = None) -> Form:
    """The command line: options of its own, and those of `sparring train` for each agent."""
    values = TrainConfig().model_dump() if defaults is None else defaults
    return Form(
        "Train several agents at once, one per GPU or group of CPUs.",
        [game_argument(str(values["game"]))],
        groups_for_several(values, _OWN, first=_FIRST, without=_SET_BY_POPULATION),
        {**ELSEWHERE, "device": "--devices has the device of each agent"},
    )


def parse_population(argv: Sequence[str], *, prog: str) -> PopulationArguments:
    """Parse and check `argv`."""
    named = parse(population_form(), argv, prog=prog)
    own = {option.name: named.pop(option.name) for option in _OWN if option.name in named}
    json = named.pop("json", False)
    if "resume" not in own:
        return PopulationArguments(own, validate(sources_of(named)), {}, json)
    for name in (*(name for name in own if name not in ("resume", "devices")), *named):
        if name in ("agents", "shared_pool", "pbt", "pbt_interval", "game", "preset", "config"):
            flag = "GAME" if name == "game" else f"--{name.replace('_', '-')}"
            raise InputError(
                f"{flag} with --resume",
                expected="--devices, --runs-dir or a setting that `sparring resume` may change",
                remedy="a population keeps the rest; start a new one with other options",
            )
    return PopulationArguments(own, None, nested(named), json)


def help_form(argv: Sequence[str], prog: str) -> Form:
    """The form with the values of the preset and the file that `argv` names as defaults."""
    wanted = [token for token in argv if not help_wanted([token])]
    named = parse(population_form(), wanted, prog=prog)
    for option in (*_OWN, JSON):
        named.pop(option.name, None)
    return population_form({**TrainConfig().model_dump(), **merge(sources_of(named))})


def population(argv: Sequence[str], prog: str) -> int:
    """Answer `sparring population`."""
    if help_wanted(argv):
        print(command_help(help_form(argv, prog), prog, everything="--help-all" in argv))
        return 0
    arguments = parse_population(argv, prog=prog)
    with progress_on_stderr(arguments.json):
        result = _train(arguments)
    print_result(lambda: _print(result, as_json=arguments.json), stopped=result.signal != 0)
    return 128 + result.signal if result.signal else 1 if result.failed else 0


def _train(arguments: PopulationArguments) -> PopulationResult:
    own, overrides = dict(arguments.own), dict(arguments.overrides)
    if arguments.config is None:
        runs_dir = overrides.pop("runs_dir", TrainConfig.model_fields["runs_dir"].default)
        from sparring.population import resume_population

        return resume_population(
            own["resume"], runs_dir=runs_dir, devices=own.get("devices"), overrides=overrides
        )
    from sparring.games import check_name

    check_name(arguments.config.game)
    from sparring.population import start_population
    from sparring.population.options import PopulationOptions

    return start_population(arguments.config, PopulationOptions(**{"agents": 2, **own}))


def _print(result: PopulationResult, *, as_json: bool) -> None:
    """Print the ratings of all agents, and what to type next."""
    from sparring.cli import report
    from sparring.storage.run_directory import as_argument

    figures = None if result.signal else _ratings(result)
    if as_json:
        print_json({**_figures(result), "ratings": figures})
    elif figures is not None:
        report.print_tournament(figures)
        runs = " ".join(as_argument(member.run) for member in result.members if member.sha256)
        best = next(row["name"] for row in figures["players"] if row["name"] in figures["agents"])
        print("What next:")
        print(f"  {report.command()} tournament {runs}")
        print(f"  {report.command()} play {as_argument(result.path / best)}")
    for name in result.failed:
        say(f"{name} was given up; see {result.path / name}.log")
    if result.signal:
        again = f"{report.command()} population --resume {as_argument(result.path)}"
        say(f"interrupted; saved. Continue with: {again}")


def _ratings(result: PopulationResult) -> dict[str, Any] | None:
    """A round robin of the final agents and the baseline opponents; None without an agent."""
    from sparring.cli.tournament import compete
    from sparring.config.sources import read_toml
    from sparring.opponents.found import find_agent

    runs = [member.run for member in result.members if member.sha256]
    if not runs:
        return None
    found = [find_agent(str(run), "") for run in runs]
    matches = int(read_toml(runs[0] / "config.toml")["eval_matches"])
    with progress_on_stderr(True):  # games may print
        return compete(found, (), snapshots=False, matches=matches, seed=0, picture=None)


def _figures(result: PopulationResult) -> dict[str, Any]:
    return {
        "population": str(result.path),
        "seconds": round(result.seconds, 3),
        "members": [
            {
                "name": member.name,
                "run": str(member.run),
                "seed": member.seed,
                "state": member.state,
                "episodes": member.matches,
                "score": member.score,
                "restarts": member.restarts,
                "tuned": dict(member.tuned),
                "sha256": member.sha256,
            }
            for member in result.members
        ],
        "exchanges": [
            {
                "member": each.member,
                "learner_from": each.learner_from,
                "episodes": each.matches,
                "settings": each.settings,
            }
            for each in result.exchanges
        ],
    }
