"""The options of `train` and `resume`, made from the fields of `TrainConfig`: name, help, default
and kind come from there.

tyro only collects the values; whether they are fit is for the one validation in `config/sources.py`
to say, so that a bad value is told in the same words wherever it came from. A value that is no
number where one is wanted is therefore passed on as text.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import tyro
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from tyro.constructors import PrimitiveConstructorSpec

from sparring.cli.parsing import given_options, parse, positive
from sparring.config.schema import RESUMABLE, PolicyKwargs, TrainConfig
from sparring.config.sources import AUTO, layers, merge, validate

GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "run": (
        "num_players", "n_episodes", "seed", "name", "runs_dir", "checkpoint_interval", "eval_interval", "eval_matches", "log_interval",
        "tensorboard",
    ),
    "hardware": (
        "device", "num_workers", "num_envs_per_worker", "learner_threads", "actor_precision",
        "learner_precision", "mode", "max_weight_lag", "backend", "start_method", "deterministic",
    ),
    "round": ("episodes_per_batch", "learning_steps_per_batch", "samples_per_insert"),
    "learning": (
        "batch_size", "learning_rate", "learning_rate_schedule", "gamma", "n_steps", "double_q", "clip_targets", "bootstrap", "learn_from",
        "tau", "target_update_interval", "weight_averaging", "max_grad_norm", "policy_kwargs",
    ),
    "replay": (
        "buffer_size", "learning_starts", "symmetry_augmentation", "prioritized_replay", "prioritized_replay_alpha",
        "prioritized_replay_beta0", "prioritized_replay_beta1", "prioritized_replay_eps",
    ),
    "exploration": (
        "exploration", "exploration_initial_eps", "exploration_final_eps", "exploration_fraction", "exploration_per_worker_eps",
        "exploration_per_worker_alpha",
    ),
    "opponent": (
        "opponents", "opponent_epsilon", "snapshot_interval", "max_snapshots", "max_opponents_per_worker", "matchmaking", "pfsp_weighting",
        "record_half_life", "gate", "gate_score", "gate_matches",
    ),
}  # fmt: skip

QUICK: Final = "quick"
NO_PRESET: Final = "none"

_PRESET_HELP: Final = "Settings that come with Sparring; without it quick, if no file is given; none: only the defaults."
_UNCHANGED: Final = "unchanged"
_JSON: Final = Annotated[
    bool,
    tyro.conf.FlagCreatePairsOff,
    tyro.conf.arg(help="Print one JSON object; progress on stderr."),
]


@dataclasses.dataclass(frozen=True)
class TrainOrder:
    """What a `sparring train` command line asks for."""

    config: TrainConfig
    json: bool


@dataclasses.dataclass(frozen=True)
class ResumeOrder:
    """What a `sparring resume` command line asks for; `overrides` are not checked yet, because the
    saved run is not read yet.
    """

    run: str
    runs_dir: str
    overrides: dict[str, Any]
    json: bool


def parse_train(argv: Sequence[str], *, prog: str) -> TrainOrder:
    """Parse and check `argv`; with `--help` in it, show what would run as the defaults: presets and
    files are in them.
    """
    wanted = [token for token in argv if token not in ("-h", "--help")]
    form = parse(_train_form(TrainConfig().model_dump()), wanted, prog=prog)
    overrides = {**({} if form.game is None else {"game": form.game}), **_given(form, wanted)}
    sources = layers(
        preset=_preset(form.preset, form.config), config_file=form.config, overrides=overrides
    )
    if len(wanted) < len(argv):
        parse(_train_form({**TrainConfig().model_dump(), **merge(sources)}), ["--help"], prog=prog)
    return TrainOrder(validate(sources), form.json)


def _preset(named: str | None, config_file: str | None) -> str | None:
    """Without `--preset` a game is trained as the preset `quick` says; a file stands for itself."""
    if named is None and config_file is None:
        return QUICK
    return None if named == NO_PRESET else named


def parse_resume(argv: Sequence[str], *, prog: str) -> ResumeOrder:
    """Parse `argv`; only settings that it names become overrides."""
    form = parse(_resume_form(), argv, prog=prog)
    return ResumeOrder(form.run, form.runs_dir, _given(form, argv), form.json)


def _given(form: Any, argv: Sequence[str]) -> dict[str, Any]:
    """The settings that `argv` names, as opposed to those that `form` has by default."""
    options = {positive(option) for option in given_options(argv)}
    given: dict[str, Any] = {}
    for part in filter(dataclasses.is_dataclass, vars(form).values()):
        for field in dataclasses.fields(part):
            option = field.metadata["option"]
            if f"--{option.replace('_', '-')}" in options:
                *parents, name = option.split(".")
                target = given.setdefault(parents[0], {}) if parents else given
                target[name] = getattr(part, field.name)
    return given


def _train_form(defaults: Mapping[str, Any]) -> Any:
    """The dataclass that tyro fills; a group of options is a dataclass inside it."""
    parts: list[tuple[str, Any, Any]] = [
        ("game", _positional_game(str(defaults["game"])), None),
        ("preset", Annotated[str | None, tyro.conf.arg(help=_PRESET_HELP, metavar="NAME")], None),
        (
            "config",
            Annotated[str | None, tyro.conf.arg(help="TOML file with settings.", metavar="FILE")],
            None,
        ),
        ("json", _JSON, False),
        *(_group(group, names, defaults) for group, names in GROUPS.items()),
    ]
    return dataclasses.make_dataclass(
        "train", parts, namespace={"__doc__": "Train an agent by self-play."}
    )


def _resume_form() -> Any:
    saved = {
        name: True if TrainConfig.model_fields[name].annotation is bool else _UNCHANGED
        for name in RESUMABLE
    }
    run = Annotated[
        str,
        tyro.conf.Positional,
        tyro.conf.arg(metavar="RUN", help="Name or directory of the run."),
    ]
    runs_dir = Annotated[str, tyro.conf.arg(metavar="DIR", help="Directory of all runs.")]
    parts: list[Any] = [
        ("run", run),
        ("runs_dir", runs_dir, TrainConfig.model_fields["runs_dir"].default),
        ("json", _JSON, False),
        _group("change", RESUMABLE, saved),
    ]
    return dataclasses.make_dataclass(
        "resume", parts, namespace={"__doc__": "Go on with a run from its newest checkpoint."}
    )


def _group(group: str, names: Sequence[str], defaults: Mapping[str, Any]) -> tuple[str, Any, Any]:
    fields = [field for name in names for field in _fields(TrainConfig, name, defaults[name])]
    part = dataclasses.make_dataclass(group, fields, namespace={"__doc__": ""})
    return group, part, dataclasses.field(default_factory=part)


def _positional_game(default: str) -> Any:
    """None stands for "not given", so that a file may say which game."""
    spec = _primitive("GAME", 1, lambda values: values[0], lambda value: [default])
    return Annotated[
        str | None,
        tyro.conf.Positional,
        spec,
        tyro.conf.arg(help=_help(TrainConfig.model_fields["game"])),
    ]


def _fields(
    model: type[BaseModel], name: str, default: Any, prefix: str = ""
) -> list[tuple[str, Any, Any]]:
    """The dataclass field of one setting, or those of the settings inside it."""
    info = model.model_fields[name]
    if info.annotation is PolicyKwargs:
        inner = {**PolicyKwargs().model_dump(), **(default if isinstance(default, Mapping) else {})}
        return [
            field
            for key in PolicyKwargs.model_fields
            for field in _fields(PolicyKwargs, key, inner[key], f"{name}.")
        ]
    option = f"{prefix}{name}"
    arg = tyro.conf.arg(name=option, prefix_name=False, help=_help(info))
    kind = Annotated[bool, arg] if info.annotation is bool else Annotated[Any, arg, _spec(info)]
    return [
        (
            name,
            kind,
            dataclasses.field(default_factory=lambda: default, metadata={"option": option}),
        )
    ]


def _help(info: FieldInfo) -> str:
    return info.description or ""


def _spec(info: FieldInfo) -> Any:
    """How tyro reads and shows one setting."""
    members = _members(info.annotation)
    if dict in members:
        return _primitive("NAME=VALUE [NAME=VALUE ...]", "*", _pairs, _shown_pairs)
    if tuple in members:
        return _primitive(
            "INT [INT ...]",
            "*",
            lambda values: [_number(value) for value in values],
            lambda value: list(map(str, value)),
        )
    read: Callable[[str], Any] = _number if {int, float} & set(members) else str
    words = {int: "INT", float: "FLOAT", str: "TEXT", types.NoneType: AUTO}
    metavar = "|".join(words.get(member, member) for member in members)
    return _primitive(
        metavar,
        1,
        lambda values: read(values[0]),
        lambda value: [AUTO if value is None else str(value)],
    )


def _primitive(
    metavar: str, nargs: Any, read: Callable[[list[str]], Any], show: Callable[[Any], list[str]]
) -> Any:
    return PrimitiveConstructorSpec(
        nargs=nargs,
        metavar=metavar,
        instance_from_str=read,
        is_instance=lambda value: True,
        str_from_instance=show,
    )


def _members(annotation: Any) -> list[Any]:
    """What a setting may be: types, and the words of a Literal."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _members(get_args(annotation)[0])
    if origin is Literal:
        return list(get_args(annotation))
    if origin in (Union, types.UnionType):
        return [member for part in get_args(annotation) for member in _members(part)]
    return [origin or annotation]


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _pairs(values: list[str]) -> dict[str, Any] | str:
    """`self=0.6 random=0.4` as a dictionary; anything else as the text that it is."""
    pairs = [value.partition("=") for value in values]
    if len({name for name, _, _ in pairs}) < len(pairs) or not all(
        equals for _, equals, _ in pairs
    ):
        return " ".join(values)
    return {
        name: {"true": True, "false": False}.get(text, _number(text)) for name, _, text in pairs
    }


def _shown_pairs(value: Mapping[str, Any] | None) -> list[str]:
    if value is None:
        return [AUTO]
    return [
        f"{name}={str(entry).lower() if isinstance(entry, bool) else entry}"
        for name, entry in value.items()
    ]
