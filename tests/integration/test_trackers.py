"""Callbacks for trackers, with stand-ins for their libraries, and offline with the libraries."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from trial_runs import trial

from sparring import MlflowCallback, WandbCallback
from sparring.errors import ConfigurationError
from sparring.training import resume, train


def run(tmp_path: Path, callback: object, **changes: Any) -> Path:
    """The first part of a run."""
    config = trial(tmp_path, name="run", backend="inline", **{"n_episodes": 80, **changes})
    return train(config, callbacks=callback, console=False).run


def longer(tmp_path: Path, callback: object) -> None:
    """The rest of it, with a new callback, as in another process."""
    more = {"n_episodes": 120}
    resume("run", runs_dir=str(tmp_path), overrides=more, callbacks=callback, console=False)


def reports(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


class Wandb(ModuleType):
    """Notes what `wandb` is asked for."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.begun: list[dict[str, Any]] = []
        self.logged: list[dict[str, float]] = []
        self.ended: list[int] = []

    def init(self, **arguments: Any) -> Any:
        self.begun.append(arguments)
        return SimpleNamespace(
            id=arguments["id"] or "abc",
            log=self.logged.append,
            finish=lambda exit_code: self.ended.append(exit_code),
            define_metric=lambda *names, step_metric: None,
        )


class Mlflow(ModuleType):
    """Notes what `mlflow` is asked for."""

    def __init__(self) -> None:
        super().__init__("mlflow")
        self.entities = SimpleNamespace(
            Metric=lambda key, value, timestamp, step: (key, value, step),
            Param=lambda key, value: (key, value),
        )
        self.params: list[tuple[str, str]] = []
        self.metrics: list[list[tuple[str, float, int]]] = []
        self.runs: list[str] = []
        self.ended: list[tuple[str, str]] = []
        self.uris: list[str | None] = []

    def MlflowClient(self, tracking_uri: str | None) -> Any:
        self.uris.append(tracking_uri)
        return self

    def get_experiment_by_name(self, name: str) -> Any:
        return SimpleNamespace(experiment_id="7") if self.runs else None

    def create_experiment(self, name: str) -> str:
        return "7"

    def create_run(self, experiment: str, run_name: str) -> Any:
        self.runs.append(f"{experiment}-{run_name}")
        return SimpleNamespace(info=SimpleNamespace(run_id=self.runs[-1]))

    def log_batch(self, run: str, metrics: Any = (), params: Any = ()) -> None:
        self.params += params
        if metrics:
            self.metrics.append(metrics)

    def set_terminated(self, run: str, status: str) -> None:
        self.ended.append((run, status))


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> Wandb:
    library = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", library)
    return library


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Mlflow:
    library = Mlflow()
    monkeypatch.setitem(sys.modules, "mlflow", library)
    return library


def test_wandb_gets_the_settings_once_and_every_report(tmp_path: Path, wandb: Wandb) -> None:
    path = run(tmp_path, WandbCallback(project="toe", mode="offline"))
    longer(tmp_path, WandbCallback(project="toe", mode="offline"))
    first, second = wandb.begun
    assert (first["project"], first["mode"], first["name"], first["id"]) == (
        "toe", "offline", "run", None,
    )  # fmt: skip
    assert (first["config"]["n_episodes"], first["dir"]) == (80, str(path))
    assert (second["id"], second["resume"]) == ("abc", "allow")
    assert wandb.ended == [0, 0]
    written = reports(path)
    assert [figures["plies"] for figures in wandb.logged] == [line["plies"] for line in written]
    for logged, line in zip(wandb.logged, written, strict=True):
        assert {k: v for k, v in logged.items() if k != "minutes"} == {
            k: v for k, v in line.items() if k != "wall_time"
        }


def test_mlflow_gets_the_settings_once_and_every_report(tmp_path: Path, mlflow: Mlflow) -> None:
    path = run(tmp_path, MlflowCallback("toe", tracking_uri="sqlite:///x.db"))
    longer(tmp_path, MlflowCallback("toe", tracking_uri="sqlite:///x.db"))
    assert mlflow.uris == ["sqlite:///x.db"] * 2
    assert mlflow.runs == ["7-run"]
    assert mlflow.ended == [("7-run", "FINISHED")] * 2
    params = dict(mlflow.params)
    assert len(params) == len(mlflow.params)
    assert (params["n_episodes"], params["policy_kwargs.net_arch"]) == ("80", "[16]")
    written = reports(path)
    assert [metrics[0][2] for metrics in mlflow.metrics] == [line["plies"] for line in written]
    tags = {metric[0] for metrics in mlflow.metrics for metric in metrics}
    assert {"train/loss", "eval/win_rate/random", "minutes"} <= tags


def test_a_run_that_fails_is_marked(tmp_path: Path, wandb: Wandb, mlflow: Mlflow) -> None:
    class Fails:
        def on_round(self, event: object) -> None:
            raise ValueError

    with pytest.raises(Exception, match=r"Fails\.on_round raised ValueError"):
        run(tmp_path, [WandbCallback(), MlflowCallback(), Fails()])
    assert wandb.ended == [1]
    assert mlflow.ended == [("7-run", "FAILED")]


@pytest.mark.parametrize("made", [WandbCallback, MlflowCallback])
def test_a_missing_library_is_one_line(made: type, monkeypatch: pytest.MonkeyPatch) -> None:
    name = made.__name__.removesuffix("Callback").lower()
    monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    with pytest.raises(ConfigurationError) as caught:
        made()
    assert str(caught.value) == f"{name} is not installed; pip install 'sparring[{name}]'"


# Their libraries bring dozens of packages, so the development environment does without them. The
# tests above make the same calls on stand-ins; these run where a user has installed the extra.
def missing(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        importlib.util.find_spec(name) is None, reason=f"{name} is an extra that is not installed"
    )


@missing("wandb")
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_wandb_offline(tmp_path: Path) -> None:
    path = run(tmp_path, WandbCallback(project="toe", mode="offline"))
    longer(tmp_path, WandbCallback(project="toe", mode="offline"))
    files = sorted(path.glob("wandb/offline-run-*/*.wandb"))
    assert len(files) == 2
    written = b"".join(file.read_bytes() for file in files)
    assert b"eval/win_rate/random" in written
    assert (path / "wandb.id").read_text() in files[1].name


@missing("mlflow")
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_mlflow_offline(tmp_path: Path) -> None:
    import mlflow

    uri = f"sqlite:///{tmp_path / 'tracked.db'}"
    path = run(tmp_path, MlflowCallback("toe", tracking_uri=uri))
    longer(tmp_path, MlflowCallback("toe", tracking_uri=uri))
    found = mlflow.MlflowClient(tracking_uri=uri).get_run((path / "mlflow.id").read_text())
    assert found.info.status == "FINISHED"
    assert found.data.params["n_episodes"] == "80"
    assert found.data.metrics["train/n_updates"] == reports(path)[-1]["train/n_updates"]
