"""The command lines of `train`, `resume` and `doctor`, from the fields of `TrainConfig`: names,
groups, help, defaults and kinds come from there.

Values are only collected here. `validate` in `config/sources.py` checks them, so that a bad value
gets the same message wherever it came from.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sparring.cli.help import command_help
from sparring.cli.options import Argument, Form, Option, help_wanted, number, parse, switch
from sparring.config.findings import ELSEWHERE
from sparring.config.network import PolicyKwargs
from sparring.config.schema import GROUPS, RESUMABLE, TrainConfig
from sparring.config.settings import Earlier, First, Synonyms
from sparring.config.sources import (
    ANY_GAME,
    AUTO,
    Layer,
    layers,
    merge,
    preset_game,
    preset_names,
    read_preset,
    validate,
)
from sparring.errors import InputError
from sparring.storage.run_directory import as_argument

_LEARNER_FROM: Final = Option(
    "learner_from", "Take over networks and optimizer of another run's newest checkpoint.", "RUN"
)
QUICK: Final = "quick"
NO_PRESET: Final = "none"
JSON: Final = switch("json", "Print one JSON object; progress goes to standard error.")


@dataclass(frozen=True)
class TrainArguments:
    """A parsed `sparring train` command line."""

    config: TrainConfig
    json: bool


@dataclass(frozen=True)
class ResumeArguments:
    """A parsed `sparring resume` command line; `overrides` are unchecked, as the saved run is not
    read yet.
    """

    run: str
    runs_dir: str
    overrides: dict[str, Any]
    learner_from: str | None
    json: bool


def parse_train(
    argv: Sequence[str], *, prog: str, form_of: Callable[..., Form] | None = None
) -> TrainArguments:
    """Parse and check `argv`, a command line of `form_of`; by default of `train_form`. `--help`
    shows the values of presets and files as defaults.
    """
    form_of = form_of or train_form
    wanted = [token for token in argv if not help_wanted([token])]
    named = parse(form_of(), wanted, prog=prog)
    json = named.pop("json", False)
    sources = sources_of(named)
    if help_wanted(argv):
        form = form_of({**TrainConfig().model_dump(), **merge(sources)})
        print(command_help(form, prog, everything="--help-all" in argv))
        raise SystemExit(0)
    return TrainArguments(validate(sources), json)


def parse_resume(argv: Sequence[str], *, prog: str) -> ResumeArguments:
    """Parse `argv`; only settings that it names become overrides."""
    _refuse_fixed(argv)
    named = parse(resume_form(), argv, prog=prog)
    run, json = named.pop("run"), named.pop("json", False)
    learner_from = named.pop("learner_from", None)
    if Path(run).is_file():
        raise _not_a_run(Path(run))
    runs_dir = named.pop("runs_dir", TrainConfig.model_fields["runs_dir"].default)
    return ResumeArguments(run, runs_dir, named, learner_from, json)


def sources_of(named: dict[str, Any]) -> list[Layer]:
    """Read preset and file that a command line names, beneath its settings; takes them out."""
    config_file = named.pop("config", None)
    preset = named.pop("preset", None if config_file else QUICK)
    return layers(
        preset=None if preset == NO_PRESET else preset,
        config_file=config_file,
        overrides=nested(named),
    )


def _refuse_fixed(argv: Sequence[str]) -> None:
    """Raise `InputError` for a setting of `train` that a run keeps."""
    own = {option.flag for option in resume_form().options}
    flags = {flag: o for o in train_form().options for flag in (o.flag, o.negative_flag)}
    for token in argv:
        flag = token.partition("=")[0].replace("_", "-")
        if flag in flags and flags[flag].flag not in own and flags[flag].name != "config":
            raise InputError(
                f"resume cannot change {flag}",
                expected="an option that `sparring resume --help-all` lists",
                remedy=f"start a new run: sparring train GAME {flag} ...",
            )


def _not_a_run(file: Path) -> InputError:
    """The error for an agent file in place of a run."""
    run = file.parent
    remedy = (
        f"resume its run: sparring resume {as_argument(run)}"
        if (run / "checkpoints").is_dir()
        else "an agent file has no optimizer state and no replay buffer; start a new run: "
        "sparring train"
    )
    return InputError(
        "resume needs a run", got=f"the file {file}", expected="a run name or directory",
        remedy=remedy,
    )  # fmt: skip


def nested(named: Mapping[str, Any]) -> dict[str, Any]:
    """`{"policy_kwargs.dueling": True}` as `{"policy_kwargs": {"dueling": True}}`."""
    values: dict[str, Any] = {}
    for option, value in named.items():
        *parents, name = option.split(".")
        (values.setdefault(parents[0], {}) if parents else values)[name] = value
    return values


def train_form(defaults: Mapping[str, Any] | None = None) -> Form:
    """The command line of `sparring train`; `defaults`: the values that the help shows."""
    values = TrainConfig().model_dump() if defaults is None else defaults
    general = [preset_option(str(values["game"])), *GENERAL]
    options = {"options": general, **train_groups(values)}
    game = game_argument(str(values["game"]))
    return Form("Train an agent by self-play.", [game], options, ELSEWHERE)


def game_argument(default: str) -> Argument:
    """The argument GAME."""
    return Argument("game", "GAME", _help("game"), required=False, default=default)


def train_groups(defaults: Mapping[str, Any]) -> dict[str, list[Option]]:
    """Options of the settings in `defaults` but the game, in their groups."""
    groups = {
        f"{group.__name__.removesuffix('Options').lower()} options": [
            option
            for name in group.model_fields
            if name != "game" and name in defaults
            for option in _options(TrainConfig, name, defaults[name])
        ]
        for group in GROUPS
    }
    return {title: options for title, options in groups.items() if options}


GENERAL: Final = (
    Option("config", "TOML file with settings.", "FILE"),
    replace(JSON, common=False),
)


def preset_option(game: str) -> Option:
    """The option that names a preset; its help lists those of the game."""
    names = preset_names()
    own = preset_game(game)
    known = dict.fromkeys((*names.get(own, ()), *names[ANY_GAME]))
    with_minutes = [f"{name} ({read_preset(own, name)[1]:g} minutes)" for name in known]
    return Option(
        "preset",
        f"Tuned settings: {', '.join(with_minutes)}; {NO_PRESET}: the defaults, as with --config.",
        "NAME",
        default=QUICK,
    )


def groups_for_several(
    values: Mapping[str, Any],
    own: Sequence[Option],
    *,
    first: Sequence[str],
    without: Sequence[str] = (),
) -> dict[str, list[Option]]:
    """Options of a command that trains several agents: its `own`, then those of `train` for each,
    `without` some, of which the short help explains the preset and the `first` ones.
    """
    preset = preset_option(str(values["game"]))
    general = [preset, *(replace(option, common=False) for option in GENERAL)]
    groups = {
        title: [
            option if option.name in first else replace(option, common=False)
            for option in options
            if option.name not in without
        ]
        for title, options in train_groups(values).items()
    }
    return {"options": [*own, *general], **groups}


def doctor_form(defaults: Mapping[str, Any] | None = None) -> Form:
    """The command line of `sparring doctor`: that of `train`."""
    summary = "Check this machine before a run, with the options of the run."
    return replace(train_form(defaults), summary=summary)


def resume_form() -> Form:
    """The command line of `sparring resume`."""
    run = Argument("run", "RUN", "Run name or run directory.")
    runs_dir = Option("runs_dir", _help("runs_dir"), "DIR", default="runs")
    settings = dict.fromkeys(RESUMABLE, "unchanged")
    general = [_LEARNER_FROM, runs_dir, JSON]
    return Form(
        "Resume a run from its latest checkpoint.",
        [run],
        {**train_groups(settings), "options": general},
    )


def _help(name: str) -> str:
    return TrainConfig.model_fields[name].description or ""


def _options(model: type[BaseModel], name: str, default: Any) -> Iterator[Option]:
    """The option of one setting, or those of the settings inside it."""
    if model.model_fields[name].annotation is not PolicyKwargs:
        yield _setting(model, name, _shown(default))
        return
    yield from network_options(default if isinstance(default, Mapping) else {}, f"{name}.")


def network_options(defaults: Mapping[str, Any], prefix: str = "") -> Iterator[Option]:
    """The options of the network; `defaults` override those of the schema."""
    values = {**PolicyKwargs().model_dump(), **defaults}
    for key in PolicyKwargs.model_fields:
        yield _setting(PolicyKwargs, key, _shown(values[key]), prefix=prefix)


def _setting(model: type[BaseModel], name: str, default: str, prefix: str = "") -> Option:
    info = model.model_fields[name]
    notes = [note for note in info.metadata if isinstance(note, Synonyms)]
    is_bool = info.annotation is bool
    metavar, takes, read = _kind(info)
    return Option(
        f"{prefix}{name}",
        info.description or "",
        metavar,
        read,
        takes,
        default,
        negatable=is_bool,
        common=any(isinstance(note, First) for note in notes),
        synonyms=tuple(other for note in notes for other in note.names),
        explained=tuple(
            other for note in notes if isinstance(note, Earlier) for other in note.names
        ),
    )


def _kind(
    info: FieldInfo,
) -> tuple[str, Literal["nothing", "one", "many"], Callable[[Any], Any]]:
    """Metavar, number of values and reader of a setting."""
    members = _members(info.annotation)
    if members == [bool]:
        return "", "nothing", str
    if dict in members:
        return "NAME=VALUE ...", "many", _pairs
    if tuple in members:
        return "INT ...", "many", lambda texts: [_number(text) for text in texts]
    words = {int: "INT", float: "FLOAT", str: "TEXT", types.NoneType: AUTO}
    metavar = "|".join(words.get(member, member) for member in members)
    return metavar, "one", _number if {int, float} & set(members) else str


def _members(annotation: Any) -> list[Any]:
    """Types that a setting may have, and the words of a Literal."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _members(get_args(annotation)[0])
    if origin is Literal:
        return list(get_args(annotation))
    if origin in (Union, types.UnionType):
        return [member for part in get_args(annotation) for member in _members(part)]
    return [origin or annotation]


def _number(text: str) -> int | float | str:
    """Text that is not a number is left to the one validation."""
    value = number(text)
    return text if value is None else value


def _pairs(texts: list[str]) -> dict[str, Any] | str:
    """`self=0.6 random=0.4` as a dictionary; anything else stays text."""
    pairs = [_pair(text) for text in texts]
    names = {name for name, _, _ in pairs}
    if len(names) < len(pairs) or not all(equals for _, equals, _ in pairs):
        return " ".join(texts)
    return {name: _value(text) for name, _, text in pairs}


def _pair(text: str) -> tuple[str, str, str]:
    """Parts before and after the first `=` outside brackets: a name may have arguments."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "=" and depth == 0:
            return text[:place], "=", text[place + 1 :]
    return text, "", ""


def _value(text: str) -> bool | int | float | str:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _shown(value: Any) -> str:
    """A default as people would type it."""
    if value is None:
        return AUTO
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, Mapping):
        return " ".join(f"{name}={_entry(entry)}" for name, entry in value.items())
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return str(value)


def _entry(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
