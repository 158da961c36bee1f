"""Sources of a configuration: presets, TOML files, single settings."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import tomli_w
from pydantic import ValidationError

from sparring.config.findings import configuration_error
from sparring.config.network import NOT_FOR_TABLES, PolicyKwargs
from sparring.config.schema import (
    ONLY_OF_RUNS,
    RESUMABLE,
    AgentOptions,
    TrainConfig,
    optional_fields,
)
from sparring.errors import ConfigurationError, FileFormatError, nearest, shown
from sparring.storage.atomic import without_waiting

AUTO: Final = "auto"
_MAX_TOML: Final = 1_000_000  # bytes
_MIN_TARGET_INTERVAL: Final = 50  # updates, of presets of shorter runs
_ROUND: Final = 15  # transitions in the buffer for each match of a round
_HISTORY: Final = "history"  # of a resumed run
ANY_GAME: Final = "any"  # stands for a game in the names of presets that suit all


@dataclass(frozen=True)
class Layer:
    """Settings from one source; `origin` names it in messages, "" for what the caller gave."""

    origin: str
    values: Mapping[str, Any]


def build_config(
    *,
    preset: str | None = None,
    config_file: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> TrainConfig:
    """Merge the sources and check the result: model defaults < preset < file < overrides. The
    presets are those of the game, which is read from the overrides, then from the file. Raises
    `ConfigurationError` for an unknown or invalid setting, `FileFormatError` for a file that is
    missing or not TOML.
    """
    return validate(layers(preset=preset, config_file=config_file, overrides=overrides))


def layers(
    *,
    preset: str | None = None,
    config_file: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> list[Layer]:
    """Read the sources of `build_config`, weakest first, unchecked."""
    found = [_one_length(overrides or {})]
    if config_file is not None:
        settings = read_toml(Path(config_file))
        settings.pop(_HISTORY, None)
        found.insert(0, Layer(str(config_file), settings))
    if preset is not None:
        game = preset_game(str(merge(found).get("game", _default("game"))))
        settings, minutes = read_preset(game, preset)
        suited = _suited(settings, found)
        found.insert(0, Layer(f"preset {preset}", _scaled(suited, minutes, found)))
    return found


def _suited(preset: dict[str, Any], others: Sequence[Layer]) -> dict[str, Any]:
    """Return a preset without the settings that tables, chosen in place of its network, refuse."""
    wanted = merge([Layer("", preset), *others]).get("policy_kwargs")
    if not isinstance(wanted, Mapping) or wanted.get("network") != "ntuples":
        return preset
    return {name: value for name, value in preset.items() if name not in NOT_FOR_TABLES}


def _one_length(overrides: Mapping[str, Any]) -> Layer:
    """Return the layer of what the caller gave; ConfigurationError if that has a length in matches
    and one in minutes. The file of a run has both, of which the minutes count.
    """
    minutes = overrides.get("max_minutes")
    if "n_episodes" in overrides and minutes not in (None, AUTO):
        raise ConfigurationError(
            "two lengths",
            got=f"n_episodes {overrides['n_episodes']} and max_minutes {minutes}",
            expected="one of them",
        )
    return Layer("", overrides)


def _scaled(preset: dict[str, Any], minutes: float, others: Sequence[Layer]) -> dict[str, Any]:
    """Return a preset for a shorter run: its buffer, and what is played before learning starts,
    shrink with the length, and the target network moves more often.

    At their full size they would leave a short run almost without updates, because adaptive
    learning steps follow the fill of the buffer. `minutes`: of the whole preset.
    """
    wanted = {**preset, **merge(others)}
    length, whole = wanted.get("max_minutes"), minutes
    if length in (None, AUTO):
        length, whole = wanted["n_episodes"], preset["n_episodes"]
    sizes = ("batch_size", "episodes_per_batch")
    batch, matches = (wanted.get(name, _default(name)) for name in sizes)
    numbers = all(isinstance(number, int | float) for number in (length, batch, matches))
    if not numbers or not 0 < length < whole:
        return preset
    scaled = dict(preset)
    # the buffer still holds what a round brings
    smallest = {"buffer_size": max(batch, _ROUND * matches), "learning_starts": batch}
    for name, least in {**smallest, "target_update_interval": _MIN_TARGET_INTERVAL}.items():
        if name in preset:
            scaled[name] = min(preset[name], max(least, int(preset[name] * length / whole)))
    return scaled


def _default(name: str) -> Any:
    return TrainConfig.model_fields[name].default


def merge(sources: Sequence[Layer]) -> dict[str, Any]:
    """Later sources win; `opponents` are replaced as a whole, `policy_kwargs` setting by setting,
    unless they name another network. A length in matches replaces one in minutes.
    """
    merged: dict[str, Any] = {}
    for layer in sources:
        if "n_episodes" in layer.values:
            merged.pop("max_minutes", None)
        for name, value in layer.values.items():
            old = merged.get(name)
            if name == "policy_kwargs" and isinstance(old, Mapping) and isinstance(value, Mapping):
                value = {**(old if _of_one_network(old, value) else {}), **value}
            merged[name] = value
    return merged


def _of_one_network(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    default = PolicyKwargs.model_fields["network"].default
    return bool(new.get("network", old.get("network", default)) == old.get("network", default))


def validate(sources: Sequence[Layer]) -> TrainConfig:
    """Check the merged sources once; "auto" becomes None in settings that the run decides."""
    values = merge(sources)
    for name in optional_fields() & values.keys():
        if values[name] == AUTO:
            values[name] = None
    try:
        config = TrainConfig(**values)
    except ValidationError as error:
        raise configuration_error(error, values, lambda field: _origin(sources, field)) from None
    _check_decay(config, sources)
    return config


def _check_decay(config: TrainConfig, sources: Sequence[Layer]) -> None:
    """Raise `ConfigurationError` if the caller sets geometric decay and nothing asks for it."""
    name = "exploration_decay"
    decay = sources[-1].values.get(name, _default(name))
    if config.exploration != "geometric" and decay != _default(name):
        raise ConfigurationError(
            f"{name} has no effect with exploration = {config.exploration}",
            got=decay,
            expected="exploration = geometric",
        )


def agent_options(options: Mapping[str, Any]) -> AgentOptions:
    """Check the settings of an agent that is trained without a run. Raises `ConfigurationError`,
    also for settings that only a run has.
    """
    for name in options:
        known = name in TrainConfig.model_fields
        if known and (name in ONLY_OF_RUNS or name not in AgentOptions.model_fields):
            raise ConfigurationError(
                f"{name} has no effect without a run",
                got=shown(options[name]),
                remedy="leave it out, or train with train_dqn",
            )
    try:
        return AgentOptions(**options)
    except ValidationError as error:
        raise configuration_error(error, options, lambda field: "") from None


def _origin(sources: Sequence[Layer], field: str) -> str:
    names = [layer.origin for layer in sources if field in layer.values]
    return f" in {names[-1]}" if names and names[-1] else ""


def resume_config(saved: TrainConfig, overrides: Mapping[str, Any]) -> TrainConfig:
    """Return `saved` with the settings that `resume` may change."""
    for name in overrides:
        if name not in RESUMABLE:
            raise ConfigurationError(
                "resume cannot change this setting",
                got=repr(name),
                expected=f"one of {', '.join(RESUMABLE)}",
                remedy=nearest(name, RESUMABLE) or "start a new run instead",
            )
    return validate([Layer("the saved run", saved.model_dump()), _one_length(overrides)])


def to_toml(config: TrainConfig, history: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return every setting that has an effect as TOML, from which `build_config` makes an equal
    configuration; and the changes that a run has had so far.
    """
    values = config.model_dump(mode="json")
    values["policy_kwargs"] = config.policy_kwargs.in_use()
    if history:
        values[_HISTORY] = history
    return tomli_w.dumps({name: AUTO if value is None else value for name, value in values.items()})


def read_toml(path: Path) -> dict[str, Any]:
    """Read the settings in a TOML file, unchecked."""
    try:
        with open(path, "rb", opener=without_waiting) as file:
            data = file.read(_MAX_TOML + 1)
        text = data.decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise FileFormatError(f"{path} cannot be read: {reason}") from None
    if not data and path.is_fifo():
        raise FileFormatError(f"{path} cannot be read: it is a pipe that nothing writes to")
    if len(data) > _MAX_TOML:
        raise FileFormatError(f"{path} is too large: expected at most {_MAX_TOML:,} bytes")
    return _parse(text, str(path))


def _parse(text: str, origin: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FileFormatError(
            f"{origin} is not TOML", got=str(error), expected="lines such as n_episodes = 1000"
        ) from None


def preset_names() -> dict[str, list[str]]:
    """Return the presets that come with Sparring, by game."""
    names: dict[str, list[str]] = {}
    entries = (files("sparring.config") / "presets").iterdir()
    for name in sorted(e.name.removesuffix(".toml") for e in entries if e.name.endswith(".toml")):
        game, _, preset = name.partition("-")
        names.setdefault(game, []).append(preset)
    return names


def preset_game(game: str) -> str:
    """Return the name of a game without arguments, as presets have it."""
    return game.partition("(")[0]


def read_preset(game: str, preset: str) -> tuple[dict[str, Any], float]:
    """Return the settings of a preset, the game's own, else the one for any game, and the minutes
    that it takes on two CPU cores.

    Raises `ConfigurationError` with the nearest name and the list for an unknown preset.
    """
    names = preset_names()
    for owner in (game, ANY_GAME):
        if preset in names.get(owner, ()):
            text = (files("sparring.config") / "presets" / f"{owner}-{preset}.toml").read_text(
                encoding="utf-8"
            )
            settings = _parse(text, f"preset {preset}")
            return settings, float(settings.pop("minutes"))
    known = sorted({*names.get(game, ()), *names[ANY_GAME]})
    raise ConfigurationError(
        f"unknown preset for {game}",
        got=repr(preset),
        expected=f"one of {', '.join(known)}",
        remedy=nearest(str(preset), known),  # Python callers may pass anything
    )
