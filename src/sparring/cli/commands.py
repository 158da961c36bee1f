"""The table of commands, and the dispatch of a command line to one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sparring import __version__
from sparring.cli import (
    agent_commands,
    distill,
    doctor,
    export,
    game_commands,
    plan,
    population,
    runs,
    sweep,
    train,
)
from sparring.cli.help import command_help, overview
from sparring.cli.options import HELP, Form, help_wanted
from sparring.cli.train_options import doctor_form, resume_form, train_form
from sparring.errors import InputError, nearest


@dataclass(frozen=True)
class Command:
    """`answer` takes the arguments and "sparring NAME", and returns the exit status. The help of
    commands that print their own is `own_help`.
    """

    answer: Callable[[Sequence[str], str], int]
    form: Form
    own_help: bool = False


GROUPS: Final[Mapping[str, Mapping[str, Command]]] = {
    "training": {
        "train": Command(train.train, train_form(), own_help=True),
        "doctor": Command(doctor.doctor, doctor_form(), own_help=True),
        "resume": Command(train.resume, resume_form()),
        "population": Command(population.population, population.population_form(), own_help=True),
        "sweep": Command(sweep.sweep, sweep.sweep_form(), own_help=True),
    },
    "agents": {
        "evaluate": Command(agent_commands.evaluate, agent_commands.EVALUATE),
        "tournament": Command(agent_commands.tournament, agent_commands.TOURNAMENT),
        "distill": Command(distill.distill, distill.DISTILL),
        "export": Command(export.export, export.EXPORT),
        "play": Command(agent_commands.play, agent_commands.PLAY),
    },
    "runs": {
        "plot": Command(agent_commands.plot, agent_commands.PLOT),
        "runs": Command(runs.runs, runs.RUNS),
        "watch": Command(runs.watch, runs.WATCH),
        "compare": Command(runs.compare, runs.COMPARE),
    },
    "games and machines": {
        "replay": Command(game_commands.replay, game_commands.REPLAY),
        "bench": Command(game_commands.bench, game_commands.BENCH),
        "plan": Command(plan.plan, plan.PLAN),
        "games": Command(game_commands.games, game_commands.GAMES),
        "check-game": Command(game_commands.check_game, game_commands.CHECK_GAME),
    },
}
COMMANDS: Final = {name: command for group in GROUPS.values() for name, command in group.items()}


def run(argv: Sequence[str]) -> int:
    """Run the command that `argv` names; its exit status."""
    expected = f"one of {', '.join(COMMANDS)}"
    if not argv:
        raise InputError(
            "no command", got="nothing", expected=expected, remedy="see sparring --help"
        )
    name, *rest = argv
    if name == "help" and rest:
        name, *rest = *rest, "--help"
    if name in (*HELP, "help"):
        print(
            overview(
                {
                    title: {name: command.form.summary for name, command in group.items()}
                    for title, group in GROUPS.items()
                }
            )
        )
        return 0
    if name == "--version":
        print(f"sparring {__version__}")
        return 0
    if name not in COMMANDS:
        raise InputError(
            "unknown command",
            got=repr(name),
            expected=expected,
            remedy=nearest(name, COMMANDS) or "see sparring --help",
        )
    command, prog = COMMANDS[name], f"sparring {name}"
    if help_wanted(rest) and not command.own_help:
        print(command_help(command.form, prog, everything="--help-all" in rest))
        return 0
    return command.answer(rest, prog)
