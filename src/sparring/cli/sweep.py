"""`sparring sweep`: a search for settings, the table of its best trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sparring.cli.help import command_help
from sparring.cli.options import Form, Option, help_wanted, parse, whole_number
from sparring.cli.signals import print_result
from sparring.cli.streams import print_json, progress_on_stderr, say
from sparring.cli.train_options import (
    game_argument,
    groups_for_several,
    sources_of,
)
from sparring.config.findings import ELSEWHERE
from sparring.config.schema import TrainConfig
from sparring.config.sources import merge, validate
from sparring.errors import InputError

if TYPE_CHECKING:
    from sparring.sweep import SweepResult

_TRIALS: Final = 20
_SHOWN: Final = 5
_OWN: Final = (
    Option(
        "trials",
        "Trials in all; the same command continues a sweep. Several processes share it, each but "
        "the first may add one.",
        "INT",
        whole_number,
        default=str(_TRIALS),
    ),
    Option(
        "space",
        "Settings to search: NAME=LOW..HIGH, NAME=LOW..HIGH:log, NAME=A,B,...",
        "NAME=VALUES",
        tuple,
        takes="many",
        default="learning rate, samples per insert, and others",
    ),
)
_FIRST: Final = ("n_episodes", "max_minutes", "name", "runs_dir")  # in the short help
_DEFAULTS: Final = {"n_episodes": "", "max_minutes": "", "name": "GAME-sweep"}  # not those of train


def sweep_form(defaults: Mapping[str, Any] | None = None) -> Form:
    """The command line: options of its own, and those of `sparring train` for each trial."""
    values = TrainConfig().model_dump() if defaults is None else defaults
    groups = {
        title: [replace(o, default=_DEFAULTS.get(o.name, o.default)) for o in options]
        for title, options in groups_for_several(values, _OWN, first=_FIRST).items()
    }
    return Form(
        "Search for settings: many short trainings, the bad ones cut off early.",
        [game_argument(str(values["game"]))],
        groups,
        ELSEWHERE,
    )


def sweep(argv: Sequence[str], prog: str) -> int:
    """Answer `sparring sweep`."""
    wanted = [token for token in argv if not help_wanted([token])]
    named = parse(sweep_form(), wanted, prog=prog)
    own = {option.name: named.pop(option.name) for option in _OWN if option.name in named}
    as_json = named.pop("json", False)
    has_length = bool({"n_episodes", "max_minutes", "config"} & named.keys())
    sources = sources_of(named)
    if help_wanted(argv):
        form = sweep_form({**TrainConfig().model_dump(), **merge(sources)})
        print(command_help(form, prog, everything="--help-all" in argv))
        return 0
    config = validate(sources)
    trials = own.get("trials", _TRIALS)
    if trials < 1:
        raise InputError("--trials", got=trials, expected="at least 1")
    if not has_length:  # that of a preset is too long for many trials
        raise InputError(
            "the length of a trial", got="none", expected="--max-minutes or --n-episodes"
        )
    from sparring.games import check_name, label

    check_name(config.game)
    name = config.name or f"{label(config.game)}-sweep"
    with progress_on_stderr(as_json):
        from sparring import sweep as search

        space = search.space_of(own.get("space") or search.default_space(config))
        result = search.sweep(config, space, trials=trials, name=name)
    print_result(lambda: _print(result, as_json=as_json), stopped=bool(result.signal))
    if result.signal:
        say(f"interrupted; {result.path} is saved. The same command continues")
    return 128 + result.signal if result.signal else 0


def _print(result: SweepResult, *, as_json: bool) -> None:
    from sparring.cli.report import command
    from sparring.storage.run_directory import as_argument
    from sparring.sweep import listed

    if as_json:
        trials = [vars(trial) for trial in result.trials]
        print_json({"sweep": str(result.path), "trials": trials, "signal": result.signal})
        return
    if not result.trials:
        return
    print(f"\nThe best of {len(result.trials)} trials, by their last evaluation:")
    for trial in result.trials[:_SHOWN]:
        print(listed(trial))
    if result.trials[0].score is not None:
        print("What next:")
        print(f"  {command()} train --config {as_argument(result.path / 'best.toml')}")
        print("which is as long as a trial; --max-minutes or --n-episodes makes it longer.")
