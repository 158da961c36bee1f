"""The console of a run that another process trains."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from terminal import Terminal

from sparring.cli import main
from sparring.errors import Interrupted
from sparring.monitor.screen import SerialConsole
from sparring.monitor.watch import WatchedRun
from sparring.storage.run_directory import RunDirectory


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of 200 matches."""
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "config.toml").write_text('game = "tic_tac_toe"\nn_episodes = 200\n')
    return run


def write(run: Path, *matches: int, anew: bool = False) -> None:
    """Reports of so many matches, one a second."""
    lines = [
        json.dumps(
            {"plies": 7 * n, "wall_time": 1000.0 + n, "rollout/episodes": n, "train/loss": n}
        )
        for n in matches
    ]
    with open(run / "metrics.jsonl", "w" if anew else "a") as file:
        file.writelines(f"{line}\n" for line in lines)


def watched(
    run: Path, *steps: Callable[[], object], max_minutes: float | None = None
) -> list[list[str]]:
    """What is printed before each of the steps, and after the last one."""
    output = io.StringIO()
    console = SerialConsole(file=output, force_terminal=False)
    printed: list[list[str]] = []
    left: Iterator[Callable[[], object]] = iter(steps)

    def pause(_: float) -> None:
        printed.append(output.getvalue().splitlines())
        output.seek(0)
        output.truncate()
        next(left)()

    WatchedRun(run, n_episodes=200, max_minutes=max_minutes, console=console).show(pause)
    return [*printed, output.getvalue().splitlines()]


def test_a_running_run_is_followed_to_its_end(run: Path) -> None:
    write(run, 10, 20)
    with RunDirectory(run) as training:

        def end() -> None:
            write(run, 200)
            training.end("finished", "score reached")
            training.close()

        first, second, third = watched(
            run,
            lambda: (write(run, 100), training.save_checkpoint(7, {"x": 1})),
            end,
        )
    assert first[0] == f"{run}: running, no checkpoint yet"
    assert "  5 %  10 matches" in first[1]
    assert " 10 %  20 matches  ETA 3:00" in first[2]
    assert second[0] == "checkpoint of 7 updates"
    assert " 50 %  100 matches" in second[1]
    assert "100 %  200 matches" in third[0]
    assert third[1] == f"{run}: finished (score reached), checkpoint of 7 updates"


def test_what_a_resume_plays_again_is_shown_again(run: Path) -> None:
    write(run, 50, 100)
    with RunDirectory(run) as training:
        _, again, _ = watched(run, lambda: write(run, 60, anew=True), training.close)
    assert len(again) == 1
    assert " 30 %  60 matches  ETA -  loss 60" in again[0]


def test_the_share_of_a_run_in_minutes_follows_its_reports(run: Path) -> None:
    write(run, 10, 40, 70)
    [[*_, last, end]] = watched(run, max_minutes=2.0)
    assert " 50 %  70 matches  ETA 1:00" in last
    assert end == f"{run}: interrupted, no checkpoint yet"


def test_on_a_terminal_there_is_a_panel_of_80_columns(run: Path) -> None:
    write(run, 20, 50)
    screen = Terminal(height=40)
    console = SerialConsole(file=screen, force_terminal=True, width=80, color_system=None)
    WatchedRun(run, n_episodes=200, max_minutes=None, console=console).show()
    text = "\n".join(screen.lines)
    assert "50 / 200 matches" in text
    assert "0:30" in text, "between the first and the last report"
    assert max(map(len, (line.rstrip() for line in screen.lines[:-2]))) == 80


def test_watching_writes_nothing_into_the_run(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(run, *range(1, 30))
    before = {path: path.stat().st_mtime_ns for path in (run, *run.rglob("*"))}
    assert main(["watch", str(run)]) == 0
    assert {path: path.stat().st_mtime_ns for path in (run, *run.rglob("*"))} == before
    *reports, end = capsys.readouterr().out.splitlines()
    assert [" 20 matches" in reports[0], " 29 matches" in reports[-1]] == [True, True]
    assert end.endswith("run: interrupted, no checkpoint yet")


def test_ctrl_c_leaves_the_run_alone(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(_: WatchedRun) -> None:
        raise Interrupted

    monkeypatch.setattr(WatchedRun, "show", stop)
    assert main(["watch", str(run)]) == 130
    assert capsys.readouterr().err == "sparring: the run itself goes on\n"


def test_watching_ends_when_nobody_reads_it(run: Path) -> None:
    write(run, 10)
    console = SerialConsole(file=io.StringIO(), force_terminal=False)
    with RunDirectory(run):
        watched = WatchedRun(run, n_episodes=200, max_minutes=None, console=console)
        watched.show(lambda _: console.on_broken_pipe())
