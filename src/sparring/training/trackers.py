"""Callbacks that send a run's settings and reports to Weights & Biases or to MLflow.

The figures are those of `metrics.jsonl`, at the same times, with plies as the x-axis. A resumed run
continues its run there, whose id is kept in the run's directory. The libraries are extras, imported
when a callback is made.
"""

from __future__ import annotations

import importlib
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from sparring.config.sources import read_toml
from sparring.errors import ConfigurationError
from sparring.storage.atomic import write_file
from sparring.training.callbacks import EndEvent, ReportEvent
from sparring.user_code import is_missing

_PLIES: Final = "plies"
_MAX_TEXT: Final = 500  # characters of a parameter in MLflow


class WandbCallback:
    """Send a run to Weights & Biases.

    Takes the arguments of `wandb.init`: `WandbCallback(project="ludo", mode="offline")`. Its files
    are in the folder `wandb` of the run, and `wandb sync` sends those of `mode="offline"` later.
    """

    def __init__(self, **arguments: Any) -> None:
        """Raises ConfigurationError if wandb is not installed."""
        self._library = _library("wandb")
        self._arguments = arguments
        self._run: Any = None

    def on_report(self, event: ReportEvent) -> None:
        """Send the figures."""
        if self._run is None:
            self._run = self._begin(event.run)
        self._run.log({**event.figures, _PLIES: event.plies, "minutes": event.minutes})

    def on_end(self, event: EndEvent) -> None:
        """Close the run there."""
        if self._run is not None:
            self._run.finish(exit_code=int(event.failed))
            self._run = None

    def _begin(self, path: Path) -> Any:
        note = path / "wandb.id"
        usual = {
            "name": path.name,
            "dir": str(path),
            "config": read_toml(path / "config.toml"),
            "id": _noted(note),
            "resume": "allow",
        }
        run = self._library.init(**{**usual, **self._arguments})
        write_file(note, str(run.id).encode())
        run.define_metric("*", step_metric=_PLIES)  # else a resumed run could not begin earlier
        return run


class MlflowCallback:
    """Send a run to MLflow, into the experiment of this name.

    `tracking_uri`: a server or, offline, a database such as "sqlite:///mlflow.db"; None: where
    MLflow itself looks for one.
    """

    def __init__(self, experiment: str = "sparring", *, tracking_uri: str | None = None) -> None:
        """Raises ConfigurationError if mlflow is not installed."""
        self._library = _library("mlflow")
        self._experiment = experiment
        self._uri = tracking_uri
        self._client: Any = None
        self._id = ""

    def on_report(self, event: ReportEvent) -> None:
        """Send the figures."""
        if self._client is None:
            self._client = self._library.MlflowClient(tracking_uri=self._uri)
            self._id = _noted(event.run / "mlflow.id") or self._begin(event.run)
        now, kind = int(1000 * time.time()), self._library.entities.Metric
        figures = {**event.figures, "minutes": event.minutes}
        metrics = [kind(_metric(tag), value, now, event.plies) for tag, value in figures.items()]
        self._client.log_batch(self._id, metrics=metrics)

    def on_end(self, event: EndEvent) -> None:
        """Close the run there."""
        if self._client is not None:
            self._client.set_terminated(self._id, "FAILED" if event.failed else "FINISHED")
            self._client = None

    def _begin(self, path: Path) -> str:
        found = self._client.get_experiment_by_name(self._experiment)
        experiment = (
            self._client.create_experiment(self._experiment)
            if found is None
            else found.experiment_id
        )
        run = self._client.create_run(experiment, run_name=path.name)
        kind = self._library.entities.Param
        params = [
            kind(name, value[:_MAX_TEXT]) for name, value in _flat(read_toml(path / "config.toml"))
        ]
        self._client.log_batch(run.info.run_id, params=params)
        write_file(path / "mlflow.id", str(run.info.run_id).encode())
        return str(run.info.run_id)


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not is_missing(name, error):
            raise
        raise ConfigurationError(
            f"{name} is not installed", remedy=f"pip install 'sparring[{name}]'"
        ) from None


def _noted(note: Path) -> str | None:
    return note.read_text(encoding="utf-8") if note.is_file() else None


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Settings of settings as `policy_kwargs.network`; MLflow does not take other signs."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield _metric(f"{prefix}{name}"), str(value)


def _metric(tag: str) -> str:
    """Return a tag in the signs that MLflow takes on every system."""
    return re.sub(r"[^\w/. -]", "_", tag)
