"""`sparring runs` and `sparring compare` on the files of runs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from sparring.cli import main
from sparring.storage.run_directory import RunDirectory

EVALUATION = {"eval/score": 0.75, "eval/win_rate/random": 1.0, "eval/win_rate/one_ply": 0.5}


def made(runs: Path, name: str, *reports: dict[str, float], game: str = "tic_tac_toe") -> Path:
    """A run directory with these reports."""
    run = runs / name
    (run / "checkpoints").mkdir(parents=True)
    (run / "config.toml").write_text(f'game = "{game}"\nn_episodes = 200\n')
    lines = [json.dumps(report) + "\n" for report in reports]
    (run / "metrics.jsonl").write_text("".join(lines))
    return run


def report(matches: int, at: float, **tags: float) -> dict[str, float]:
    return {"plies": 7 * matches, "wall_time": at, "rollout/episodes": matches, **tags}


def listed(runs: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    assert main(["runs", "--runs-dir", str(runs), "--json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["runs"]
    return found


def test_runs_are_listed_with_the_newest_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path, "old", report(50, 10.0, **EVALUATION), report(90, 20.0))
    made(tmp_path, "new", report(12_000, 30.0), game="connect_four")
    made(tmp_path, "empty")
    (tmp_path / "no run").mkdir()
    (tmp_path / "pair").mkdir()
    (tmp_path / "pair" / "population.json").touch()
    assert main(["runs", "--runs-dir", str(tmp_path)]) == 0
    head, *rows, pair = capsys.readouterr().out.splitlines()
    assert head.split() == ["run", "game", "state", "matches", "size", "score", "against"]
    cells = [row.split() for row in rows]
    assert [row[:4] for row in cells] == [
        ["new", "connect_four", "interrupted", "12,000"],
        ["old", "tic_tac_toe", "interrupted", "90"],
        ["empty", "tic_tac_toe", "interrupted", "-"],
    ]
    assert rows[1].endswith("0.75  random 100 %, one_ply 50 %")
    assert pair == f"population pair: sparring runs --runs-dir {tmp_path / 'pair'}"


def test_a_run_is_running_while_it_is_locked_and_then_as_it_has_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path, "run", report(50, 10.0))
    with RunDirectory.open(tmp_path, "run") as run:
        assert listed(tmp_path, capsys)[0]["state"] == "running"
        run.end("finished", "enough")
        assert listed(tmp_path, capsys)[0]["state"] == "running"
    [ended] = listed(tmp_path, capsys)
    assert (ended["state"], ended["reason"]) == ("finished", "enough")
    with RunDirectory.open(tmp_path, "run") as run:
        run.begin()
    assert listed(tmp_path, capsys)[0]["state"] == "interrupted", "as after a kill"


def test_listing_leaves_the_run_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = made(tmp_path, "run", report(50, 10.0))
    before = sorted(path.name for path in run.iterdir())
    [found] = listed(tmp_path, capsys)
    assert sorted(path.name for path in run.iterdir()) == before
    assert found["bytes"] == sum(path.stat().st_size for path in run.iterdir() if path.is_file())


def test_a_long_file_is_read_from_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file is sparse: reading all of it would take minutes and 60 GB."""
    run = made(tmp_path, "run")
    with open(run / "metrics.jsonl", "wb") as file:
        os.truncate(file.fileno(), 60 * 10**9)
        file.seek(0, os.SEEK_END)
        file.write(b"\n")
        for line in (report(50, 10.0, **EVALUATION), *(report(51 + k, 11.0) for k in range(2000))):
            file.write(json.dumps(line).encode() + b"\n")
        file.write(b'{"plies": 99, "wall_')
    [found] = listed(tmp_path, capsys)
    assert (found["matches"], found["score"]) == (2050, 0.75)


def test_damaged_files_do_not_hide_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = made(tmp_path, "run", report(50, 10.0))
    (run / "config.toml").write_text("game = ")
    (run / "metrics.jsonl").write_bytes(b'\xff\n{"wall_time": "x"}\n[1]\n{"wall_time": NaN}\n')
    (run / "ended.json").write_text("[]")
    [found] = listed(tmp_path, capsys)
    assert (found["game"], found["matches"], found["state"]) == (None, None, "interrupted")


def test_a_pipe_in_place_of_the_metrics_is_not_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = made(tmp_path, "run")
    (run / "metrics.jsonl").unlink()
    os.mkfifo(run / "metrics.jsonl")
    assert listed(tmp_path, capsys)[0]["matches"] is None


def test_no_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--runs-dir", str(tmp_path / "none")]) == 0
    assert capsys.readouterr().out == f"no runs in {tmp_path / 'none'}; sparring train starts one\n"


def test_compare_draws_one_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        made(tmp_path, name, report(50, 10.0, **EVALUATION), report(90, 20.0, **EVALUATION))
    out = tmp_path / "both.png"
    arguments = ["--runs-dir", str(tmp_path), "--out", str(out), "--json"]
    assert main(["compare", "a", "b", *arguments]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures == {"runs": [str(tmp_path / name) for name in "ab"], "picture": str(out)}
    assert out.stat().st_size > 20_000


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        (["a"], "got 1 runs, expected 2 to 8 different ones"),
        (["a", "a"], "got 1 runs"),
        (["a", "c"], "there is no run 'c'"),
        (["a", "b"], "no metrics in"),
    ],
)
def test_bad_comparisons_are_one_line(
    runs: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path, "a", report(50, 10.0))
    made(tmp_path, "b")
    out = tmp_path / "out.png"
    assert main(["compare", *runs, "--runs-dir", str(tmp_path), "--out", str(out)]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert words in said.err
    assert not out.exists()
