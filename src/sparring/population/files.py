"""The directory of a population, and what it keeps there.

runs/<name>/
  lock                  held while a process supervises the population
  population.json       its options, and which member took over the learner of which
  member-0.toml  ...    the first settings of each member
  member-0.log  ...     what its process has printed
  member-0/  ...        its run, as of `sparring train`
  shared/               snapshots that the members share
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from sparring.config.schema import TrainConfig
from sparring.config.sources import build_config, to_toml
from sparring.errors import ConfigurationError, FileFormatError, InputError, nearest
from sparring.games import label
from sparring.population.options import PopulationOptions
from sparring.population.supervisor import Exchange
from sparring.storage.atomic import write_file
from sparring.storage.run_directory import FAULTS, as_argument, check_name

_STATE: Final = "population.json"
_FORMAT: Final = 1


@dataclass(frozen=True)
class Saved:
    """Records of a population: settings of its members, values that were tuned, exchanges."""

    options: PopulationOptions
    configs: tuple[TrainConfig, ...]
    tuned: tuple[dict[str, float], ...]
    exchanges: tuple[Exchange, ...]


def create_folder(runs_dir: str, name: str | None, game: str) -> Path:
    """Make the directory of a new population: `name`, else `<game>-population-<n>`.

    ConfigurationError if the name is taken or invalid.
    """
    if name is not None:
        check_name(name)
        paths = iter([Path(runs_dir) / name])
    else:
        stem = f"{label(game)}-population"
        paths = (Path(runs_dir) / f"{stem}-{number}" for number in itertools.count(1))
    for path in paths:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise ConfigurationError(
                f"cannot make a directory in {runs_dir}: {error.strerror}"
            ) from None
        return path
    path = Path(runs_dir) / str(name)
    remedy = "choose another name"
    if (path / _STATE).is_file():
        remedy += f", or continue it: sparring population --resume {as_argument(path)}"
    raise ConfigurationError(f"there is already a directory {path}", remedy=remedy)


def remove_unused(folder: Path) -> None:
    """Delete a population of which no member has saved anything."""
    saved = (path for part in ("checkpoints", FAULTS) for path in folder.glob(f"member-*/{part}/*"))
    if not any(saved):
        shutil.rmtree(folder)


def find_folder(runs_dir: str, name: str) -> Path:
    """Return the directory of the population called `name`, or of this path; InputError if there is
    none.
    """
    path = Path(name) if os.sep in name else Path(runs_dir) / name
    if (path / _STATE).is_file():
        return path
    others = (
        [entry.parent.name for entry in path.parent.glob(f"*/{_STATE}")]
        if path.parent.is_dir()
        else []
    )
    remedy = nearest(path.name, others) or (
        f"there is {', '.join(sorted(others)[:5])}" if others else "start one: sparring population"
    )
    raise InputError(f"there is no population {path.name!r} in {path.parent}", remedy=remedy)


def save(
    folder: Path,
    options: PopulationOptions,
    tuned: Sequence[Mapping[str, float]],
    exchanges: Sequence[Exchange],
) -> None:
    """Write what a resume of the population needs, but for the settings of its members."""
    state = {
        "format": _FORMAT,
        "options": asdict(options),
        "tuned": [dict(values) for values in tuned],
        "exchanges": [asdict(exchange) for exchange in exchanges],
    }
    write_file(folder / _STATE, json.dumps(state, indent=1).encode())


def save_config(folder: Path, config: TrainConfig) -> None:
    """Write the settings of a member."""
    write_file(folder / f"{config.name}.toml", to_toml(config).encode())


def load(folder: Path) -> Saved:
    """Read what `save` and `save_config` have written. Raises `FileFormatError`."""
    path = folder / _STATE
    try:
        state: dict[str, Any] = json.loads(path.read_bytes())
        if state["format"] != _FORMAT:
            raise ValueError("another version")
        options = PopulationOptions(**{**state["options"], "pbt": tuple(state["options"]["pbt"])})
        tuned = tuple(dict(values) for values in state["tuned"])
        exchanges = tuple(Exchange(**exchange) for exchange in state["exchanges"])
        names = [f"member-{number}" for number in range(options.agents)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(f"{path} is damaged: {type(error).__name__}") from None
    configs = tuple(_config(folder, name) for name in names)
    return Saved(options, configs, tuned, exchanges)


def _config(folder: Path, name: str) -> TrainConfig:
    """The settings of a member, as its run has them now, else its first ones."""
    run = folder / name / "config.toml"
    file = run if run.is_file() else folder / f"{name}.toml"
    return build_config(config_file=file, overrides={"runs_dir": str(folder), "name": name})
