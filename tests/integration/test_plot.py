"""`sparring plot` on a run."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from trial_runs import trial

import sparring.cli
from sparring.cli import main
from sparring.storage.run_directory import RunDirectory
from sparring.training import train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(trial(tmp_path_factory.mktemp("runs"), name="short", backend="inline")).run


def test_all_pictures_of_a_run_that_another_process_has_locked(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with RunDirectory.open(run.parent, run.name):
        assert (
            main(
                [
                    "plot",
                    run.name,
                    "--runs-dir",
                    str(run.parent),
                    "--out",
                    str(tmp_path / "a" / "b"),
                    "--json",
                ]
            )
            == 0
        )
    said = capsys.readouterr()
    [line] = said.out.splitlines()
    figures = json.loads(line)
    assert figures["run"] == str(run)
    assert figures["pictures"].keys() | figures["skipped"].keys() == {
        "learning",
        "opponents",
        "payoff",
    }
    assert figures["pictures"].keys() >= {"learning", "opponents", "payoff"}
    for name, path in figures["pictures"].items():
        assert path == str(tmp_path / "a" / "b" / f"{name}.png")
        assert Path(path).stat().st_size > 20_000
        assert f"{name}: {path}\n" in said.err
    after = {
        path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != "lock"
    }
    assert after == {path: data for path, data in before.items() if path.name != "lock"}


def test_missing_parts_are_a_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that has just begun: one report, and no agent."""
    young = tmp_path / "young"
    (young / "checkpoints").mkdir(parents=True)
    (young / "metrics.jsonl").write_text('{"plies": 10, "wall_time": 1.0, "train/loss": 0.5}\n')
    assert main(["plot", str(young)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"learning: {young}/plots/learning.png",
        "opponents: skipped, the metrics have no win rates yet",
        "payoff: skipped, the run has no agent yet",
    ]
    assert [path.name for path in (young / "plots").iterdir()] == ["learning.png"]


def test_no_matplotlib(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in [n for n in sys.modules if n.startswith(("sparring.plot", "sparring.cli.plot"))]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delattr(sparring.cli, "plot", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["plot", str(run)]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert said.err.startswith("sparring: plotting needs matplotlib")
    assert "pip install 'sparring[plot]'" in said.err
    assert not (run / "plots").exists()


def test_a_folder_that_cannot_be_written(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", str(run), "--out", str(run / "config.toml")]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert "cannot be written" in said.err
    assert "--out" in said.err


def test_every_metric_of_a_run_is_documented(run: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    tags = {tag for line in lines for tag in json.loads(line)} - {"plies", "wall_time"}
    by_opponent = re.compile(r"^(\w+/(?:win_rate|draw_rate|cut_rate|return))/.*")
    names = {by_opponent.sub(r"\1/NAME", tag) for tag in tags}
    warnings = {name for name in names if name.startswith("warnings/")}
    assert len(names) > 20
    assert {name for name in names - warnings if f"`{name}`" not in page} == set()
